package apply

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookbay/hookbay/controllers/apitest"
	"github.com/hookbay/hookbay/controllers/manifests"
)

// testIndex is the index of what withCache watches.
const testIndex = "metadata.labels.instance"

// withCache makes the applier read from a cache as the manager's: of objects with our labels, of the kinds that are watched.
func (w *world) withCache(watched ...client.Object) {
	w.t.Helper()
	seen := rest.CopyConfig(api.Config)
	seen.Wrap(w.requests.wrap)
	ours := labels.SelectorFromSet(labels.Set{manifests.LabelManagedBy: manifests.ManagedBy})
	reads, err := cache.New(seen, cache.Options{
		Scheme: api.Scheme, DefaultLabelSelector: ours, DefaultNamespaces: map[string]cache.Config{w.endpoint.Namespace: {}},
		ReaderFailOnMissingInformer: true,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range watched {
		if err := reads.IndexField(w.t.Context(), o, testIndex, func(o client.Object) []string {
			return []string{o.GetLabels()[manifests.LabelInstance]}
		}); err != nil {
			w.t.Fatal(err)
		}
		if _, err := reads.GetInformer(w.t.Context(), o, cache.BlockUntilSynced(false)); err != nil {
			w.t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() { done <- reads.Start(w.t.Context()) }() // ends with the test
	w.t.Cleanup(func() {
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
	cached, err := client.NewWithWatch(seen, client.Options{Scheme: api.Scheme, Cache: &client.CacheOptions{Reader: reads}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.applier = New(cached, w.client, nil)
	if !reads.WaitForCacheSync(w.t.Context()) {
		w.t.Fatal("the cache is not filled")
	}
}

// With an index, children are found as without: those of the endpoint, and no others.
func TestPrune_indexed(t *testing.T) {
	w := newWorld(t)
	w.withCache(&corev1.Service{})
	w.applier.UseIndex(testIndex)
	mine := w.apply(manifests.Service(w.endpoint))
	neighbour := w.endpoint.DeepCopy()
	neighbour.Name, neighbour.UID = "chat", "11111111-0000-0000-0000-000000000002"
	theirs, err := w.applier.Apply(t.Context(), neighbour, manifests.Service(neighbour))
	if err != nil {
		t.Fatal(err)
	}
	apitest.Eventually(t, "the cache to have both", func() error {
		for _, o := range []client.Object{mine, theirs} {
			if err := w.applier.client.Get(t.Context(), client.ObjectKeyFromObject(o), &corev1.Service{}); err != nil {
				return err
			}
		}
		return nil
	})
	w.wantNoWrite("pruning when all is wanted", func() { w.prune(mine) })
	w.prune()
	if !w.gone(mine) || w.gone(theirs) {
		t.Errorf("own Service gone %v, the neighbour's %v; want true, false", w.gone(mine), w.gone(theirs))
	}
}

// However far the cache is behind, each change is written once.
func TestApply_cached(t *testing.T) {
	w := newWorld(t)
	w.withCache(&appsv1.Deployment{})
	for _, image := range []string{"ghcr.io/hookbay/receiver:v0.1.0", "ghcr.io/hookbay/receiver:v0.2.0", "ghcr.io/hookbay/receiver:v0.3.0"} {
		want := w.deployment()
		want.Spec.Template.Spec.Containers[0].Image = image
		if writes := w.wrote(func() { w.apply(want) }); len(writes) != 1 {
			t.Errorf("%s: requests %q, want one", image, writes)
		}
		w.wantNoWrite("applying again, at once", func() {
			for range 20 {
				w.apply(want)
			}
		})
	}
}

func TestApply_cachedDrift(t *testing.T) {
	w := newWorld(t)
	w.withCache(&corev1.Service{})
	service := manifests.Service(w.endpoint)
	w.apply(service)
	change(w, service, func(s *corev1.Service) { s.Labels, s.Spec.Selector = nil, map[string]string{"app": "mine"} })
	deadline, tick := time.After(30*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for get(w, service).Spec.Selector["app"] != "" { // until the cache has heard of it
		select {
		case <-deadline:
			t.Fatal("it is not put back")
		case <-tick.C:
			w.apply(service)
		}
	}
	w.wantNoWrite("applying again", func() { w.apply(service) })
}

func TestApply_cachedNameTaken(t *testing.T) {
	w := newWorld(t)
	w.withCache(&corev1.Service{})
	foreign := manifests.Service(w.endpoint)
	foreign.Labels = map[string]string{"app": "mine"}
	foreign = create(w, foreign)
	foreign = change(w, foreign, func(s *corev1.Service) { s.OwnerReferences = nil })
	if _, err := w.applier.Apply(t.Context(), w.endpoint, manifests.Service(w.endpoint)); !isType[*NameTakenError](err) {
		t.Errorf("error %v, want a NameTakenError", err)
	}
	wantUntouched(w, foreign)
}

// Kinds that are not watched, such as those of a Gateway API that was not there, are asked for at the API server.
func TestApply_notCached(t *testing.T) {
	w := newWorld(t)
	w.withCache(&appsv1.Deployment{})
	w.apply(manifests.Service(w.endpoint))
	w.wantNoWrite("applying again", func() { w.apply(manifests.Service(w.endpoint)) })
	w.prune()
	if !w.gone(manifests.Service(w.endpoint)) {
		t.Error("the Service is not wanted, and still there")
	}
	w.prune()
	e := readEndpoint(t, "../manifests/testdata/endpoints/autoscaled.yaml")
	e.Namespace = w.endpoint.Namespace
	if _, err := w.applier.Apply(t.Context(), e, manifests.HTTPRoute(e)); !meta.IsNoMatchError(err) {
		t.Errorf("without the Gateway API: error %v, want that the kind is not known", err)
	}
}
