package controllers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
)

// The stories of an endpoint, on a real API server: see story for what is played and what is real.

func TestStory_anEndpointIsCreatedAndBecomesReady(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.create(endpoint("orders"))
	s.ready("orders")

	e := s.endpoint("orders")
	want := hookbayv1alpha1.WebhookEndpointStatus{
		ObservedGeneration: 1,
		URL:                "http://orders-receiver." + s.namespace + ".svc/" + s.namespace + "/orders",
		Replicas:           2,
		Selector:           "app.kubernetes.io/instance=orders,app.kubernetes.io/managed-by=hookbay,app.kubernetes.io/name=receiver",
		BufferType:         hookbayv1alpha1.BufferDisk,
		DiskSize:           "10Gi",
		Traffic:            &hookbayv1alpha1.Traffic{},
		Receivers: []hookbayv1alpha1.ReceiverStatus{
			{Name: "orders-0", Node: "node1", Ready: true, Backlog: new(int64(0)), DeadLettered: new(int64(0))},
			{Name: "orders-1", Node: "node1", Ready: true, Backlog: new(int64(0)), DeadLettered: new(int64(0))},
		},
	}
	got := *e.Status.DeepCopy()
	got.Conditions = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status without conditions (-want +got):\n%s", diff)
	}
	s.condition("orders", hookbayv1alpha1.ConditionCredentialsReady, metav1.ConditionTrue, hookbayv1alpha1.ReasonCredentialsFound, "1 credential")
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionTrue, hookbayv1alpha1.ReasonReceiversReady, "2 of 2 receivers are ready")
	s.condition("orders", hookbayv1alpha1.ConditionExposed, metav1.ConditionTrue, hookbayv1alpha1.ReasonServiceOnly, "Service orders-receiver")
	s.condition("orders", hookbayv1alpha1.ConditionProgrammed, metav1.ConditionTrue, hookbayv1alpha1.ReasonConfigServed, "2 of 2 receivers serve generation 1")
	s.condition("orders", hookbayv1alpha1.ConditionDelivering, metav1.ConditionTrue, hookbayv1alpha1.ReasonDelivered, "")
	for _, kind := range []client.Object{&corev1.ConfigMap{}, &corev1.Service{}, &corev1.ServiceAccount{}, &networkingv1.NetworkPolicy{}} {
		s.get(kind, "orders-receiver")
	}
	s.absent(&networkingv1.Ingress{}, "orders-receiver")
}

func TestStory_aChangedSpecReachesRunningReceivers(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.create(endpoint("orders"))
	s.ready("orders")
	before := s.podNames()

	s.change("orders", func(e *hookbayv1alpha1.WebhookEndpoint) { e.Spec.Delivery.MaxInFlight = 7 })
	s.condition("orders", hookbayv1alpha1.ConditionProgrammed, metav1.ConditionTrue, hookbayv1alpha1.ReasonConfigServed, "2 of 2 receivers serve generation 2")
	s.ready("orders")
	for _, replica := range []string{"orders-0", "orders-1"} {
		if got := s.cluster.configOf(replica)[0].Endpoints[0].Delivery.MaxInFlight; got != 7 {
			t.Errorf("%s has maxInFlight %d, want 7", replica, got)
		}
	}
	if diff := cmp.Diff(before, s.podNames()); diff != "" {
		t.Errorf("pods were restarted for a change that can be taken hot (-before +after):\n%s", diff)
	}
}

