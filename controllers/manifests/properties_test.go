package manifests

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// endpoint makes one to change: with a host, a Service as target and a credential of Lazada.
func endpoint(name string, change ...func(*hookbayv1alpha1.WebhookEndpoint)) *hookbayv1alpha1.WebhookEndpoint {
	e := &hookbayv1alpha1.WebhookEndpoint{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "an-uid", Generation: 1},
		Spec: hookbayv1alpha1.WebhookEndpointSpec{
			Source: hookbayv1alpha1.Source{
				Type: hookbayv1alpha1.SourceLazada,
				Lazada: &hookbayv1alpha1.LazadaSource{AppKey: "100132", AppSecretRefs: []hookbayv1alpha1.SecretKeyRef{
					{Name: "lazada-app", Key: "app-secret"}, {Name: "lazada-old", Key: "app-secret"},
				}},
			},
			Target: hookbayv1alpha1.Target{
				Type:    hookbayv1alpha1.TargetService,
				Service: &hookbayv1alpha1.ServiceTarget{Name: "chat", Port: 8080, Path: "/events"},
			},
			Exposure: hookbayv1alpha1.Exposure{Host: "hooks.example.com"},
		},
	}
	for _, c := range change {
		c(e)
	}
	return e
}

func withoutVolumes(e *hookbayv1alpha1.WebhookEndpoint) {
	e.Spec.Buffer.Type = hookbayv1alpha1.BufferNone
}

// withEverything asks for all children that there can be.
func withEverything(e *hookbayv1alpha1.WebhookEndpoint) {
	e.Spec.Exposure.Ingress = &hookbayv1alpha1.Ingress{}
	e.Spec.Exposure.HTTPRoute = &hookbayv1alpha1.HTTPRoute{ParentRefs: []hookbayv1alpha1.ParentRef{{Name: "public"}}}
	if stateless(e) {
		e.Spec.Receiver.Autoscaling = &hookbayv1alpha1.Autoscaling{MaxReplicas: 4}
	}
}

// all renders everything that an endpoint can have, with so many replicas.
func all(e *hookbayv1alpha1.WebhookEndpoint, replicas int) []Object {
	objects := Shared(e)
	for _, o := range []Object{
		unlessNil(Deployment(e, settings)), unlessNil(Autoscaler(e)), unlessNil(Ingress(e)), unlessNil(HTTPRoute(e)),
	} {
		if o != nil {
			objects = append(objects, o)
		}
	}
	for i := range replicas {
		if d := ReplicaDeployment(e, settings, i, TrafficServe); d != nil {
			objects = append(objects, d, VolumeClaim(e, i))
		}
	}
	return objects
}

// Endpoints of one namespace, whose names are made to collide, share no child's name; and all names are ones that Kubernetes takes.
func TestNames(t *testing.T) {
	long := strings.Repeat("a", 52) // the longest name that an endpoint can have
	owner := map[string]string{}
	for _, name := range []string{
		"a", "a-0", "a-1", "a-0-0", "a-receiver", "a-receiver-0", "a-0-receiver", "a-receiver-receiver", "receiver", "receiver-0",
		long, long[:50] + "-0", long[:43] + "-receiver",
	} {
		for _, change := range []func(*hookbayv1alpha1.WebhookEndpoint){withoutVolumes, func(*hookbayv1alpha1.WebhookEndpoint) {}} {
			e := endpoint(name, change, withEverything)
			for _, o := range all(e, 32) {
				for _, problem := range validation.IsDNS1035Label(o.GetName()) { // the strictest rule is that for Services
					t.Errorf("endpoint %s: name %s: %s", name, o.GetName(), problem)
				}
				for k, v := range o.GetLabels() {
					for _, problem := range append(validation.IsValidLabelValue(v), validation.IsQualifiedName(k)...) {
						t.Errorf("endpoint %s: label %s=%s of %s: %s", name, k, v, o.GetName(), problem)
					}
				}
				id := fmt.Sprintf("%s/%s", o.GetObjectKind().GroupVersionKind().Kind, o.GetName())
				if first, taken := owner[id]; taken && first != name {
					t.Errorf("endpoints %s and %s both have %s", first, name, id)
				}
				owner[id] = name
			}
		}
	}
}

