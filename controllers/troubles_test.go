package controllers

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/apitest"
)

// The stories of what goes wrong in a cluster, and what status says about it.

func TestStory_aRoundWithNothingToDoWritesNothing(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.secret("tls", "tls.crt", "a certificate")
	for _, e := range []*hookbayv1alpha1.WebhookEndpoint{
		endpoint("orders", func(e *hookbayv1alpha1.WebhookEndpoint) {
			e.Spec.Exposure = hookbayv1alpha1.Exposure{
				Host: "orders.example.com", Ingress: &hookbayv1alpha1.Ingress{TLSSecretName: "tls"},
				HTTPRoute: &hookbayv1alpha1.HTTPRoute{ParentRefs: []hookbayv1alpha1.ParentRef{{Name: "public"}}},
			}
		}),
		endpoint("direct", func(e *hookbayv1alpha1.WebhookEndpoint) {
			e.Spec.Buffer.Type = hookbayv1alpha1.BufferNone
			e.Spec.Receiver.Autoscaling = &hookbayv1alpha1.Autoscaling{MaxReplicas: 4}
		}),
	} {
		s.create(e)
	}
	s.scale("direct-receiver", 2)
	s.admit("orders-receiver")
	s.eventually("the route", func() bool { return s.exists(route(), "orders-receiver") })
	s.judgeRoute("orders-receiver", metav1.ConditionTrue, "Accepted", "")
	s.ready("orders")
	s.ready("direct")

	// What a user's change that changes nothing leads to: rounds, and reads at most.
	s.settle()
	s.requests.take()
	for _, name := range []string{"orders", "direct"} {
		service := s.get(&corev1.Service{}, name+"-receiver")
		service.SetAnnotations(map[string]string{"example.com/touched": "yes"})
		s.update(service)
	}
	s.settle()
	for request := range s.requests.take() {
		if !strings.HasPrefix(request, "GET ") {
			t.Errorf("a round with nothing to do wrote: %s", request)
		}
	}
}

func TestStory_troublesOfPodsAreTold(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.cluster.let(func(k *cluster) { k.unbound["orders-1"] = true })
	s.create(endpoint("orders"))
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonReceiversStarting, "1 of 2 receivers are ready")
	s.cluster.let(func(k *cluster) { delete(k.unbound, "orders-1") })
	s.ready("orders")

	s.cluster.let(func(k *cluster) { k.notReady["orders-0"] = "the disk is full: 0 bytes are left" })
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonReceiversNotReady,
		"1 of 2 receivers are ready; receiver orders-0-")
	s.condition("orders", hookbayv1alpha1.ConditionReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonReceiversNotReady,
		"is not ready: the disk is full: 0 bytes are left")
	s.receiver("orders", "orders-0", func(r hookbayv1alpha1.ReceiverStatus) bool { return !r.Ready && r.SilentSince == nil })
	s.receiver("orders", "orders-1", func(r hookbayv1alpha1.ReceiverStatus) bool { return r.Ready && r.SilentSince == nil })
	// With one receiver not ready, none is restarted for an update: the other one takes all callbacks.
	pods := s.podNames()
	s.change("orders", func(e *hookbayv1alpha1.WebhookEndpoint) {
		e.Spec.Receiver.PodLabels = map[string]string{"team": "chat"}
	})
	s.cluster.let(func(k *cluster) { k.notReady["orders-0"] = "" })
	s.ready("orders")
	s.stoppedOneByOne("orders-1")
	if diff := cmp.Diff(pods, s.podNames()); diff == "" {
		t.Error("the update was not made after all")
	}

	s.cluster.let(func(k *cluster) { k.refuses["orders-1"] = "endpoints[0].target.url: not today" })
	s.change("orders", func(e *hookbayv1alpha1.WebhookEndpoint) { e.Spec.Delivery.MaxInFlight = 3 })
	s.condition("orders", hookbayv1alpha1.ConditionProgrammed, metav1.ConditionFalse, hookbayv1alpha1.ReasonConfigRefused,
		"refuses the configuration and goes on with the one before: endpoints[0].target.url: not today")
	s.cluster.let(func(k *cluster) { k.refuses["orders-1"] = "" })
	s.change("orders", func(e *hookbayv1alpha1.WebhookEndpoint) { e.Spec.Delivery.MaxInFlight = 4 })
	s.ready("orders")

	s.cluster.let(func(k *cluster) { k.silent["orders-0"] = true })
	s.change("orders", func(e *hookbayv1alpha1.WebhookEndpoint) { e.Spec.Delivery.MaxInFlight = 5 })
	s.condition("orders", hookbayv1alpha1.ConditionProgrammed, metav1.ConditionUnknown, hookbayv1alpha1.ReasonReceiversUnreachable, "can't be asked")
	s.cluster.let(func(k *cluster) { k.silent["orders-0"] = false })
	s.ready("orders")
}

