package apply

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sigs.k8s.io/controller-runtime/pkg/client"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
)

func (w *world) claim(whenDeleted hookbayv1alpha1.WhenDeleted, size string) *corev1.PersistentVolumeClaim {
	w.endpoint.Spec.Buffer.Disk = &hookbayv1alpha1.DiskBuffer{WhenDeleted: whenDeleted, Size: new(resource.MustParse(size))}
	return manifests.VolumeClaim(w.endpoint, 0)
}

// A claim that was kept when its endpoint was deleted, by us or restored from a backup, becomes that of the next endpoint of the name.
func TestApply_retainedClaimIsAdopted(t *testing.T) {
	for name, prepare := range map[string]func(*world){
		"applied by us": func(w *world) { w.apply(w.claim(hookbayv1alpha1.WhenDeletedRetain, "1Gi")) },
		"restored":      func(w *world) { create(w, w.claim(hookbayv1alpha1.WhenDeletedRetain, "1Gi")) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			prepare(w)
			before := get(w, w.claim(hookbayv1alpha1.WhenDeletedRetain, "1Gi"))
			w.endpoint.UID = "55555555-0000-0000-0000-000000000005"
			w.applier.Forget(client.ObjectKeyFromObject(w.endpoint))
			want := w.claim(hookbayv1alpha1.WhenDeletedDelete, "1Gi")
			live := w.apply(want)
			if live.GetUID() != before.UID || !metav1.IsControlledBy(live, w.endpoint) {
				t.Errorf("claim %s of %v, want %s of the endpoint", live.GetUID(), live.GetOwnerReferences(), before.UID)
			}
			w.wantNoWrite("applying again", func() { w.apply(want) })
		})
	}
}

func TestApply_foreignClaimIsNotAdopted(t *testing.T) {
	w := newWorld(t)
	want := w.claim(hookbayv1alpha1.WhenDeletedRetain, "1Gi")
	foreign := want.DeepCopy()
	foreign.Labels[manifests.LabelInstance] = "other"
	foreign = create(w, foreign)
	w.wantNoWrite("refusing", func() {
		if _, err := w.applier.Apply(t.Context(), w.endpoint, want); !isType[*NameTakenError](err) {
			t.Errorf("error %v, want a NameTakenError", err)
		}
	})
	wantUntouched(w, foreign)
}

func TestApply_ownerOfAClaimFollowsWhenDeleted(t *testing.T) {
	w := newWorld(t)
	for _, whenDeleted := range []hookbayv1alpha1.WhenDeleted{
		hookbayv1alpha1.WhenDeletedRetain, hookbayv1alpha1.WhenDeletedDelete, hookbayv1alpha1.WhenDeletedRetain, hookbayv1alpha1.WhenDeletedDelete,
	} {
		want := w.claim(whenDeleted, "1Gi")
		live := w.apply(want)
		if diff := cmp.Diff(want.OwnerReferences, live.GetOwnerReferences()); diff != "" {
			t.Errorf("%s: owners (-want +got):\n%s", whenDeleted, diff)
		}
		w.wantNoWrite("applying again", func() { w.apply(want) })
	}
}

func TestApply_claimCannotGrow(t *testing.T) {
	w := newWorld(t)
	bound := w.apply(w.claim(hookbayv1alpha1.WhenDeletedRetain, "1Gi")).(*corev1.PersistentVolumeClaim)
	before := get(w, bound)
	refused := w.refused(w.claim(hookbayv1alpha1.WhenDeletedRetain, "2Gi"))
	if !refused.Resize || !strings.Contains(refused.Reason, "immutable") {
		t.Errorf("a pending claim: resize %v, reason %q", refused.Resize, refused.Reason)
	}
	wantUntouched(w, before)

	bound.Status.Phase, bound.Status.Capacity = corev1.ClaimBound, bound.Spec.Resources.Requests
	if err := w.other.Status().Update(t.Context(), bound); err != nil {
		t.Fatal(err)
	}
	refused = w.refused(w.claim(hookbayv1alpha1.WhenDeletedRetain, "2Gi"))
	const want = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
	if !refused.Resize || !strings.Contains(refused.Reason, want) {
		t.Errorf("a class that can't: resize %v, reason %q", refused.Resize, refused.Reason)
	}
	if refused = w.refused(w.claim(hookbayv1alpha1.WhenDeletedRetain, "1Mi")); !refused.Resize {
		t.Errorf("a smaller size: resize false, reason %q", refused.Reason)
	}
}

// A restored claim is somebody else's in every field. They are left alone when it can't grow.
func TestApply_restoredClaimCannotGrow(t *testing.T) {
	w := newWorld(t)
	restored := create(w, w.claim(hookbayv1alpha1.WhenDeletedRetain, "1Gi"))
	writes := w.wrote(func() { _ = w.refused(w.claim(hookbayv1alpha1.WhenDeletedRetain, "2Gi")) })
	if len(writes) != 1 {
		t.Errorf("requests %q, want one", writes)
	}
	wantUntouched(w, restored)
}

// refused applies what must be refused.
func (w *world) refused(o *corev1.PersistentVolumeClaim) *RefusedError {
	w.t.Helper()
	_, err := w.applier.Apply(w.t.Context(), w.endpoint, o)
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok {
		w.t.Fatalf("error %v, want a RefusedError", err)
	}
	return refused
}
