package controllers

import (
	"testing"

	"github.com/nats-io/nkeys"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/defaults"
)

// The stories of endpoints whose events are kept in a stream of NATS, which is pretended, like all that receivers do.

// inStream keeps events in a stream of these servers.
func inStream(urls ...string) func(*hookbayv1alpha1.WebhookEndpoint) {
	return func(e *hookbayv1alpha1.WebhookEndpoint) {
		e.Spec.Buffer.Type, e.Spec.Buffer.JetStream = hookbayv1alpha1.BufferJetStream, &hookbayv1alpha1.JetStreamBuffer{}
		e.Spec.Buffer.JetStream.URLs = urls
	}
}

// userCredentials are a file as nsc writes it, of a user whom no server knows.
func userCredentials(t *testing.T) string {
	t.Helper()
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	return "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n" + string(seed) +
		"\n------END USER NKEY SEED------\n"
}

func TestStory_aStreamHasAnyNumberOfReceivers(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.create(endpoint("orders", inStream("nats://nats.messaging.svc:4222")))
	s.ready("orders")
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionTrue, hookbayv1alpha1.ReasonReceiversReady, "2 of 2 receivers are ready")
	if got := s.endpoint("orders").Status; got.BufferType != hookbayv1alpha1.BufferJetStream || got.Receivers != nil || got.DiskSize != "" || got.Replicas != 2 {
		t.Errorf("status is %+v", got)
	}
	for _, c := range s.cluster.configOf("orders-receiver") {
		if j := c.Endpoints[0].Buffer.JetStream; j == nil || len(j.URLs) != 1 || j.URLs[0] != "nats://nats.messaging.svc:4222" {
			t.Errorf("a receiver is told of the stream %+v", j)
		}
	}

	s.scaleOrders(6)
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionTrue, hookbayv1alpha1.ReasonReceiversReady, "6 of 6 receivers are ready")
	s.cluster.let(func(k *cluster) { k.backlog["orders-receiver"] = 5 }) // of the partitions that each has
	s.scaleOrders(3)
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionTrue, hookbayv1alpha1.ReasonReceiversReady, "3 of 3 receivers are ready")
	s.poke("orders")
	s.eventually("the backlog is that of all receivers", func() bool { return s.endpoint("orders").Status.Traffic.Backlog == 15 })
	for _, claim := range []string{"orders-0", "orders-receiver"} {
		s.absent(&corev1.PersistentVolumeClaim{}, claim)
	}

	s.change("orders", func(e *hookbayv1alpha1.WebhookEndpoint) {
		e.Spec.Receiver.Autoscaling = &hookbayv1alpha1.Autoscaling{MinReplicas: 2, MaxReplicas: 32}
	})
	s.eventually("an autoscaler", func() bool { return s.exists(&autoscalingv2.HorizontalPodAutoscaler{}, "orders-receiver") })
	s.scale("orders-receiver", 4) // what it does
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionTrue, hookbayv1alpha1.ReasonReceiversReady, "4 of 4 receivers are ready")
	s.ready("orders")
}

func TestStory_aStreamByDefault(t *testing.T) {
	t.Parallel()
	s := newPlace(t)
	s.buffer = defaults.Buffer{Type: hookbayv1alpha1.BufferJetStream, JetStreamURLs: []string{"nats://common:4222"}, JetStreamCredentials: "nats/hookbay.creds"}
	s.startManager("example.com/receiver:v1")
	s.secret("lazada-app", "app-secret", "s3cret")
	s.create(endpoint("orders"))
	s.condition("orders", hookbayv1alpha1.ConditionCredentialsReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonSecretMissing,
		"spec.buffer.jetStream.credentialsRef: Secret "+s.namespace+"/nats does not exist: create it, with the key hookbay.creds")
	s.absent(&appsv1.Deployment{}, "orders-receiver")

	s.secret("nats", "hookbay.creds", "no credentials at all")
	s.condition("orders", hookbayv1alpha1.ConditionCredentialsReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonCredentialInvalid,
		"spec.buffer.jetStream.credentialsRef: Secret "+s.namespace+"/nats: the key hookbay.creds is no .creds file")
	credentials := userCredentials(t)
	s.secret("nats", "hookbay.creds", credentials)
	s.ready("orders")
	for _, secrets := range s.cluster.secretsOf("orders-receiver") {
		if secrets[s.namespace+"/nats/hookbay.creds"] != credentials {
			t.Errorf("a receiver has the credentials %v", len(secrets))
		}
	}

	// An administrator who takes the default back does not take the stream away.
	before := s.podNames()
	s.stopManager()
	s.buffer = defaults.Buffer{Type: hookbayv1alpha1.BufferDisk}
	s.startManager("example.com/receiver:v1")
	s.condition("orders", hookbayv1alpha1.ConditionStalled, metav1.ConditionTrue, hookbayv1alpha1.ReasonBufferIncomplete, "--jetstream-url")
	if got := s.podNames(); len(got) != len(before) || got[0] != before[0] || s.endpoint("orders").Status.BufferType != hookbayv1alpha1.BufferJetStream {
		t.Errorf("pods were %v and are %v; the buffer is %s", before, got, s.endpoint("orders").Status.BufferType)
	}
	s.change("orders", func(e *hookbayv1alpha1.WebhookEndpoint) {
		inStream("nats://common:4222")(e)
		e.Spec.Buffer.JetStream.CredentialsRef = &hookbayv1alpha1.SecretKeyRef{Name: "nats", Key: "hookbay.creds"}
	})
	s.ready("orders")
	s.noCondition("orders", hookbayv1alpha1.ConditionStalled)
	if got := s.podNames(); got[0] != before[0] {
		t.Errorf("pods were restarted, though nothing has changed for them: %v, before %v", got, before)
	}
}

func TestStory_aStreamOfNoServers(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.create(endpoint("orders", inStream(), func(e *hookbayv1alpha1.WebhookEndpoint) {
		e.Spec.Exposure = hookbayv1alpha1.Exposure{Host: "hooks.example.com", Ingress: &hookbayv1alpha1.Ingress{}}
	}))
	const words = `no NATS server is named: write buffer.jetStream.urls, such as ["nats://nats.messaging.svc:4222"], or have the administrator set --jetstream-url`
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonBufferIncomplete, words)
	s.condition("orders", hookbayv1alpha1.ConditionStalled, metav1.ConditionTrue, hookbayv1alpha1.ReasonBufferIncomplete, words)
	s.condition("orders", hookbayv1alpha1.ConditionExposed, metav1.ConditionFalse, hookbayv1alpha1.ReasonBufferIncomplete, "where events are kept")
	s.absent(&appsv1.Deployment{}, "orders-receiver")
	s.absent(&corev1.ConfigMap{}, "orders-receiver")

	s.change("orders", inStream("nats://nats:4222"))
	s.admit("orders-receiver")
	s.ready("orders")
	s.noCondition("orders", hookbayv1alpha1.ConditionStalled)
}

func TestStory_theServersOfAStreamAreAway(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.create(endpoint("orders", inStream("nats://nats:4222")))
	s.ready("orders")
	const why = "no connection to NATS at nats:4222: connection refused"
	s.cluster.let(func(k *cluster) { k.noBuffer["orders-receiver"] = why })
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonBufferAway, why)
	s.condition("orders", hookbayv1alpha1.ConditionReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonBufferAway, "callbacks are refused with 503")
	s.cluster.let(func(k *cluster) { delete(k.noBuffer, "orders-receiver") })
	s.ready("orders")
}
