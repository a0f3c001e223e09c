package apply

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
)

func controlledBy(kind, name string) []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: hookbayv1alpha1.GroupVersion.String(), Kind: kind, Name: name, UID: "2222", Controller: new(true)}}
}

// What is not the endpoint's is never touched.
func TestApply_nameTaken(t *testing.T) {
	for name, set := range map[string]func(*corev1.Service){
		"somebody's own":              func(s *corev1.Service) { s.Labels = nil },
		"a copy with our labels":      func(*corev1.Service) {},
		"another endpoint's":          func(s *corev1.Service) { s.OwnerReferences = controlledBy(hookbayv1alpha1.Kind, "other") },
		"another kind's, of the name": func(s *corev1.Service) { s.OwnerReferences = controlledBy("Shop", "orders") },
		"controlled by an endpoint, but not ours": func(s *corev1.Service) {
			s.Labels, s.OwnerReferences = nil, controlledBy(hookbayv1alpha1.Kind, "orders")
		},
		"owned by us, but controlled by somebody": func(s *corev1.Service) {
			s.OwnerReferences = append(controlledBy("Shop", "orders"), s.OwnerReferences...)
			s.OwnerReferences[1].Controller = new(false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			foreign := manifests.Service(w.endpoint)
			if name != "owned by us, but controlled by somebody" {
				foreign.OwnerReferences = nil
			}
			foreign.Spec.Selector = map[string]string{"app": "mine"}
			set(foreign)
			foreign = create(w, foreign)
			w.wantNoWrite("refusing", func() {
				_, err := w.applier.Apply(t.Context(), w.endpoint, manifests.Service(w.endpoint))
				taken, ok := errors.AsType[*NameTakenError](err)
				if !ok {
					t.Fatalf("error %v, want a NameTakenError", err)
				}
				want := "Service " + w.endpoint.Namespace + "/orders-receiver exists and is not this endpoint's: " +
					"delete or rename it, or give the endpoint another name"
				if diff := cmp.Diff(want, taken.Error()); diff != "" {
					t.Errorf("message (-want +got):\n%s", diff)
				}
			})
			wantUntouched(w, foreign)
		})
	}
}

// The cache holds objects with our labels only: what it does not have may be there.
func TestApply_nameTakenOutsideOfTheCache(t *testing.T) {
	w := newWorld(t)
	foreign := manifests.ConfigMap(w.endpoint)
	foreign.Labels, foreign.OwnerReferences = nil, nil
	foreign = create(w, foreign)
	w.applier.client = interceptor.NewClient(w.client, interceptor.Funcs{Get: emptyCache})
	w.wantNoWrite("refusing", func() {
		if _, err := w.applier.Apply(t.Context(), w.endpoint, manifests.ConfigMap(w.endpoint)); !isType[*NameTakenError](err) {
			t.Errorf("error %v, want a NameTakenError", err)
		}
	})
	wantUntouched(w, foreign)
}

func emptyCache(_ context.Context, _ client.WithWatch, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	return apierrors.NewNotFound(corev1.Resource("anything"), key.Name)
}

func isType[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// Somebody may take the name in the moment between the last look and the write.
func TestApply_nameTakenInTheLastMoment(t *testing.T) {
	w := newWorld(t)
	var foreign *corev1.Service
	w.applier.live = interceptor.NewClient(w.client, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			err := c.Get(ctx, key, o, options...)
			foreign = manifests.Service(w.endpoint)
			foreign.OwnerReferences, foreign.Labels = nil, nil
			foreign.Spec.Selector[manifests.LabelInstance] = "mine"
			foreign = create(w, foreign)
			return err
		},
	})
	if _, err := w.applier.Apply(t.Context(), w.endpoint, manifests.Service(w.endpoint)); !apierrors.IsConflict(err) {
		t.Errorf("error %v, want a conflict", err)
	}
	wantUntouched(w, foreign)
}

