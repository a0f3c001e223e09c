package apply

import (
	"context"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// A cache that is behind our own writes makes us neither write again nor answer with what was before.
func TestApply_cacheIsBehind(t *testing.T) {
	w := newWorld(t)
	w.apply(w.deployment())
	before := get(w, w.deployment())
	want := w.deployment()
	want.Spec.Template.Spec.Containers[0].Image = "ghcr.io/hookbay/receiver:v0.2.0"
	after := w.apply(want)

	type getter = func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error
	for name, cache := range map[string]getter{
		"it has nothing": emptyCache,
		"it has the object of before": func(_ context.Context, _ client.WithWatch, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
			before.DeepCopyInto(o.(*appsv1.Deployment))
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			w.applier.client = interceptor.NewClient(w.client, interceptor.Funcs{Get: cache})
			var live client.Object
			w.wantNoWrite("applying what was applied", func() { live = w.apply(want) })
			if live.GetResourceVersion() != after.GetResourceVersion() {
				t.Errorf("version %s, want %s", live.GetResourceVersion(), after.GetResourceVersion())
			}
		})
	}
}

func TestMemory(t *testing.T) {
	found := func(version string, want byte) *child {
		return &child{
			endpoint: types.NamespacedName{Namespace: "shop", Name: "orders"},
			ref:      Ref{Kind: "Service", Namespace: "shop", Name: "orders-receiver"},
			digest:   digest{want},
			live:     &corev1.Service{ObjectMeta: metav1.ObjectMeta{ResourceVersion: version}},
		}
	}
	for name, test := range map[string]struct {
		noted, found           *child
		wantAgrees, wantBehind bool
	}{
		"nothing is known":                     {found: found("10", 1)},
		"the version that was as wanted":       {noted: found("10", 1), found: found("10", 1), wantAgrees: true},
		"something else is wanted now":         {noted: found("10", 1), found: found("10", 2)},
		"a newer version":                      {noted: found("9", 1), found: found("10", 1)},
		"an older version":                     {noted: found("10", 1), found: found("9", 1), wantBehind: true},
		"a version that can't be put in order": {noted: found("10", 1), found: found("x", 1), wantBehind: true},
	} {
		t.Run(name, func(t *testing.T) {
			var m memory
			if test.noted != nil {
				m.note(test.noted, test.noted.live.GetResourceVersion())
			}
			if got := m.agrees(test.found); got != test.wantAgrees {
				t.Errorf("agrees %v, want %v", got, test.wantAgrees)
			}
			if got := m.behind(test.found); got != test.wantBehind {
				t.Errorf("behind %v, want %v", got, test.wantBehind)
			}
		})
	}
}
