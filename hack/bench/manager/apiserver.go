package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/config/crd"
)

// startTimeout is how long the API server or its store may take to start.
const startTimeout = 3 * time.Minute

// roleFile holds the manager's rights, seen from the root of the repository.
const roleFile = "config/rbac/role.yaml"

// apiServer is an API server of our own, with Hookbay's CRD and a user for the manager.
type apiServer struct {
	environment envtest.Environment
	scheme      *runtime.Scheme
	admin       *rest.Config
	discovery   *discovery.DiscoveryClient
	version     string
	// kubeconfig is the file with the access of the manager's user.
	kubeconfig string
}

// startAPIServer starts it; stop must be called, also after an error.
func startAPIServer(ctx context.Context, dir string) (*apiServer, error) {
	s := &apiServer{scheme: runtime.NewScheme()}
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, hookbayv1alpha1.AddToScheme} {
		if err := add(s.scheme); err != nil {
			return s, err
		}
	}
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		return s, errors.New(`KUBEBUILDER_ASSETS is not set: run make bench-manager, or export KUBEBUILDER_ASSETS="$(sh hack/envtest/assets.sh)"`)
	}
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(crd.WebhookEndpoints(), &definition); err != nil {
		return s, fmt.Errorf("read the CRD: %w", err)
	}
	s.environment = envtest.Environment{
		BinaryAssetsDirectory:    assets,
		UseExistingCluster:       new(false), // whatever the environment says
		CRDs:                     []*apiextensionsv1.CustomResourceDefinition{&definition},
		ControlPlaneStartTimeout: startTimeout,
		Scheme:                   s.scheme,
	}
	// The default has addresses for 253 Services.
	s.environment.ControlPlane.GetAPIServer().Configure().Set("service-cluster-ip-range", "10.0.0.0/16")
	var err error
	if s.admin, err = s.environment.Start(); err != nil {
		return s, fmt.Errorf("start the API server: %w", err)
	}
	s.admin.QPS = -1
	if s.discovery, err = discovery.NewDiscoveryClientForConfig(s.admin); err != nil {
		return s, err
	}
	version, err := s.discovery.ServerVersion()
	if err != nil {
		return s, fmt.Errorf("ask the API server for its version: %w", err)
	}
	s.version = version.GitVersion
	return s, s.addManager(ctx, dir)
}

func (s *apiServer) stop() error { return s.environment.Stop() }

// addManager makes a user with the rights of the manager, and its kubeconfig.
func (s *apiServer) addManager(ctx context.Context, dir string) error {
	role, err := managerRole()
	if err != nil {
		return err
	}
	c, err := client.New(s.admin, client.Options{Scheme: s.scheme})
	if err != nil {
		return err
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: role.Name}},
	}
	for _, o := range []client.Object{role, binding} {
		if err := c.Create(ctx, o); err != nil {
			return fmt.Errorf("give the manager its rights: %w", err)
		}
	}
	user, err := s.environment.AddUser(envtest.User{Name: role.Name}, nil)
	if err != nil {
		return fmt.Errorf("add the manager's user: %w", err)
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		return fmt.Errorf("make the manager's kubeconfig: %w", err)
	}
	s.kubeconfig = filepath.Join(dir, "kubeconfig")
	return os.WriteFile(s.kubeconfig, kubeconfig, 0o600)
}

func managerRole() (*rbacv1.ClusterRole, error) {
	data, err := os.ReadFile(roleFile)
	if err != nil {
		return nil, fmt.Errorf("read the manager's rights, from the root of the repository: %w", err)
	}
	for document := range strings.SplitSeq(string(data), "---\n") {
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal([]byte(document), &role); err != nil {
			return nil, fmt.Errorf("read %s: %w", roleFile, err)
		}
		if role.Kind == "ClusterRole" && role.Name == "hookbay-manager" {
			return &role, nil
		}
	}
	return nil, fmt.Errorf("%s has no ClusterRole hookbay-manager", roleFile)
}

// asked is what the manager has asked the API server to write, as the API server counts it, for all who ask. This program never writes what is
// counted here: it changes the spec of endpoints, and makes, updates and deletes pods.
func (s *apiServer) asked(ctx context.Context) (requests, error) {
	body, err := s.discovery.RESTClient().Get().AbsPath("/metrics").Stream(ctx)
	if err != nil {
		return requests{}, fmt.Errorf("ask the API server for its metrics: %w", err)
	}
	defer func() { _ = body.Close() }() // what was read is all that counts
	var r requests
	err = eachSample(body, "apiserver_request_total", func(s sample) {
		resource, sub, verb := s.labels["resource"], s.labels["subresource"], s.labels["verb"]
		switch {
		case verb == "APPLY":
			r.applies += s.value
		case verb == "PATCH" && resource == "pods" && sub == "":
			r.pods += s.value
		case verb == "PATCH" && resource == "webhookendpoints" && sub == "status":
			r.statuses += s.value
		case resource == "events" && (verb == "POST" || verb == "PATCH"):
			r.events += s.value
		}
	})
	return r, err
}

// requests counts requests of the manager by what they are for.
type requests struct{ applies, pods, statuses, events float64 }

func (r requests) minus(other requests) requests {
	return requests{r.applies - other.applies, r.pods - other.pods, r.statuses - other.statuses, r.events - other.events}
}
