package apply

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/apitest"
	"github.com/hookbay/hookbay/controllers/manifests"
)

// children are all that an endpoint may have, but its HTTPRoute.
func children(e *hookbayv1alpha1.WebhookEndpoint) []client.Object {
	var all []client.Object
	for _, o := range manifests.Shared(e) {
		all = append(all, o)
	}
	if e.Spec.Buffer.Type == hookbayv1alpha1.BufferNone || e.Spec.Buffer.Type == hookbayv1alpha1.BufferJetStream {
		all = append(all, manifests.Deployment(e, settings))
	} else {
		all = append(all, manifests.VolumeClaim(e, 0),
			manifests.ReplicaDeployment(e, settings, 0, manifests.TrafficServe), manifests.ReplicaDeployment(e, settings, 1, manifests.TrafficDrain))
	}
	if o := manifests.Ingress(e); o != nil {
		all = append(all, o)
	}
	if o := manifests.Autoscaler(e); o != nil {
		all = append(all, o)
	}
	return all
}

// Each child of each endpoint that package manifests tests with, applied once, is as it is wanted, without the memory's help: whatever the API
// server fills in must be written out where we own a list or map as a whole.
func TestManifests(t *testing.T) {
	for name, e := range testEndpoints(t) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.adopt(e)
			for _, o := range children(e) {
				w.apply(o)
				w.wantSettled(o)
			}
		})
	}
}

// adopt makes an endpoint that of the test, as the API server stores it: with its defaults.
func (w *world) adopt(e *hookbayv1alpha1.WebhookEndpoint) {
	w.t.Helper()
	e.Namespace, e.UID, e.ResourceVersion = w.endpoint.Namespace, "", ""
	if err := w.other.Create(w.t.Context(), e); err != nil {
		w.t.Fatal(err)
	}
	w.endpoint = e
}

// wantSettled fails if a child that was applied would be applied again by a controller that has just started.
func (w *world) wantSettled(o client.Object) {
	w.t.Helper()
	w.applier = New(w.client, w.client, nil)
	gvk := o.GetObjectKind().GroupVersionKind()
	want, err := toApply(o, gvk)
	if err != nil {
		w.t.Fatal(err)
	}
	w.wantNoWrite("applying "+gvk.Kind+" "+o.GetName()+" again", func() { w.apply(o) })
	live := get(w, o)
	owned, err := ownedFields(live, gvk.GroupVersion().String())
	if err != nil {
		w.t.Fatal(err)
	}
	tree, err := toApply(live, gvk)
	if err != nil {
		w.t.Fatal(err)
	}
	if where, differ := differs(owned, tree, (&child{want: want}).managed()); differ {
		w.t.Errorf("%s %s differs at %s", gvk.Kind, o.GetName(), where)
	}
}

func testEndpoints(t *testing.T) map[string]*hookbayv1alpha1.WebhookEndpoint {
	t.Helper()
	found := map[string]*hookbayv1alpha1.WebhookEndpoint{}
	for _, pattern := range []string{"../manifests/testdata/endpoints/*.yaml", "../../config/samples*/*/endpoint*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no file %s: %v", pattern, err)
		}
		for _, file := range files {
			found[filepath.Base(filepath.Dir(file))+"-"+filepath.Base(file)] = readEndpoint(t, file)
		}
	}
	return found
}

func readEndpoint(t *testing.T, file string) *hookbayv1alpha1.WebhookEndpoint {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	e := &hookbayv1alpha1.WebhookEndpoint{}
	if err := yaml.UnmarshalStrict(data, e); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return e
}

// The Gateway API may come while the controller runs.
func TestHTTPRoute(t *testing.T) {
	w := newWorld(t)
	e := readEndpoint(t, "../manifests/testdata/endpoints/autoscaled.yaml")
	w.adopt(e)
	route := manifests.HTTPRoute(e)
	if _, err := w.applier.Apply(t.Context(), e, route); !meta.IsNoMatchError(err) {
		t.Errorf("without the Gateway API: error %v, want that the kind is not known", err)
	}
	w.prune()

	var gateway envtest.Environment
	if err := apitest.WithGatewayAPI(&gateway); err != nil {
		t.Fatal(err)
	}
	options := envtest.CRDInstallOptions{Paths: gateway.CRDDirectoryPaths}
	if _, err := envtest.InstallCRDs(api.Config, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := envtest.UninstallCRDs(api.Config, options); err != nil {
			t.Error(err)
		}
	})
	w.apply(route)
	w.wantSettled(route)
	w.applier = New(w.client, w.client, nil) // another minute
	w.wantNoWrite("pruning", func() { w.prune(route) })
	w.prune()
	if !w.gone(route) {
		t.Error("the HTTPRoute is not wanted, and still there")
	}
}