func TestStory_whatTheAPIServerRefusesIsTold(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.create(endpoint("orders", func(e *hookbayv1alpha1.WebhookEndpoint) {
		e.Spec.Receiver.NodeSelector = map[string]string{"not a label!": "x"}
	}))
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonChildRefused,
		"Deployment "+s.namespace+"/orders-0 is refused: spec.template.spec.nodeSelector")
	s.condition("orders", hookbayv1alpha1.ConditionStalled, metav1.ConditionTrue, hookbayv1alpha1.ReasonChildRefused, "")
	s.settle()
	if writes := s.requests.take(); writes["PATCH /apis/apps/v1/namespaces/"+s.namespace+"/deployments/orders-0"] > 5 {
		t.Errorf("what is refused is tried again and again: %v", writes)
	}
	s.change("orders", func(e *hookbayv1alpha1.WebhookEndpoint) { e.Spec.Receiver.NodeSelector = nil })
	s.ready("orders")
}

func TestStory_eventsDontRepeatThemselves(t *testing.T) {
	s := newStory(t)
	s.create(endpoint("orders"))
	s.condition("orders", hookbayv1alpha1.ConditionReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonSecretMissing, "")
	for range 3 { // rounds that come to the same
		s.secret("another", "key", time.Now().String())
		s.settle()
	}
	s.secret("lazada-app", "app-secret", "s3cret")
	s.ready("orders")
	want := map[string]int{hookbayv1alpha1.ReasonSecretMissing: 1, hookbayv1alpha1.ReasonCredentialsFound: 1, hookbayv1alpha1.ReasonReady: 1}
	apitest.Eventually(t, "the events", func() error {
		var list eventsv1.EventList
		if err := s.admin.List(t.Context(), &list, client.InNamespace(s.namespace)); err != nil {
			return err
		}
		got := map[string]int{}
		for i := range list.Items {
			e := &list.Items[i]
			got[e.Reason]++
			if e.Series != nil {
				got[e.Reason] += int(e.Series.Count)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return errors.New("events (-want +got):\n" + diff)
		}
		return nil
	})
}

// Every pod of every story was admitted under the standard "restricted"; this shows that the API server minds.
func TestStory_podSecurityIsEnforced(t *testing.T) {
	s := newPlace(t)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "root"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "root", Image: "example.com/root"}}},
	}
	if err := s.admin.Create(t.Context(), pod); err == nil || !strings.Contains(err.Error(), "violates PodSecurity") {
		t.Errorf("a pod that runs as root: %v, want a refusal by Pod Security", err)
	}
}

func TestStory_aForeignDeploymentScaledByHandComesBack(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.create(endpoint("orders"))
	s.ready("orders")
	s.scale("orders-0", 0)
	s.eventually("the replica is back", func() bool { return *s.get(&appsv1.Deployment{}, "orders-0").(*appsv1.Deployment).Spec.Replicas == 1 })
	s.ready("orders")
}

func TestRouteWatch_withoutTheGatewayAPI(t *testing.T) {
	w := routeWatch{mapper: meta.NewDefaultRESTMapper([]schema.GroupVersion{appsv1.SchemeGroupVersion})}
	known, err := w.known(t.Context())
	if known || err != nil {
		t.Errorf("known = %v, %v in a cluster without the Gateway API, want false", known, err)
	}
}