func TestStory_aSecretIsRotatedWithoutAGap(t *testing.T) {
	s := newStory(t)
	s.secret("old", "app-secret", "old-value")
	s.create(endpoint("orders", func(e *hookbayv1alpha1.WebhookEndpoint) { refs(e, "old") }))
	s.ready("orders")

	// The new credential is named beside the old one: that takes new pods, one after another.
	s.secret("new", "app-secret", "new-value")
	s.change("orders", func(e *hookbayv1alpha1.WebhookEndpoint) { refs(e, "old", "new") })
	s.ready("orders")
	s.stoppedOneByOne("orders-0", "orders-1")
	for _, replica := range []string{"orders-0", "orders-1"} {
		want := map[string]string{s.namespace + "/old/app-secret": "old-value", s.namespace + "/new/app-secret": "new-value"}
		if diff := cmp.Diff([]map[string]string{want}, s.cluster.secretsOf(replica)); diff != "" {
			t.Errorf("credentials of %s in between (-want +got):\n%s", replica, diff)
		}
	}

	// A value that changes needs none.
	pods := s.podNames()
	s.secret("new", "app-secret", "newer-value")
	s.eventually("the new value is mounted", func() bool {
		for _, replica := range []string{"orders-0", "orders-1"} {
			for _, secrets := range s.cluster.secretsOf(replica) {
				if secrets[s.namespace+"/new/app-secret"] != "newer-value" {
					return false
				}
			}
		}
		return true
	})
	s.ready("orders")
	if diff := cmp.Diff(pods, s.podNames()); diff != "" {
		t.Errorf("pods were restarted for a new value (-before +after):\n%s", diff)
	}

	s.change("orders", func(e *hookbayv1alpha1.WebhookEndpoint) { refs(e, "new") })
	s.ready("orders")
	if got := len(s.cluster.secretsOf("orders-0")[0]); got != 1 {
		t.Errorf("%d credentials are mounted after the rotation, want 1", got)
	}
}

func TestStory_aSecretIsMissingAndThenAppears(t *testing.T) {
	s := newStory(t)
	s.create(endpoint("orders"))
	s.condition("orders", hookbayv1alpha1.ConditionCredentialsReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonSecretMissing,
		"spec.source.lazada.appSecretRefs[0]: Secret "+s.namespace+"/lazada-app does not exist: create it, with the key app-secret")
	s.condition("orders", hookbayv1alpha1.ConditionReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonSecretMissing, "lazada-app")
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonWaitingForCredentials, "")
	s.absent(&appsv1.Deployment{}, "orders-0")

	s.secret("lazada-app", "wrong-key", "s3cret")
	s.condition("orders", hookbayv1alpha1.ConditionCredentialsReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonKeyMissing, "has no key app-secret: add it")
	s.secret("lazada-app", "app-secret", "")
	s.condition("orders", hookbayv1alpha1.ConditionCredentialsReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonCredentialInvalid, "is empty")
	s.secret("lazada-app", "app-secret", "s3cret")
	s.ready("orders")

	// One that goes takes nothing away from receivers that run.
	pods := s.podNames()
	s.remove(&corev1.Secret{}, "lazada-app")
	s.condition("orders", hookbayv1alpha1.ConditionReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonSecretMissing, "")
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionTrue, hookbayv1alpha1.ReasonReceiversReady, "")
	if diff := cmp.Diff(pods, s.podNames()); diff != "" {
		t.Errorf("pods changed when a Secret went (-before +after):\n%s", diff)
	}
	s.secret("lazada-app", "app-secret", "s3cret")
	s.ready("orders")
}

func TestStory_theOldestEndpointHasTheHost(t *testing.T) {
	s := newStory(t)
	other := s.namespaceBeside()
	s.secret("lazada-app", "app-secret", "s3cret")
	address := func(e *hookbayv1alpha1.WebhookEndpoint) {
		e.Spec.Exposure = hookbayv1alpha1.Exposure{Host: "hooks.example.com", Path: "/lazada", Ingress: &hookbayv1alpha1.Ingress{}}
	}
	s.create(endpoint("first", address))
	s.admit("first-receiver")
	s.ready("first")

	other.secret("lazada-app", "app-secret", "s3cret")
	other.later()
	other.create(endpoint("second", address))
	other.condition("second", hookbayv1alpha1.ConditionExposed, metav1.ConditionFalse, hookbayv1alpha1.ReasonAddressTaken,
		s.namespace+"/first has the same host and path, hooks.example.com/lazada")
	other.condition("second", hookbayv1alpha1.ConditionStalled, metav1.ConditionTrue, hookbayv1alpha1.ReasonAddressTaken, "")
	other.absent(&networkingv1.Ingress{}, "second-receiver")
	if url := other.endpoint("second").Status.URL; url != "" {
		t.Errorf("the second endpoint shows the URL %s, which leads to the first", url)
	}
	s.condition("first", hookbayv1alpha1.ConditionExposed, metav1.ConditionTrue, hookbayv1alpha1.ReasonIngressAdmitted, "")

	// It steps in as soon as the address is free.
	s.change("first", func(e *hookbayv1alpha1.WebhookEndpoint) { e.Spec.Exposure.Path = "/lazada-old" })
	other.admit("second-receiver")
	other.ready("second")
	other.noCondition("second", hookbayv1alpha1.ConditionStalled)

	// Nobody takes it away again by a change of his spec, however old his endpoint is.
	s.change("first", func(e *hookbayv1alpha1.WebhookEndpoint) { e.Spec.Exposure.Path = "/lazada" })
	s.condition("first", hookbayv1alpha1.ConditionExposed, metav1.ConditionFalse, hookbayv1alpha1.ReasonAddressTaken,
		other.namespace+"/second has the same host and path")
	s.absent(&networkingv1.Ingress{}, "first-receiver")
	other.condition("second", hookbayv1alpha1.ConditionExposed, metav1.ConditionTrue, hookbayv1alpha1.ReasonIngressAdmitted, "")
	s.remove(&hookbayv1alpha1.WebhookEndpoint{}, "first")
}