func TestApply_replacedInTheLastMoment(t *testing.T) {
	w := newWorld(t)
	w.apply(manifests.Service(w.endpoint))
	change(w, manifests.Service(w.endpoint), func(s *corev1.Service) { s.Spec.Selector = map[string]string{"app": "mine"} })
	var foreign *corev1.Service
	w.applier.client = interceptor.NewClient(w.client, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			err := c.Get(ctx, key, o, options...)
			if err := w.other.Delete(ctx, o.DeepCopyObject().(client.Object)); err != nil {
				t.Fatal(err)
			}
			foreign = manifests.Service(w.endpoint)
			foreign.OwnerReferences, foreign.Labels = nil, nil
			foreign = create(w, foreign)
			return err
		},
	})
	writes := w.wrote(func() {
		if _, err := w.applier.Apply(t.Context(), w.endpoint, manifests.Service(w.endpoint)); !apierrors.IsConflict(err) {
			t.Errorf("error %v, want a conflict", err)
		}
	})
	if len(writes) != 1 {
		t.Errorf("requests %q, want one", writes)
	}
	wantUntouched(w, foreign)
}

// Labels that somebody took off hide a child from the cache, but it is still the endpoint's.
func TestApply_unlabelledChildIsPutBack(t *testing.T) {
	w := newWorld(t)
	w.apply(manifests.Service(w.endpoint))
	change(w, manifests.Service(w.endpoint), func(s *corev1.Service) { s.Labels = nil })
	w.applier.client = interceptor.NewClient(w.client, interceptor.Funcs{Get: emptyCache})
	w.apply(manifests.Service(w.endpoint))
	if diff := cmp.Diff(manifests.Labels(w.endpoint), get(w, manifests.Service(w.endpoint)).Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

// kubectl delete --cascade=orphan leaves children without an owner; a new endpoint of the name takes them over.
func TestApply_orphanIsAdopted(t *testing.T) {
	w := newWorld(t)
	w.apply(manifests.Service(w.endpoint))
	change(w, manifests.Service(w.endpoint), func(s *corev1.Service) { s.OwnerReferences = nil })
	w.endpoint.UID = "33333333-0000-0000-0000-000000000003"
	live := w.apply(manifests.Service(w.endpoint))
	if !metav1.IsControlledBy(live, w.endpoint) {
		t.Errorf("owners %v, want the new endpoint", live.GetOwnerReferences())
	}
	w.wantNoWrite("applying again", func() { w.apply(manifests.Service(w.endpoint)) })
}

func TestApply_beingDeleted(t *testing.T) {
	for name, prepare := range map[string]func(*world){
		"the child is": func(w *world) {
			w.apply(manifests.Service(w.endpoint))
			s := change(w, manifests.Service(w.endpoint), func(s *corev1.Service) { s.Finalizers = []string{"example.com/wait"} })
			if err := w.other.Delete(w.t.Context(), s); err != nil {
				w.t.Fatal(err)
			}
		},
		"it was of an endpoint of the name that is gone": func(w *world) {
			old := w.endpoint.DeepCopy()
			old.UID = "44444444-0000-0000-0000-000000000004"
			if _, err := w.applier.Apply(w.t.Context(), old, manifests.Service(old)); err != nil {
				w.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			prepare(w)
			before := get(w, manifests.Service(w.endpoint))
			w.wantNoWrite("waiting", func() {
				_, err := w.applier.Apply(t.Context(), w.endpoint, manifests.Service(w.endpoint))
				if !isType[*BeingDeletedError](err) {
					t.Errorf("error %v, want a BeingDeletedError", err)
				}
			})
			wantUntouched(w, before)
		})
	}
}

func TestApply_namespaceBeingDeleted(t *testing.T) {
	w := newWorld(t)
	if err := w.other.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.endpoint.Namespace}}); err != nil {
		t.Fatal(err)
	}
	_, err := w.applier.Apply(t.Context(), w.endpoint, manifests.Service(w.endpoint))
	if deleted, ok := errors.AsType[*BeingDeletedError](err); !ok || !deleted.WithNamespace {
		t.Errorf("error %v, want a BeingDeletedError with the namespace", err)
	}
}
