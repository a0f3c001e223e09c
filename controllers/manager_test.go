package controllers

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/apitest"
	"github.com/hookbay/hookbay/controllers/manifests"
)

func TestManagerCommand_usage(t *testing.T) {
	for name, tt := range map[string]struct {
		version string
		args    []string
		want    string
	}{
		"a wrong value":             {version: "v1.2.3", args: []string{"--log-level", "loud"}, want: `--log-level: write debug, info, warn or error instead of "loud"`},
		"a program without version": {want: "--receiver-image: write the image of the receivers, such as ghcr.io/hookbay/receiver:v1.0.0: this program has no version to take it from"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := ManagerCommand(tt.version)
			cmd.SetArgs(tt.args)
			cmd.SilenceUsage, cmd.SilenceErrors = true, true
			cmd.SetErr(&bytes.Buffer{})
			err := cmd.ExecuteContext(t.Context())
			if usage, ok := errors.AsType[*UsageError](err); !ok || usage.Error() != tt.want {
				t.Errorf("error is %v, want %s", err, tt.want)
			}
		})
	}
}

func TestManagerCommand_kubeconfig(t *testing.T) {
	if ManagerCommand("v1.2.3").Flags().Lookup("kubeconfig") == nil {
		t.Error("there is no flag --kubeconfig")
	}
}

func TestRun_noNamespaceForTheLease(t *testing.T) {
	err := Run(t.Context(), &rest.Config{Host: "http://127.0.0.1:0"}, DefaultOptions("v1.2.3"))
	const want = "--leader-election-namespace: write a namespace, or --leader-elect=false: outside of a pod there is no namespace of its own"
	if err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

func TestCacheOptions(t *testing.T) {
	o := cacheOptions([]string{"shop", "chat"})
	if len(o.DefaultNamespaces) != 2 {
		t.Errorf("%d namespaces are watched, want 2", len(o.DefaultNamespaces))
	}
	if cacheOptions(nil).DefaultNamespaces != nil {
		t.Error("without namespaces not all are watched")
	}
	if !o.DefaultLabelSelector.Matches(labels.Set{manifests.LabelManagedBy: manifests.ManagedBy}) || o.DefaultLabelSelector.Matches(labels.Set{}) {
		t.Error("of children, not just those with our label are watched")
	}
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	for object, by := range o.ByObject {
		if _, _, err := scheme.ObjectKinds(object); err != nil {
			t.Errorf("%T: %v", object, err)
		}
		if _, route := object.(*gatewayv1.HTTPRoute); route {
			t.Error("the manager does not start where the API server does not know HTTPRoutes, if they have an entry")
		}
		_, pod := object.(*corev1.Pod)
		_, config := object.(*corev1.ConfigMap)
		if (pod || config) == (by.Label != nil) {
			t.Errorf("%T: children and pods are watched by the label, Secrets and endpoints without", object)
		}
	}
}

func TestOnlyOurContents(t *testing.T) {
	data := map[string]string{"config.json": "{}"}
	owned := &corev1.ConfigMap{Data: data}
	owned.OwnerReferences = []metav1.OwnerReference{{Kind: hookbayv1alpha1.Kind, Controller: new(true)}}
	for m, want := range map[*corev1.ConfigMap]int{owned: 1, {Data: data}: 0} {
		if _, err := onlyOurContents(m); err != nil || len(m.Data) != want {
			t.Errorf("a ConfigMap with the owners %v keeps %d keys (%v), want %d", m.OwnerReferences, len(m.Data), err, want)
		}
	}
}

func TestOnlyIdentity(t *testing.T) {
	secret := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "lazada-app", UID: "u", ResourceVersion: "7",
		Labels:        map[string]string{"hunter2": "hunter2"},
		Annotations:   map[string]string{"kubectl.kubernetes.io/last-applied-configuration": `{"data":{"app-secret":"aHVudGVyMg=="}}`},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}}
	want := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "lazada-app", UID: "u", ResourceVersion: "7"}}
	got, err := onlyIdentity(secret)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is cached of a Secret (-want +got):\n%s", diff)
	}
	whole, err := onlyIdentity(&corev1.Secret{Data: map[string][]byte{"key": []byte("hunter2")}, StringData: map[string]string{"key": "hunter2"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&corev1.Secret{}, whole); diff != "" {
		t.Errorf("what is cached of a whole Secret (-want +got):\n%s", diff)
	}
}

// freeAddress is one of this machine that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// fetch returns the status and the text of a page, 0 and why if there is none.
func fetch(t *testing.T, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// scrapers returns the token of a service account that may read metrics, and of one that may not.
func scrapers(t *testing.T, namespace string) (may, mayNot string) {
	t.Helper()
	token := func(name string) string {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		if err := api.Client.Create(t.Context(), account); err != nil {
			t.Fatal(err)
		}
		request := &authenticationv1.TokenRequest{}
		if err := api.Client.SubResource("token").Create(t.Context(), account, request); err != nil {
			t.Fatal(err)
		}
		return request.Status.Token
	}
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: namespace + "-metrics"},
		Rules:      []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}},
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "may"}},
	}
	if err := errors.Join(api.Client.Create(t.Context(), role), api.Client.Create(t.Context(), binding)); err != nil {
		t.Fatal(err)
	}
	return token("may"), token("may-not")
}