func TestStory_ingressOffAndHTTPRouteOn(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.create(endpoint("orders", func(e *hookbayv1alpha1.WebhookEndpoint) {
		e.Spec.Exposure = hookbayv1alpha1.Exposure{Host: "orders.example.com", Ingress: &hookbayv1alpha1.Ingress{
			ClassName: new("nginx"), TLSSecretName: "orders-tls", Annotations: map[string]string{"cert-manager.io/cluster-issuer": "letsencrypt"},
		}}
	}))
	s.condition("orders", hookbayv1alpha1.ConditionExposed, metav1.ConditionFalse, hookbayv1alpha1.ReasonTLSSecretMissing,
		"exposure.ingress.tlsSecretName: Secret "+s.namespace+"/orders-tls does not exist: create it")
	s.secret("orders-tls", "tls.crt", "as cert-manager does, once there is the Ingress")
	s.condition("orders", hookbayv1alpha1.ConditionExposed, metav1.ConditionFalse, hookbayv1alpha1.ReasonIngressNotAdmitted,
		"no Ingress controller has published an address for Ingress "+s.namespace+"/orders-receiver (class nginx)")
	s.admit("orders-receiver")
	s.ready("orders")
	if url, want := s.endpoint("orders").Status.URL, "https://orders.example.com/"+s.namespace+"/orders"; url != want {
		t.Errorf("url is %s, want %s", url, want)
	}

	s.change("orders", func(e *hookbayv1alpha1.WebhookEndpoint) {
		e.Spec.Exposure.Ingress = nil
		e.Spec.Exposure.HTTPRoute = &hookbayv1alpha1.HTTPRoute{ParentRefs: []hookbayv1alpha1.ParentRef{{Name: "public", Namespace: "gateways"}}}
	})
	s.condition("orders", hookbayv1alpha1.ConditionExposed, metav1.ConditionFalse, hookbayv1alpha1.ReasonRoutePending,
		"Gateway gateways/public has not looked at it yet")
	s.absent(&networkingv1.Ingress{}, "orders-receiver")
	s.judgeRoute("orders-receiver", metav1.ConditionFalse, "NotAllowedByListeners", "no listener allows routes from this namespace")
	s.condition("orders", hookbayv1alpha1.ConditionExposed, metav1.ConditionFalse, hookbayv1alpha1.ReasonRouteNotAccepted,
		"Accepted is False (NotAllowedByListeners): no listener allows routes from this namespace: let allowedRoutes.namespaces of a listener of the Gateway admit namespace "+s.namespace)
	s.judgeRoute("orders-receiver", metav1.ConditionTrue, "Accepted", "")
	s.ready("orders")

	s.change("orders", func(e *hookbayv1alpha1.WebhookEndpoint) { e.Spec.Exposure = hookbayv1alpha1.Exposure{} })
	s.ready("orders")
	s.absent(&gatewayv1.HTTPRoute{}, "orders-receiver")
}