// Who selects whom: the Service and the budget only receivers that serve, the network policy all of them, and nobody another
// endpoint's, or another replica's.
func TestSelectors(t *testing.T) {
	disk, none := endpoint("im"), endpoint("im", withoutVolumes)
	serving, draining := ReplicaDeployment(disk, settings, 0, TrafficServe), ReplicaDeployment(disk, settings, 0, TrafficDrain)
	tests := map[string]struct {
		deployment  *appsv1.Deployment
		want, serve bool
	}{
		"a replica that serves":    {serving, true, true},
		"a replica that drains":    {draining, true, false},
		"one without volumes":      {Deployment(none, settings), true, true},
		"that of an endpoint im-0": {ReplicaDeployment(endpoint("im-0"), settings, 0, TrafficServe), false, false},
	}
	for name, tt := range tests {
		pod := labels.Set(tt.deployment.Spec.Template.Labels)
		for what, selector := range map[string]map[string]string{
			"Service": Service(disk).Spec.Selector, "budget": DisruptionBudget(disk).Spec.Selector.MatchLabels,
		} {
			if got := labels.SelectorFromSet(selector).Matches(pod); got != tt.serve {
				t.Errorf("%s: the %s selects it: %t, want %t", name, what, got, tt.serve)
			}
		}
		if got := labels.SelectorFromSet(NetworkPolicy(disk).Spec.PodSelector.MatchLabels).Matches(pod); got != tt.want {
			t.Errorf("%s: the network policy selects it: %t, want %t", name, got, tt.want)
		}
		if own := labels.SelectorFromSet(tt.deployment.Spec.Selector.MatchLabels); !own.Matches(pod) {
			t.Errorf("%s: the Deployment %s does not select its own pod, labelled %s", name, own, pod)
		}
	}
	if diff := cmp.Diff(serving.Spec.Selector, draining.Spec.Selector); diff != "" {
		t.Errorf("the selector can never be changed, but does when a replica drains:\n%s", diff)
	}
	other := ReplicaDeployment(disk, settings, 1, TrafficServe)
	if labels.SelectorFromSet(serving.Spec.Selector.MatchLabels).Matches(labels.Set(other.Spec.Template.Labels)) {
		t.Error("replica 0's Deployment selects replica 1's pod")
	}
}

// What drains differs from what serves in nothing but the label that takes it out of the Service.
func TestReplicaDeployment_drain(t *testing.T) {
	serving, draining := ReplicaDeployment(endpoint("im"), settings, 1, TrafficServe), ReplicaDeployment(endpoint("im"), settings, 1, TrafficDrain)
	if serving.Annotations[AnnotationTemplate] == draining.Annotations[AnnotationTemplate] {
		t.Error("the template's digest does not tell them apart")
	}
	for _, d := range []*appsv1.Deployment{serving, draining} {
		delete(d.Annotations, AnnotationTemplate)
		delete(d.Spec.Template.Annotations, AnnotationTemplate)
		delete(d.Spec.Template.Labels, LabelTraffic)
	}
	if diff := cmp.Diff(serving, draining); diff != "" {
		t.Errorf("the rest differs, too (-serve +drain):\n%s", diff)
	}
}

// What the user adds to pods never takes the place of what is Hookbay's, even if the API server's rules were not there.
func TestPodTemplate_ownLabelsWin(t *testing.T) {
	e := endpoint("im", func(e *hookbayv1alpha1.WebhookEndpoint) {
		e.Spec.Receiver.PodLabels = map[string]string{"team": "chat"}
		maps.Copy(e.Spec.Receiver.PodLabels, map[string]string{LabelTraffic: "x", LabelInstance: "x", LabelReplica: "x"})
		e.Spec.Receiver.PodAnnotations = map[string]string{"note": "n", AnnotationTemplate: "x", AnnotationDiskSize: "x"}
	})
	template := ReplicaDeployment(e, settings, 3, TrafficServe).Spec.Template
	want := ServingLabels(e)
	want[LabelReplica], want["team"] = "3", "chat"
	if diff := cmp.Diff(want, template.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if template.Annotations["note"] != "n" || slices.Contains(slices.Collect(maps.Values(template.Annotations)), "x") {
		t.Errorf("annotations are %v", template.Annotations)
	}
}

func TestShared_order(t *testing.T) {
	want := []string{"ConfigMap", "ServiceAccount", "NetworkPolicy", "PodDisruptionBudget", "Service"}
	for replicas, want := range map[int32][]string{2: want, 1: slices.Delete(slices.Clone(want), 3, 4)} {
		var got []string
		for _, o := range Shared(endpoint("im", func(e *hookbayv1alpha1.WebhookEndpoint) { e.Spec.Receiver.Replicas = &replicas })) {
			got = append(got, o.GetObjectKind().GroupVersionKind().Kind)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d replicas (-want +got):\n%s", replicas, diff)
		}
	}
}

func TestURL(t *testing.T) {
	tests := map[string]struct {
		host string
		path hookbayv1alpha1.URLPath
		want string
	}{
		"a host":            {"hooks.example.com", "", "https://hooks.example.com/shop/im"},
		"a host and a path": {"hooks.example.com", "/a", "https://hooks.example.com/a"},
		"no host":           {"", "", "http://im-receiver.shop.svc/shop/im"},
		"only a path":       {"", "/a", "http://im-receiver.shop.svc/a"},
	}
	for name, tt := range tests {
		e := endpoint("im", func(e *hookbayv1alpha1.WebhookEndpoint) {
			e.Spec.Exposure = hookbayv1alpha1.Exposure{Host: tt.host, Path: tt.path}
		})
		if got := URL(e); got != tt.want {
			t.Errorf("%s: URL is %s, want %s", name, got, tt.want)
		}
	}
}
