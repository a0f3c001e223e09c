package controllers

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/apitest"
	"github.com/hookbay/hookbay/controllers/defaults"
)

var api apitest.Server

func TestMain(m *testing.M) { api.Main(m, apitest.WithGatewayAPI) }

// story is a namespace with a manager that looks after it. The API server is real, and enforces the Pod Security Standard "restricted"; the
// manager is the real one, with the rights that config/rbac gives it, in this process; what runs the pods is pretended: see cluster.
type story struct {
	t         *testing.T
	namespace string
	admin     client.Client
	cluster   *cluster
	beside    []*story // further namespaces that the manager looks after
	stop      func()
	image     string
	buffer    defaults.Buffer // that the manager has endpoints have by default
	requests  requests        // of the manager
}

func newStory(t *testing.T) *story {
	t.Helper()
	t.Parallel() // stories wait more than they work
	s := newPlace(t)
	s.startManager("example.com/receiver:v1")
	return s
}

// newPlace makes a namespace in which things run, without a manager.
func newPlace(t *testing.T) *story {
	t.Helper()
	for name, grows := range map[string]bool{"grows": true, "stays": false} {
		class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "example.com/none", AllowVolumeExpansion: &grows}
		if err := api.Client.Create(t.Context(), class); client.IgnoreAlreadyExists(err) != nil {
			t.Fatal(err)
		}
	}
	s := &story{t: t, namespace: api.Namespace(t, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}), admin: api.Client}
	s.cluster = newCluster(t, api.Client, s.namespace)
	return s
}

// namespaceBeside has the manager look after one more namespace.
func (s *story) namespaceBeside() *story {
	s.t.Helper()
	s.stopManager()
	other := newPlace(s.t)
	s.beside = append(s.beside, other)
	s.startManager(s.image)
	return other
}

// managerRules are the rights that config/rbac gives the manager.
func managerRules(t *testing.T) []rbacv1.PolicyRule {
	t.Helper()
	data, err := os.ReadFile("../config/rbac/role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(data), "\n---\n") {
		var role rbacv1.ClusterRole
		if err := yaml.UnmarshalStrict([]byte(strings.TrimPrefix(document, "---\n")), &role); err != nil {
			t.Fatal(err)
		}
		if role.Kind == "ClusterRole" && role.Name == "hookbay-manager" {
			return role.Rules
		}
	}
	t.Fatal("config/rbac has no ClusterRole hookbay-manager")
	return nil
}

func endpoint(name string, changes ...func(*hookbayv1alpha1.WebhookEndpoint)) *hookbayv1alpha1.WebhookEndpoint {
	e := &hookbayv1alpha1.WebhookEndpoint{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: hookbayv1alpha1.WebhookEndpointSpec{
			Source: hookbayv1alpha1.Source{Type: hookbayv1alpha1.SourceLazada, Lazada: &hookbayv1alpha1.LazadaSource{AppKey: "100132"}},
			Target: hookbayv1alpha1.Target{
				Type: hookbayv1alpha1.TargetService, Service: &hookbayv1alpha1.ServiceTarget{Name: "shop", Port: 8080},
			},
		},
	}
	refs(e, "lazada-app")
	for _, change := range changes {
		change(e)
	}
	return e
}

// refs has an endpoint name the key app-secret of Secrets.
func refs(e *hookbayv1alpha1.WebhookEndpoint, secrets ...string) {
	e.Spec.Source.Lazada.AppSecretRefs = nil
	for _, name := range secrets {
		e.Spec.Source.Lazada.AppSecretRefs = append(e.Spec.Source.Lazada.AppSecretRefs, hookbayv1alpha1.SecretKeyRef{Name: name, Key: "app-secret"})
	}
}

func (s *story) create(e *hookbayv1alpha1.WebhookEndpoint) {
	s.t.Helper()
	s.createObject(e)
}

func (s *story) createObject(o client.Object) {
	s.t.Helper()
	o.SetNamespace(s.namespace)
	if err := s.admin.Create(s.t.Context(), o); err != nil {
		s.t.Fatal(err)
	}
}