func TestStory_theBufferTypeStaysWhatItIs(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.create(endpoint("orders")) // without a type: the manager's default
	s.ready("orders")

	// The API server knows from status what runs.
	s.eventually("status tells the type", func() bool { return s.endpoint("orders").Status.BufferType == hookbayv1alpha1.BufferDisk })
	orders := s.endpoint("orders")
	orders.Spec.Buffer.Type = hookbayv1alpha1.BufferNone
	if err := s.admin.Update(t.Context(), orders); err == nil || !strings.Contains(err.Error(), "buffer.type can't be changed") {
		t.Errorf("changing the default: %v, want a refusal that says so", err)
	}
	// A label that somebody takes off a Deployment does not make it another.
	deployment := s.get(&appsv1.Deployment{}, "orders-0")
	delete(deployment.GetLabels(), manifests.LabelReplica)
	s.update(deployment)
	s.eventually("the label is back", func() bool {
		return s.get(&appsv1.Deployment{}, "orders-0").GetLabels()[manifests.LabelReplica] == "0"
	})
	s.absent(&appsv1.Deployment{}, "orders-receiver")
	s.ready("orders")

	s.create(endpoint("fixed", func(e *hookbayv1alpha1.WebhookEndpoint) { e.Spec.Buffer.Type = hookbayv1alpha1.BufferDisk }))
	s.ready("fixed")
	e := s.endpoint("fixed")
	e.Spec.Buffer.Type = hookbayv1alpha1.BufferNone
	if err := s.admin.Update(t.Context(), e); err == nil || !strings.Contains(err.Error(), "buffer.type can't be changed") {
		t.Errorf("changing buffer.type: %v, want a refusal that says so", err)
	}
	s.change("fixed", func(e *hookbayv1alpha1.WebhookEndpoint) { e.Spec.Delivery.Suspend = true })
	s.condition("fixed", hookbayv1alpha1.ConditionDelivering, metav1.ConditionFalse, hookbayv1alpha1.ReasonSuspended, "")
}

func TestStory_receiversWithoutVolumesScaleByThemselves(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.create(endpoint("orders", func(e *hookbayv1alpha1.WebhookEndpoint) {
		e.Spec.Buffer.Type = hookbayv1alpha1.BufferNone
		e.Spec.Receiver.Autoscaling = &hookbayv1alpha1.Autoscaling{MinReplicas: 2, MaxReplicas: 6}
	}))
	s.scale("orders-receiver", 3) // what an autoscaler does
	s.ready("orders")
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionTrue, hookbayv1alpha1.ReasonReceiversReady, "3 of 3 receivers are ready")
	s.change("orders", func(e *hookbayv1alpha1.WebhookEndpoint) { e.Spec.Delivery.MaxInFlight = 3 })
	s.condition("orders", hookbayv1alpha1.ConditionProgrammed, metav1.ConditionTrue, hookbayv1alpha1.ReasonConfigServed, "3 of 3 receivers serve generation 2")
	if got := *s.get(&appsv1.Deployment{}, "orders-receiver").(*appsv1.Deployment).Spec.Replicas; got != 3 {
		t.Errorf("replicas were set back to %d: they are the autoscaler's", got)
	}
	s.absent(&corev1.PersistentVolumeClaim{}, "orders-0")
}

