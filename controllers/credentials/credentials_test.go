package credentials

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nkeys"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/receiver/config"
)

type check struct {
	target hookbayv1alpha1.Target
	buffer hookbayv1alpha1.Buffer
	values map[string]string // by key
	want   []string          // the beginning of each line
}

// brokers are targets and buffers that log in to NATS and Kafka.
func brokers(t *testing.T, ref func(string) *hookbayv1alpha1.SecretKeyRef) map[string]check {
	t.Helper()
	kafka := hookbayv1alpha1.Target{Type: hookbayv1alpha1.TargetKafka, Kafka: &hookbayv1alpha1.KafkaTarget{
		Brokers: []string{"kafka:9092"}, Topic: "events", TLS: &hookbayv1alpha1.TLS{CABundleRef: ref("ca")},
		SASL: &hookbayv1alpha1.KafkaSASL{Mechanism: hookbayv1alpha1.SASLPlain, UserRef: *ref("user"), PasswordRef: *ref("password")},
	}}
	inNATS := func(n hookbayv1alpha1.NATS) hookbayv1alpha1.Buffer {
		n.URLs = []string{"nats://nats:4222"}
		return hookbayv1alpha1.Buffer{Type: hookbayv1alpha1.BufferJetStream, JetStream: &hookbayv1alpha1.JetStreamBuffer{NATS: n}}
	}
	toNATS := hookbayv1alpha1.Target{Type: hookbayv1alpha1.TargetJetStream, JetStream: &hookbayv1alpha1.JetStreamTarget{Subject: "events"}}
	toNATS.JetStream.NATS = hookbayv1alpha1.NATS{URLs: []string{"nats://nats:4222"}, NKeySeedRef: ref("seed")}
	seed := newSeed(t)
	return map[string]check{
		"a stream of nobody's": {target: kafka, buffer: inNATS(hookbayv1alpha1.NATS{CredentialsRef: ref("creds"), TLS: &hookbayv1alpha1.TLS{CABundleRef: ref("ca")}}),
			values: map[string]string{"app": "hunter2", "user": "hunter2", "password": "hunter2", "ca": "hunter2", "creds": "hunter2"},
			want: []string{
				"spec.target.kafka.tls.caBundleRef: the key ca of shop holds no certificate",
				"spec.buffer.jetStream.credentialsRef: the key creds of shop is no .creds file",
			},
		},
		"a password that is empty": {target: kafka, values: map[string]string{"app": "hunter2", "user": "hunter2", "password": "", "ca": "hunter2"},
			want: []string{"spec.target.kafka.sasl.passwordRef: the key password of shop"},
		},
		"a seed that is none": {target: toNATS, values: map[string]string{"app": "hunter2", "seed": "hunter2"},
			want: []string{"spec.target.jetStream.nkeySeedRef: the key seed of shop holds no user's NKey seed"},
		},
		"a CA that is none": {target: toNATS, buffer: inNATS(hookbayv1alpha1.NATS{TokenRef: ref("token"), TLS: &hookbayv1alpha1.TLS{CABundleRef: ref("ca")}}),
			values: map[string]string{"app": "hunter2", "seed": seed, "token": "hunter2", "ca": "hunter2"},
			want:   []string{"spec.buffer.jetStream.tls.caBundleRef: the key ca of shop holds no certificate"},
		},
		"logins that can be used": {target: toNATS, buffer: inNATS(hookbayv1alpha1.NATS{UserRef: ref("user"), PasswordRef: ref("password")}),
			values: map[string]string{"app": "hunter2", "seed": seed, "user": "hunter2", "password": "hunter2"},
		},
	}
}

// newSeed makes the NKey seed of a user.
func newSeed(t *testing.T) string {
	t.Helper()
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	return string(seed)
}

func TestCheck(t *testing.T) {
	ref := func(key string) *hookbayv1alpha1.SecretKeyRef {
		return &hookbayv1alpha1.SecretKeyRef{Name: "shop", Key: key}
	}
	all := hookbayv1alpha1.Target{
		Type: hookbayv1alpha1.TargetURL, URL: "https://chat.example.com/", CABundleRef: ref("ca"), SigningSecretRef: ref("sign"), BearerTokenRef: ref("token"),
	}
	only := func(change func(*hookbayv1alpha1.Target)) hookbayv1alpha1.Target {
		target := hookbayv1alpha1.Target{Type: hookbayv1alpha1.TargetURL, URL: "https://chat.example.com/"}
		change(&target)
		return target
	}
	tests := map[string]check{
		"all are what they should be": {
			target: only(func(t *hookbayv1alpha1.Target) { t.SigningSecretRef, t.BearerTokenRef = ref("sign"), ref("token") }),
			values: map[string]string{"app": "hunter2", "sign": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", "token": "hunter2"},
		},
		"a signing secret that is none": {
			target: only(func(t *hookbayv1alpha1.Target) { t.SigningSecretRef = ref("sign") }),
			values: map[string]string{"app": "hunter2", "sign": "hunter2"},
			want:   []string{"spec.target.signingSecretRef: the key sign of shop"},
		},
		"a CA bundle without a certificate": {
			target: only(func(t *hookbayv1alpha1.Target) { t.CABundleRef = ref("ca") }),
			values: map[string]string{"app": "hunter2", "ca": "hunter2"},
			want:   []string{"spec.target.caBundleRef: the key ca of shop holds no certificate"},
		},
		"an app secret and a token that are too large": {
			target: only(func(t *hookbayv1alpha1.Target) { t.BearerTokenRef = ref("token") }),
			values: map[string]string{"app": strings.Repeat("hunter2", 1<<18), "token": strings.Repeat("hunter2", 1<<14)},
			want: []string{
				"read the app secrets: spec.source.lazada.appSecretRefs: the key app of shop holds 1835008 bytes, and a credential has 16384 at most: ",
				"spec.target.bearerTokenRef: the key token of shop holds 114688 bytes, and a credential has 16384 at most: ",
			},
		},
		"an app secret that is empty, and a target as bad": {
			target: all,
			values: map[string]string{"app": "", "sign": "hunter2", "ca": "hunter2", "token": "hunter2"},
			want:   []string{"read the app secrets: spec.source.lazada.appSecretRefs: the key app of shop is empty", "spec.target."},
		},
	}
	maps.Copy(tests, brokers(t, ref))
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := &hookbayv1alpha1.WebhookEndpoint{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "im"}}
			e.Spec.Source = hookbayv1alpha1.Source{Type: hookbayv1alpha1.SourceLazada, Lazada: &hookbayv1alpha1.LazadaSource{
				AppKey: "100132", AppSecretRefs: []hookbayv1alpha1.SecretKeyRef{*ref("app")},
			}}
			e.Spec.Target, e.Spec.Buffer = tt.target, tt.buffer
			values := config.Secrets{}
			for key, value := range tt.values {
				values[manifests.SecretFile("shop", *ref(key))] = value
			}
			c := manifests.ReceiverConfig([]hookbayv1alpha1.WebhookEndpoint{*e}).Endpoints[0]
			err := Check(e, &c, values, func(r manifests.SecretRef) string { return "the key " + r.Key + " of " + r.Name })
			var got []string
			if err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			begins := cmp.Comparer(func(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) })
			if diff := cmp.Diff(tt.want, got, begins); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if strings.Contains(strings.Join(got, ""), "hunter2") {
				t.Errorf("a value is told: %v", got)
			}
		})
	}
}