// secret makes a Secret of one key be as given.
func (s *story) secret(name, key, value string) {
	s.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}, Data: map[string][]byte{key: []byte(value)}}
	err := s.admin.Create(s.t.Context(), secret)
	if client.IgnoreAlreadyExists(err) == nil && err != nil {
		err = s.admin.Update(s.t.Context(), secret)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// change changes the spec of an endpoint, as often as it takes against the controller's own writes.
func (s *story) change(name string, change func(*hookbayv1alpha1.WebhookEndpoint)) {
	s.t.Helper()
	before := s.endpoint(name)
	after := before.DeepCopy()
	change(after)
	if err := s.admin.Patch(s.t.Context(), after, client.MergeFrom(before)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) update(o client.Object) {
	s.t.Helper()
	if err := s.admin.Update(s.t.Context(), o); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) remove(o client.Object, name string) {
	s.t.Helper()
	o.SetNamespace(s.namespace)
	o.SetName(name)
	if err := s.admin.Delete(s.t.Context(), o); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) get(o client.Object, name string) client.Object {
	s.t.Helper()
	if err := s.admin.Get(s.t.Context(), types.NamespacedName{Namespace: s.namespace, Name: name}, o); err != nil {
		s.t.Fatal(err)
	}
	return o
}

func (s *story) exists(o client.Object, name string) bool {
	s.t.Helper()
	err := s.admin.Get(s.t.Context(), types.NamespacedName{Namespace: s.namespace, Name: name}, o)
	if client.IgnoreNotFound(err) != nil {
		s.t.Fatal(err)
	}
	return err == nil
}

func (s *story) absent(o client.Object, name string) {
	s.t.Helper()
	if s.exists(o, name) {
		s.t.Errorf("%T %s exists", o, name)
	}
}

func (s *story) gone(o client.Object, name string) {
	s.t.Helper()
	s.eventually(name+" is gone", func() bool { return !s.exists(o, name) })
}

func (s *story) endpoint(name string) *hookbayv1alpha1.WebhookEndpoint {
	s.t.Helper()
	return s.get(&hookbayv1alpha1.WebhookEndpoint{}, name).(*hookbayv1alpha1.WebhookEndpoint)
}

func (s *story) podNames() []string {
	s.t.Helper()
	var pods corev1.PodList
	if err := s.admin.List(s.t.Context(), &pods, client.InNamespace(s.namespace)); err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for i := range pods.Items {
		names = append(names, pods.Items[i].Name)
	}
	slices.Sort(names)
	return names
}

// images is the image of all pods, "" if they differ.
func (s *story) images() string {
	s.t.Helper()
	var pods corev1.PodList
	if err := s.admin.List(s.t.Context(), &pods, client.InNamespace(s.namespace)); err != nil {
		s.t.Fatal(err)
	}
	image := ""
	for i := range pods.Items {
		got := pods.Items[i].Spec.Containers[0].Image
		if image != "" && got != image {
			return ""
		}
		image = got
	}
	return image
}

// startManager runs a manager whose receivers have this image.
func (s *story) startManager(image string) {
	s.t.Helper()
	o := DefaultOptions("v0.0.0")
	o.ReceiverImage = image
	if s.buffer.Type != "" {
		o.Buffer = s.buffer
	}
	o.LeaderElect = false
	o.MetricsBindAddress, o.HealthProbeBindAddress = "0", "0"
	places := append([]*story{s}, s.beside...)
	for _, p := range places {
		o.WatchNamespaces = append(o.WatchNamespaces, p.namespace)
	}
	o.registerer = prometheus.NewRegistry()
	o.receivers.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		var errs []error
		for _, p := range places {
			conn, err := p.cluster.dial(ctx, network, address)
			if err == nil {
				return conn, nil
			}
			errs = append(errs, err)
		}
		return nil, errors.Join(errs...)
	}
	var rights []apitest.Rights
	for _, namespace := range o.WatchNamespaces {
		rights = append(rights, apitest.Rights{Namespace: namespace, Rules: managerRules(s.t)})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cfg := api.User(s.t, rights...)
	cfg.Wrap(s.requests.count)
	done := make(chan error, 1)
	go func() { done <- Run(ctrl.LoggerInto(ctx, logr.Discard()), cfg, o) }()
	s.image = image
	s.stop = func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("the manager ended: %v", err)
		}
		s.stop = func() {}
	}
	s.t.Cleanup(func() { s.stop() })
}

func (s *story) stopManager() {
	s.t.Helper()
	s.stop()
}

// requests counts what the manager asks of the API server, by method, without the watches.
type requests struct {
	mu sync.Mutex
	by map[string]int

	seen int // of the writes
}

func (r *requests) count(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		if req.URL.Query().Get("watch") == "" {
			r.mu.Lock()
			if r.by == nil {
				r.by = map[string]int{}
			}
			r.by[req.Method+" "+req.URL.Path]++
			r.mu.Unlock()
		}
		return next.RoundTrip(req)
	})
}

// writes counts what was not a read since it was last called, and keeps the counts.
func (r *requests) writes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for request, times := range r.by {
		if !strings.HasPrefix(request, "GET ") {
			n += times
		}
	}
	n, r.seen = n-r.seen, n
	return n
}

// take returns the counts and starts anew.
func (r *requests) take() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	by := r.by
	r.by, r.seen = nil, 0
	return by
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
