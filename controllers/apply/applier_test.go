package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
)

func (w *world) stateless() *hookbayv1alpha1.WebhookEndpoint {
	w.endpoint.Spec.Buffer.Type = hookbayv1alpha1.BufferNone
	return w.endpoint
}

func (w *world) deployment() *appsv1.Deployment {
	return manifests.Deployment(w.stateless(), settings)
}

func TestApply_writesOnce(t *testing.T) {
	w := newWorld(t)
	var made client.Object
	if writes := w.wrote(func() { made = w.apply(w.deployment()) }); len(writes) != 1 {
		t.Errorf("making it took %q, want one request", writes)
	}
	live := get(w, w.deployment())
	if live.UID == "" || made.GetUID() != live.UID || made.GetResourceVersion() != live.ResourceVersion {
		t.Errorf("Apply returned UID %s version %s, want %s %s", made.GetUID(), made.GetResourceVersion(), live.UID, live.ResourceVersion)
	}
	if kind := made.GetObjectKind().GroupVersionKind().Kind; kind != "Deployment" {
		t.Errorf("Apply returned kind %q", kind)
	}
	w.wantNoWrite("applying again", func() { made = w.apply(w.deployment()) })
	if kind := made.GetObjectKind().GroupVersionKind().Kind; made.GetUID() != live.UID || kind != "Deployment" {
		t.Errorf("applying again returned %s with UID %s, want a Deployment with %s", kind, made.GetUID(), live.UID)
	}
	w.applier = New(w.client, w.client, nil)
	w.wantNoWrite("applying again after a restart", func() { w.apply(w.deployment()) })
}

func TestApply_thereAndBack(t *testing.T) {
	w := newWorld(t)
	w.apply(w.deployment())
	other := w.deployment()
	other.Spec.Template.Spec.Containers[0].Image = "ghcr.io/hookbay/receiver:v0.2.0"
	w.apply(other)
	if writes := w.wrote(func() { w.apply(w.deployment()) }); len(writes) != 1 {
		t.Errorf("going back took %q, want one request", writes)
	}
	if got := get(w, w.deployment()).Spec.Template.Spec.Containers[0].Image; got != settings.Image {
		t.Errorf("image is %s, want %s", got, settings.Image)
	}
}

// Where the API server fills in what we own as a whole, comparing is not enough: what was applied to a version of the live object is known.
func TestApply_remembersWhatCannotBeCompared(t *testing.T) {
	w := newWorld(t)
	want := w.deployment()
	want.Spec.Strategy = appsv1.DeploymentStrategy{} // written as {}
	w.apply(want)
	w.wantNoWrite("applying again", func() { w.apply(want) })
	change(w, want, func(d *appsv1.Deployment) { d.Annotations["a"] = "b" })
	if writes := w.wrote(func() { w.apply(want) }); len(writes) != 1 {
		t.Errorf("after a change: requests %q, want one", writes)
	}
	w.wantNoWrite("applying again", func() { w.apply(want) })
}

// Each change by somebody else to what is ours is put back, by one request.
func TestApply_drift(t *testing.T) {
	for name, drift := range map[string]func(*appsv1.Deployment){
		"a value": func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "evil:latest" },
		"a value in an item of a list": func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers[0].Ports[0].Name = "mine"
		},
		"an item taken away":       func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Ports = nil },
		"a list that is one value": func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Args = []string{"--help"} },
		"a number":                 func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(7)) },
		"a quantity": func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers[0].Resources.Limits["memory"] = resource.MustParse("1Gi")
		},
		"a field taken away":               func(d *appsv1.Deployment) { d.Spec.Template.Spec.SecurityContext.FSGroup = nil },
		"a label's value":                  func(d *appsv1.Deployment) { d.Labels[manifests.LabelName] = "mine" },
		"all labels":                       func(d *appsv1.Deployment) { d.Labels = nil },
		"an annotation of ours":            func(d *appsv1.Deployment) { delete(d.Annotations, manifests.AnnotationTemplate) },
		"the owner":                        func(d *appsv1.Deployment) { d.OwnerReferences = nil },
		"what the API server had given it": func(d *appsv1.Deployment) { d.Spec.Strategy.RollingUpdate = nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.apply(w.deployment())
			before := get(w, w.deployment())
			change(w, w.deployment(), drift)
			var live client.Object
			if writes := w.wrote(func() { live = w.apply(w.deployment()) }); len(writes) != 1 {
				t.Fatalf("requests %q, want one", writes)
			}
			if diff := cmp.Diff(ownState(before), ownState(live.(*appsv1.Deployment))); diff != "" {
				t.Errorf("not put back (-before +after):\n%s", diff)
			}
			w.wantNoWrite("applying again", func() { w.apply(w.deployment()) })
		})
	}
}

// ownState is a Deployment without what the API server notes about it.
func ownState(d *appsv1.Deployment) *appsv1.Deployment {
	d = d.DeepCopy()
	d.TypeMeta = metav1.TypeMeta{}
	d.ManagedFields, d.ResourceVersion, d.Generation = nil, "", 0
	return d
}