func TestStory_scaledOutAndInAgain(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.create(endpoint("orders"))
	s.ready("orders")
	s.scaleOrders(3)
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionTrue, hookbayv1alpha1.ReasonReceiversReady, "3 of 3 receivers are ready")
	s.ready("orders")

	// Scaling in waits for the events of the replica that goes, which takes no callbacks any more.
	s.cluster.let(func(k *cluster) { k.backlog["orders-2"] = 5 })
	s.scaleOrders(2)
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionTrue, hookbayv1alpha1.ReasonReceiversReady,
		"2 of 2 receivers are ready; orders-2 has 5 events to deliver before it goes")
	if got := s.get(&appsv1.Deployment{}, "orders-2").(*appsv1.Deployment).Spec.Template.Labels[manifests.LabelTraffic]; got != manifests.TrafficDrain {
		t.Errorf("the replica that goes has traffic %s, want %s", got, manifests.TrafficDrain)
	}
	if got := s.endpoint("orders").Status; got.Replicas != 2 || got.Traffic.Backlog != 5 {
		t.Errorf("status tells %d replicas and a backlog of %d, want 2 and 5", got.Replicas, got.Traffic.Backlog)
	}

	// It can be taken back on the way,
	s.scaleOrders(3)
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionTrue, hookbayv1alpha1.ReasonReceiversReady, "3 of 3 receivers are ready")

	// and ends when nothing is left. The volume stays, with the dead letters on it.
	s.scaleOrders(2)
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionTrue, hookbayv1alpha1.ReasonReceiversReady, "has 5 events to deliver")
	s.cluster.let(func(k *cluster) { k.backlog["orders-2"] = 0 })
	s.gone(&appsv1.Deployment{}, "orders-2")
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionTrue, hookbayv1alpha1.ReasonReceiversReady, "2 of 2 receivers are ready")
	s.get(&corev1.PersistentVolumeClaim{}, "orders-2")
}

func TestStory_diskGrows(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	size := func(class, size string) func(*hookbayv1alpha1.WebhookEndpoint) {
		return func(e *hookbayv1alpha1.WebhookEndpoint) {
			e.Spec.Buffer.Disk = &hookbayv1alpha1.DiskBuffer{StorageClassName: &class, Size: new(resource.MustParse(size))}
		}
	}
	s.create(endpoint("orders", size("grows", "1Gi")))
	s.create(endpoint("chat", size("stays", "1Gi")))
	s.ready("orders")
	s.ready("chat")

	s.change("orders", size("grows", "2Gi"))
	s.eventually("the claims have grown", func() bool {
		for _, name := range []string{"orders-0", "orders-1"} {
			claim := s.get(&corev1.PersistentVolumeClaim{}, name).(*corev1.PersistentVolumeClaim)
			if got := claim.Spec.Resources.Requests[corev1.ResourceStorage]; got.String() != "2Gi" {
				return false
			}
		}
		return true
	})
	s.ready("orders")
	s.stoppedOneByOne("orders-0", "orders-1")

	pods := s.podNames()
	s.change("chat", size("stays", "2Gi"))
	s.condition("chat", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonVolumeResizeRefused,
		"claim chat-0 can't grow from 1Gi to 2Gi, so the receivers go on with 1Gi")
	s.condition("chat", hookbayv1alpha1.ConditionStalled, metav1.ConditionTrue, hookbayv1alpha1.ReasonVolumeResizeRefused, "allowVolumeExpansion")
	if diff := cmp.Diff(pods, s.podNames()); diff != "" {
		t.Errorf("pods were restarted for a size that can't be had (-before +after):\n%s", diff)
	}
}

func TestStory_whatOthersOwnStaysAndDriftIsRepaired(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.create(endpoint("orders"))
	s.ready("orders")

	service := s.get(&corev1.Service{}, "orders-receiver").(*corev1.Service)
	service.Annotations = map[string]string{"example.com/mesh": "on"}
	service.Spec.Selector["app.kubernetes.io/instance"] = "elsewhere"
	s.update(service)
	s.eventually("the selector is put back", func() bool {
		return s.get(&corev1.Service{}, "orders-receiver").(*corev1.Service).Spec.Selector["app.kubernetes.io/instance"] == "orders"
	})
	if got := s.get(&corev1.Service{}, "orders-receiver").GetAnnotations()["example.com/mesh"]; got != "on" {
		t.Error("an annotation of somebody else was removed")
	}
	s.remove(&corev1.ConfigMap{}, "orders-receiver")
	s.eventually("a removed child is made again", func() bool { return s.exists(&corev1.ConfigMap{}, "orders-receiver") })
	s.ready("orders")

	// What isn't ours is never taken over.
	s.createObject(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "chat-receiver"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1}}},
	})
	s.create(endpoint("chat"))
	s.condition("chat", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonNameTaken,
		"Service "+s.namespace+"/chat-receiver exists and is not this endpoint's")
	if got := s.get(&corev1.Service{}, "chat-receiver").(*corev1.Service).Spec.Ports[0].Port; got != 1 {
		t.Errorf("somebody's Service has port %d now", got)
	}
}