// TestRun_oneOfSeveralLeads runs two managers as two pods of a Deployment do.
func TestRun_oneOfSeveralLeads(t *testing.T) {
	const leaseName = "shop.hookbay.dev" // not the default
	namespace := api.Namespace(t, nil)
	may, mayNot := scrapers(t, namespace)
	start := func(change func(*Options)) (o Options, stop func()) {
		o = DefaultOptions("v0.0.0")
		o.WatchNamespaces, o.LeaderElectionNamespace, o.LeaderElectionID = []string{namespace}, namespace, leaseName
		o.HealthProbeBindAddress, o.MetricsBindAddress = freeAddress(t), freeAddress(t)
		change(&o)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- Run(ctrl.LoggerInto(ctx, logr.Discard()), api.Config, o) }()
		stopped := false
		stop = func() {
			if cancel(); stopped {
				return
			}
			stopped = true
			if err := <-done; err != nil {
				t.Errorf("the manager ended: %v", err)
			}
		}
		t.Cleanup(stop)
		apitest.Eventually(t, "the manager is ready", func() error {
			if status, text := fetch(t, "http://"+o.HealthProbeBindAddress+"/readyz", ""); status != http.StatusOK {
				return fmt.Errorf("%d %s", status, text)
			}
			return nil
		})
		return o, stop
	}
	holder := func() string {
		var lease coordinationv1.Lease
		if err := api.Client.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: leaseName}, &lease); err != nil || lease.Spec.HolderIdentity == nil {
			return ""
		}
		return *lease.Spec.HolderIdentity
	}
	first, stopFirst := start(func(*Options) {})
	apitest.Eventually(t, "the first manager leads", func() error {
		if holder() == "" {
			return errors.New("nobody does")
		}
		return nil
	})
	leader := holder()

	metricsURL := "https://" + first.MetricsBindAddress + "/metrics"
	apitest.Eventually(t, "metrics of the leader", func() error {
		status, text := fetch(t, metricsURL, may)
		for _, want := range []string{`hookbay_endpoints{ready="true"} 0`, `leader_election_master_status{name="` + leaseName + `"} 1`} {
			if status != http.StatusOK || !strings.Contains(text, want) {
				return fmt.Errorf("%d without %s:\n%s", status, want, text)
			}
		}
		return nil
	})
	if status, text := fetch(t, metricsURL, ""); status != http.StatusUnauthorized {
		t.Errorf("metrics for anybody: %d %s", status, text)
	}
	if status, text := fetch(t, metricsURL, mayNot); status != http.StatusForbidden {
		t.Errorf("metrics for one who may not read them: %d %s", status, text)
	}
	if status, _ := fetch(t, "http://"+first.HealthProbeBindAddress+"/healthz", ""); status != http.StatusOK {
		t.Errorf("/healthz answers %d", status)
	}

	start(func(o *Options) { o.registerer, o.MetricsBindAddress = prometheus.NewRegistry(), "0" }) // ready without leading
	if holder() != leader {
		t.Error("the second manager has taken the lead from the first")
	}
	stopFirst()
	apitest.Eventually(t, "the second manager takes over", func() error {
		if h := holder(); h == "" || h == leader {
			return fmt.Errorf("the Lease is held by %q", h)
		}
		return nil
	})
}