func TestApply_foreignFieldsStay(t *testing.T) {
	w := newWorld(t)
	want := w.deployment()
	want.Spec.Replicas = nil
	w.apply(want)
	change(w, want, func(d *appsv1.Deployment) {
		d.Annotations["deployment.kubernetes.io/revision"] = "3"
		d.Labels["team"] = "shop"
		d.Finalizers = []string{"example.com/audit"}
		d.Spec.Replicas = new(int32(5))
		d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, corev1.Container{Name: "sidecar", Image: "mesh:1"})
		d.Spec.Template.Spec.Containers[0].Env = append(d.Spec.Template.Spec.Containers[0].Env, corev1.EnvVar{Name: "TZ", Value: "UTC"})
	})
	w.wantNoWrite("applying over fields of others", func() { w.apply(want) })

	want.Spec.Template.Spec.Containers[0].Image = "ghcr.io/hookbay/receiver:v0.2.0"
	w.apply(want)
	d := get(w, want)
	type state struct {
		Annotation, Label, Image string
		Finalizers               []string
		Replicas                 int32
		Containers, Env          int
	}
	got := state{
		Annotation: d.Annotations["deployment.kubernetes.io/revision"], Label: d.Labels["team"], Finalizers: d.Finalizers,
		Image:    d.Spec.Template.Spec.Containers[0].Image,
		Replicas: *d.Spec.Replicas, Containers: len(d.Spec.Template.Spec.Containers), Env: len(d.Spec.Template.Spec.Containers[0].Env),
	}
	wantState := state{
		Annotation: "3", Label: "shop", Finalizers: []string{"example.com/audit"}, Image: "ghcr.io/hookbay/receiver:v0.2.0",
		Replicas: 5, Containers: 2, Env: len(want.Spec.Template.Spec.Containers[0].Env) + 1,
	}
	if diff := cmp.Diff(wantState, got); diff != "" {
		t.Errorf("after an update of ours (-want +got):\n%s", diff)
	}
}

func TestApply_whatIsNoLongerWantedGoes(t *testing.T) {
	w := newWorld(t)
	want := w.deployment()
	want.Labels["extra"] = "1"
	want.Spec.Template.Spec.NodeSelector = map[string]string{"disk": "ssd"}
	want.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}}
	w.apply(want)

	delete(want.Labels, "extra")
	want.Spec.Template.Spec.NodeSelector = nil
	want.Spec.Template.Spec.Containers[0].Env = want.Spec.Template.Spec.Containers[0].Env[1:]
	if writes := w.wrote(func() { w.apply(want) }); len(writes) != 1 {
		t.Errorf("requests %q, want one", writes)
	}
	d := get(w, want)
	if _, found := d.Labels["extra"]; found || d.Spec.Template.Spec.NodeSelector != nil {
		t.Errorf("labels %v, node selector %v are left", d.Labels, d.Spec.Template.Spec.NodeSelector)
	}
	if diff := cmp.Diff(want.Spec.Template.Spec.Containers[0].Env, d.Spec.Template.Spec.Containers[0].Env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	w.wantNoWrite("applying again", func() { w.apply(want) })
}

// When an autoscaler takes over, the number of receivers must not fall to the API server's default, 1.
func TestApply_replicasAreHandedOver(t *testing.T) {
	w := newWorld(t)
	want := w.deployment()
	want.Spec.Replicas = new(int32(6))
	w.apply(want)

	want.Spec.Replicas = nil
	w.apply(want)
	if d := get(w, want); *d.Spec.Replicas != 6 || d.Generation != 1 {
		t.Errorf("%d replicas in generation %d, want the 6 of before, untouched", *d.Spec.Replicas, d.Generation)
	}
	w.wantNoWrite("applying again", func() { w.apply(want) })

	scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 4}}
	if err := w.other.SubResource("scale").Update(t.Context(), get(w, want), client.WithSubResourceBody(scale)); err != nil {
		t.Fatal(err)
	}
	w.wantNoWrite("applying after the autoscaler", func() { w.apply(want) })
	if d := get(w, want); *d.Spec.Replicas != 4 {
		t.Errorf("%d replicas, want the autoscaler's 4", *d.Spec.Replicas)
	}

	want.Spec.Replicas = new(int32(2))
	w.apply(want)
	if d := get(w, want); *d.Spec.Replicas != 2 {
		t.Errorf("%d replicas, want ours, 2, when the autoscaler is no longer wanted", *d.Spec.Replicas)
	}
	w.wantNoWrite("applying again", func() { w.apply(want) })
}

func TestApply_emptyFieldsAreNotSent(t *testing.T) {
	w := newWorld(t)
	w.apply(manifests.Service(w.endpoint))
	w.apply(manifests.VolumeClaim(w.endpoint, 0))
	for _, o := range []client.Object{get(w, manifests.Service(w.endpoint)), get(w, manifests.VolumeClaim(w.endpoint, 0))} {
		owned, err := ownedFields(o, "v1")
		if err != nil {
			t.Fatal(err)
		}
		elements := map[string]bool{}
		owned.Children.Iterate(func(e fieldpath.PathElement) { elements[e.String()] = true })
		owned.Members.Iterate(func(e fieldpath.PathElement) { elements[e.String()] = true })
		if diff := cmp.Diff(map[string]bool{".metadata": true, ".spec": true}, elements); diff != "" {
			t.Errorf("%s: owned (-want +got):\n%s", o.GetName(), diff)
		}
	}
}
