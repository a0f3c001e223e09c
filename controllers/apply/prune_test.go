package apply

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
)

func (w *world) prune(keep ...client.Object) {
	w.t.Helper()
	if err := w.applier.Prune(w.t.Context(), w.endpoint, keep); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) gone(o client.Object) bool {
	w.t.Helper()
	err := w.other.Get(w.t.Context(), client.ObjectKeyFromObject(o), o.DeepCopyObject().(client.Object))
	if client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
	return err != nil
}

func TestPrune(t *testing.T) {
	w := newWorld(t)
	e := w.stateless()
	e.Spec.Exposure = hookbayv1alpha1.Exposure{Host: "hooks.example.com", Ingress: &hookbayv1alpha1.Ingress{}}
	e.Spec.Receiver.Autoscaling = &hookbayv1alpha1.Autoscaling{MaxReplicas: 4}
	all := []client.Object{
		manifests.Ingress(e), manifests.Autoscaler(e), manifests.Service(e), manifests.Deployment(e, settings),
		manifests.DisruptionBudget(e), manifests.NetworkPolicy(e), manifests.ConfigMap(e), manifests.ServiceAccount(e),
	}
	for _, o := range all {
		w.apply(o)
	}
	claim := w.claim(hookbayv1alpha1.WhenDeletedDelete, "1Gi")
	w.apply(claim)
	w.wantNoWrite("pruning when all is wanted", func() { w.prune(all...) })

	for i, o := range all {
		if o == all[2] {
			continue // the Service stays to the end
		}
		keep := slices.Delete(slices.Clone(all), 0, i+1)
		if writes := w.wrote(func() { w.prune(append(keep, all[2])...) }); len(writes) != 1 || !strings.HasPrefix(writes[0], "DELETE ") {
			t.Errorf("%T: requests %q, want one that deletes", o, writes)
		}
		if !w.gone(o) {
			t.Errorf("%T is not wanted, and still there", o)
		}
	}
	if w.gone(all[2]) || w.gone(claim) {
		t.Error("the Service that is wanted, or the claim, is gone")
	}
	w.wantNoWrite("pruning again", func() { w.prune(all[2]) })
}

func TestPrune_leavesWhatIsNotOurs(t *testing.T) {
	for name, set := range map[string]func(*corev1.ConfigMap){
		"somebody's with our labels":      func(m *corev1.ConfigMap) { m.OwnerReferences = nil },
		"one of an earlier endpoint":      func(m *corev1.ConfigMap) { m.OwnerReferences[0].UID = "2222" },
		"one that we own, not control":    func(m *corev1.ConfigMap) { m.OwnerReferences[0].Controller = nil },
		"another endpoint's":              func(m *corev1.ConfigMap) { m.Labels[manifests.LabelInstance] = "other" },
		"ours, but made by somebody else": func(m *corev1.ConfigMap) { m.Labels[manifests.LabelManagedBy] = "mine" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			foreign := manifests.ConfigMap(w.endpoint)
			foreign.Name = "mine"
			set(foreign)
			foreign = create(w, foreign)
			w.wantNoWrite("pruning", func() { w.prune() })
			wantUntouched(w, foreign)
		})
	}
}

func TestPrune_asksOnce(t *testing.T) {
	w := newWorld(t)
	w.apply(manifests.Service(w.endpoint))
	change(w, manifests.Service(w.endpoint), func(s *corev1.Service) { s.Finalizers = []string{"example.com/wait"} })
	w.prune()
	if get(w, manifests.Service(w.endpoint)).DeletionTimestamp == nil {
		t.Fatal("the Service is not being deleted")
	}
	w.wantNoWrite("pruning what is being deleted", func() { w.prune() })
}

// What has changed since it was read is not deleted: it may be wanted after all.
func TestPrune_changedInTheLastMoment(t *testing.T) {
	w := newWorld(t)
	w.apply(w.deployment())
	w.applier.client = interceptor.NewClient(w.client, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			err := c.List(ctx, list, options...)
			if _, ok := list.(*appsv1.DeploymentList); ok {
				change(w, w.deployment(), func(d *appsv1.Deployment) { d.Annotations["a"] = "b" })
			}
			return err
		},
	})
	if err := w.applier.Prune(t.Context(), w.endpoint, nil); !apierrors.IsConflict(err) {
		t.Errorf("error %v, want a conflict", err)
	}
	if w.gone(w.deployment()) {
		t.Error("it was deleted")
	}
}

// A kind that the cluster does not know has no children, and is not asked for in every round.
func TestPrune_kindsThatAreAbsent(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	w.applier.kinds.now = func() time.Time { return now }
	asked := func() int {
		t.Helper()
		w.requests.reset()
		w.prune()
		return strings.Count(strings.Join(w.requests.all, "\n"), "gateway.networking.k8s.io")
	}
	if asked() == 0 {
		t.Fatal("the first time, nothing asked for the Gateway API")
	}
	if n := asked(); n != 0 {
		t.Errorf("the second time, %d requests asked for the Gateway API", n)
	}
	now = now.Add(absence + time.Second)
	if asked() == 0 {
		t.Error("after a while, nothing asked for the Gateway API, which may be there by now")
	}
}

func TestDelete(t *testing.T) {
	w := newWorld(t)
	claim := w.apply(w.claim(hookbayv1alpha1.WhenDeletedDelete, "1Gi")).(*corev1.PersistentVolumeClaim)
	current := change(w, claim, func(c *corev1.PersistentVolumeClaim) {
		c.Finalizers = nil
		metav1.SetMetaDataLabel(&c.ObjectMeta, "a", "b")
	})
	if err := w.applier.Delete(t.Context(), claim); !apierrors.IsConflict(err) {
		t.Errorf("deleting what has changed: error %v, want a conflict", err)
	}
	if err := w.applier.Delete(t.Context(), current); err != nil || !w.gone(claim) {
		t.Errorf("deleting: error %v, gone %v", err, w.gone(claim))
	}
	if err := w.applier.Delete(t.Context(), current); err != nil {
		t.Errorf("deleting what is gone: %v", err)
	}
}

func TestPrune_forgets(t *testing.T) {
	w := newWorld(t)
	w.apply(manifests.Service(w.endpoint))
	w.apply(manifests.ConfigMap(w.endpoint))
	known := func() int { return len(w.applier.memory.endpoints[client.ObjectKeyFromObject(w.endpoint)]) }
	if known() != 2 {
		t.Fatalf("%d children are remembered, want 2", known())
	}
	w.prune(manifests.ConfigMap(w.endpoint))
	if known() != 1 {
		t.Errorf("%d children are remembered after one was pruned, want 1", known())
	}
	w.applier.Forget(client.ObjectKeyFromObject(w.endpoint))
	if diff := cmp.Diff(0, len(w.applier.memory.endpoints)); diff != "" {
		t.Errorf("endpoints that are remembered (-want +got):\n%s", diff)
	}
}
