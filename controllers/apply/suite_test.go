package apply

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/apitest"
	"github.com/hookbay/hookbay/controllers/manifests"
)

var api apitest.Server

// The Gateway API is not there from the beginning: see TestHTTPRoute.
func TestMain(m *testing.M) { api.Main(m) }

// world is a namespace of its own with an endpoint, an applier whose requests are seen, and somebody else who changes things.
type world struct {
	t        testing.TB
	requests *requests
	client   client.WithWatch // the applier's
	applier  *Applier
	other    client.Client // somebody else's
	endpoint *hookbayv1alpha1.WebhookEndpoint
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, requests: &requests{}}
	w.other = api.Client
	seen := rest.CopyConfig(api.Config)
	seen.Wrap(w.requests.wrap)
	var err error
	if w.client, err = client.NewWithWatch(seen, client.Options{Scheme: api.Scheme}); err != nil {
		t.Fatal(err)
	}
	w.applier = New(w.client, w.client, nil)
	w.endpoint = &hookbayv1alpha1.WebhookEndpoint{ObjectMeta: metav1.ObjectMeta{Namespace: api.Namespace(t, nil), Name: "orders", UID: "11111111-0000-0000-0000-000000000001"}}
	w.endpoint.Spec.Source = hookbayv1alpha1.Source{Type: "TencentIM", TencentIM: &hookbayv1alpha1.TencentIMSource{SDKAppID: 1400000001, Unsigned: "Accept"}}
	w.endpoint.Spec.Target = hookbayv1alpha1.Target{Type: "Service", Service: &hookbayv1alpha1.ServiceTarget{Name: "chat", Port: 8080}}
	return w
}

var settings = manifests.Settings{Image: "ghcr.io/hookbay/receiver:v0.1.0"}

func (w *world) apply(desired client.Object) client.Object {
	w.t.Helper()
	live, err := w.applier.Apply(w.t.Context(), w.endpoint, desired)
	if err != nil {
		w.t.Fatal(err)
	}
	return live
}

// wrote runs f and returns the requests that wrote.
func (w *world) wrote(f func()) []string {
	w.requests.reset()
	f()
	return w.requests.writes()
}

func (w *world) wantNoWrite(what string, f func()) {
	w.t.Helper()
	if writes := w.wrote(f); len(writes) > 0 {
		w.t.Errorf("%s wrote: %s", what, strings.Join(writes, ", "))
	}
}

// get reads the object of another one's type and name.
func get[T client.Object](w *world, like T) T {
	w.t.Helper()
	out := like.DeepCopyObject().(T)
	if err := w.other.Get(w.t.Context(), client.ObjectKeyFromObject(like), out); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// change lets somebody else change an object as kubectl edit does.
func change[T client.Object](w *world, like T, f func(T)) T {
	w.t.Helper()
	o := get(w, like)
	f(o)
	if err := w.other.Update(w.t.Context(), o, client.FieldOwner("kubectl-edit")); err != nil {
		w.t.Fatal(err)
	}
	return o
}

func create[T client.Object](w *world, o T) T {
	w.t.Helper()
	o = o.DeepCopyObject().(T)
	if err := w.other.Create(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
	return o
}

// wantUntouched fails if an object is not what it was.
func wantUntouched[T client.Object](w *world, before T) {
	w.t.Helper()
	if diff := cmp.Diff(asJSON(w.t, get(w, before)), asJSON(w.t, before)); diff != "" {
		w.t.Errorf("%s was changed (-now +before):\n%s", before.GetName(), diff)
	}
}

func asJSON(t testing.TB, o any) string {
	t.Helper()
	data, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// requests are those that a client has sent.
type requests struct {
	mu  sync.Mutex
	all []string
}

func (r *requests) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		r.mu.Lock()
		r.all = append(r.all, req.Method+" "+req.URL.Path)
		r.mu.Unlock()
		return next.RoundTrip(req)
	})
}

func (r *requests) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = nil
}

func (r *requests) writes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.all), func(s string) bool { return strings.HasPrefix(s, http.MethodGet) })
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
