package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookbay/hookbay/controllers/manifests"
)

// Changes by hand that can't be beside what is wanted are put back, too.
func TestApply_driftInTheWay(t *testing.T) {
	replica := func(w *world) client.Object {
		return manifests.ReplicaDeployment(w.endpoint, settings, 0, manifests.TrafficServe)
	}
	pod := func(o client.Object) *corev1.PodSpec { return &o.(*appsv1.Deployment).Spec.Template.Spec }
	for name, test := range map[string]struct {
		child  func(*world) client.Object
		change func(client.Object)
	}{
		"the number of a Service's port": {
			child:  func(w *world) client.Object { return manifests.Service(w.endpoint) },
			change: func(o client.Object) { o.(*corev1.Service).Spec.Ports[0].Port = 8080 },
		},
		"the number of a container's port": {child: replica, change: func(o client.Object) { pod(o).Containers[0].Ports[0].ContainerPort = 1234 }},
		"what a volume is": {child: replica, change: func(o client.Object) {
			for i := range pod(o).Volumes {
				pod(o).Volumes[i].VolumeSource = corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
			}
		}},
		"how a probe is made": {child: replica, change: func(o client.Object) {
			pod(o).Containers[0].ReadinessProbe.ProbeHandler = corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(1)}}
		}},
		"the way of updates": {child: replica, change: func(o client.Object) {
			o.(*appsv1.Deployment).Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			want := test.child(w)
			w.apply(want)
			before := get(w, want)
			change(w, want, test.change)
			writes := w.wrote(func() { w.apply(want) })
			if len(writes) > 3 {
				t.Errorf("requests %q, want three at most", writes)
			}
			if diff := cmp.Diff(specJSON(t, before), specJSON(t, get(w, want))); diff != "" {
				t.Errorf("not put back, by %q (-before +after):\n%s", writes, diff)
			}
			w.wantSettled(want)
		})
	}
}

// Whoever scales is not in the way.
func TestApply_driftInTheWayOfAnAutoscaler(t *testing.T) {
	w := newWorld(t)
	want := w.deployment()
	want.Spec.Replicas = new(int32(6))
	w.apply(want)
	want.Spec.Replicas = nil
	w.apply(want)
	change(w, want, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Ports[0].ContainerPort = 1234 })
	w.apply(want)
	if d := get(w, want); *d.Spec.Replicas != 6 || len(d.Spec.Template.Spec.Containers[0].Ports) != len(want.Spec.Template.Spec.Containers[0].Ports) {
		t.Errorf("%d replicas, ports %v; want 6 replicas and our ports", *d.Spec.Replicas, d.Spec.Template.Spec.Containers[0].Ports)
	}
}

func specJSON(t *testing.T, o client.Object) string {
	t.Helper()
	switch o := o.(type) {
	case *appsv1.Deployment:
		return asJSON(t, o.Spec)
	case *corev1.Service:
		return asJSON(t, o.Spec)
	}
	t.Fatalf("no spec in %T", o)
	return ""
}

// Fields of others that are not in the way stay, when a child is refused for another reason, and are not tried again and again.
func TestApply_refusedWithFieldsOfOthers(t *testing.T) {
	w := newWorld(t)
	want := w.deployment()
	w.apply(want)
	change(w, want, func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, corev1.Container{Name: "sidecar", Image: "mesh:1"})
		d.Spec.Paused = true
	})
	before := get(w, want)
	want.Spec.Selector.MatchLabels["a"], want.Spec.Template.Labels["a"] = "b", "b"
	refuse := func() {
		t.Helper()
		if _, err := w.applier.Apply(t.Context(), w.endpoint, want); !isType[*RefusedError](err) {
			t.Fatalf("error %v, want a RefusedError", err)
		}
	}
	refuse()
	after := get(w, want)
	if after.Generation != before.Generation {
		t.Errorf("generation %d, want %d: nothing has changed", after.Generation, before.Generation)
	}
	before.ResourceVersion, after.ResourceVersion = "", ""
	wantSame(t, before, after)
	if writes := w.wrote(refuse); len(writes) != 1 {
		t.Errorf("the second time: requests %q, want one", writes)
	}
	w.apply(w.deployment())
	if d := get(w, want); len(d.Spec.Template.Spec.Containers) != 2 || !d.Spec.Paused {
		t.Error("fields of others are gone after the next apply")
	}
}

// wantSame compares two states of an object, whatever the order in which its managers are noted.
func wantSame(t *testing.T, before, after *appsv1.Deployment) {
	t.Helper()
	managers := func(d *appsv1.Deployment) map[string]string {
		out := map[string]string{}
		for _, e := range d.ManagedFields {
			out[e.Manager+" "+string(e.Operation)+" "+e.Subresource] = e.FieldsV1.String()
		}
		d.ManagedFields = nil
		return out
	}
	if diff := cmp.Diff(managers(before), managers(after)); diff != "" {
		t.Errorf("who owns what (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(asJSON(t, before), asJSON(t, after)); diff != "" {
		t.Errorf("the object (-before +after):\n%s", diff)
	}
}