func TestStory_deletedWithAndWithoutItsVolumes(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.create(endpoint("keeps"))
	s.create(endpoint("deletes", func(e *hookbayv1alpha1.WebhookEndpoint) {
		e.Spec.Buffer.Disk = &hookbayv1alpha1.DiskBuffer{WhenDeleted: hookbayv1alpha1.WhenDeletedDelete}
	}))
	s.ready("keeps")
	s.ready("deletes")
	for name, owned := range map[string]bool{"keeps-0": false, "deletes-0": true} {
		owners := s.get(&corev1.PersistentVolumeClaim{}, name).GetOwnerReferences()
		if (len(owners) == 1) != owned {
			t.Errorf("claim %s has the owners %v, want owned %v: the garbage collector goes by them", name, owners, owned)
		}
	}
	s.change("deletes", func(e *hookbayv1alpha1.WebhookEndpoint) {
		e.Spec.Buffer.Disk.WhenDeleted = hookbayv1alpha1.WhenDeletedRetain
	})
	s.eventually("the claim is let go", func() bool {
		return len(s.get(&corev1.PersistentVolumeClaim{}, "deletes-0").GetOwnerReferences()) == 0
	})
	for _, child := range []client.Object{&appsv1.Deployment{}, &corev1.Service{}} {
		name := "keeps-receiver"
		if _, ok := child.(*appsv1.Deployment); ok {
			name = "keeps-0"
		}
		if !metav1.IsControlledBy(s.get(child, name), s.endpoint("keeps")) {
			t.Errorf("%T %s does not go with its endpoint", child, name)
		}
	}

	// Another endpoint of that name takes the volumes over, also if it asks for less.
	uid := s.get(&corev1.PersistentVolumeClaim{}, "keeps-0").GetUID()
	s.remove(&hookbayv1alpha1.WebhookEndpoint{}, "keeps")
	s.collectGarbage("keeps")
	s.create(endpoint("keeps", func(e *hookbayv1alpha1.WebhookEndpoint) {
		e.Spec.Buffer.Disk = &hookbayv1alpha1.DiskBuffer{Size: new(resource.MustParse("5Gi"))}
	}))
	s.ready("keeps")
	if got := s.get(&corev1.PersistentVolumeClaim{}, "keeps-0").GetUID(); got != uid {
		t.Error("the retained volume was not taken over")
	}
}

func TestStory_theReceiverImageIsUpgraded(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.create(endpoint("orders", func(e *hookbayv1alpha1.WebhookEndpoint) { e.Spec.Receiver.Replicas = new(int32(3)) }))
	s.ready("orders")
	s.stopManager()
	s.startManager("example.com/receiver:v2")
	s.eventually("all pods have the new image", func() bool { return s.images() == "example.com/receiver:v2" })
	s.ready("orders")
	s.stoppedOneByOne("orders-0", "orders-1", "orders-2")

	// One that can't be had stops at the first replica; a good one goes on from there.
	s.stopManager()
	s.cluster.let(func(k *cluster) { k.noImage = "example.com/receiver:typo" })
	s.startManager("example.com/receiver:typo")
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonImagePullFailed,
		"2 of 3 receivers are ready; image example.com/receiver:typo can't be pulled")
	s.stopManager()
	s.startManager("example.com/receiver:v3")
	s.eventually("all pods have the new image", func() bool { return s.images() == "example.com/receiver:v3" })
	s.ready("orders")
}

// The samples as they are, but for the namespace: the pods of each are admitted under Pod Security "restricted".
func TestStory_everySampleBecomesReady(t *testing.T) {
	s := newStory(t)
	files, err := filepath.Glob("../config/samples*/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	var names []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(data), "\n---\n") {
			var o unstructured.Unstructured
			if err := yaml.Unmarshal([]byte(document), &o.Object); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			s.createObject(&o)
			if o.GetKind() == hookbayv1alpha1.Kind {
				names = append(names, o.GetName())
			}
		}
	}
	if len(names) < 4 {
		t.Errorf("samples of the endpoints %v, want one of each source, and with each broker", names)
	}
	for _, name := range names {
		s.ready(name)
	}
}
