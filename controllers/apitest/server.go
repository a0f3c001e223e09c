package apitest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/config/crd"
)

// startTimeout is how long the API server or its store may take to start, on a machine that is busy with other tests.
const startTimeout = 3 * time.Minute

// Server is an API server. The zero value is one that Main has not started yet.
type Server struct {
	// Config is the access of an administrator, who may do everything.
	Config *rest.Config
	// Client is the administrator's client. It reads from the API server, not from a cache.
	Client client.Client
	// Scheme has the types of Kubernetes, of Hookbay, of the Gateway API, and that of CRDs.
	Scheme *runtime.Scheme

	environment envtest.Environment
	users       sync.Mutex // one is added at a time
}

// Option is something that an API server has beside Hookbay's CRD.
type Option func(*envtest.Environment) error

// Main runs the tests of a package against the server. TestMain calls it as its last step. If the server can't be started, it
// prints why, and no test runs.
func (s *Server) Main(m *testing.M, options ...Option) {
	if err := s.start(options); err != nil {
		fmt.Fprintf(os.Stderr, "start an API server for the tests: %v\n", errors.Join(err, s.environment.Stop()))
		os.Exit(1)
	}
	// The programs run in process groups of their own: nobody else stops them when somebody stops the tests.
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	go func() { // until the process ends
		<-interrupted
		_ = s.environment.Stop() // there is nobody left to tell
		os.Exit(130)
	}()
	code := m.Run()
	if err := s.environment.Stop(); err != nil {
		fmt.Fprintf(os.Stderr, "stop the API server of the tests: %v\n", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// WithGatewayAPI installs the CRD of the HTTPRoute, from the module that its types come from.
func WithGatewayAPI(e *envtest.Environment) error {
	const module = "sigs.k8s.io/gateway-api"
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("find the folder of %s: %w: %s", module, err, stderr.String())
	}
	e.CRDDirectoryPaths = append(e.CRDDirectoryPaths, filepath.Join(strings.TrimSpace(stdout.String()),
		"config", "crd", "standard", "gateway.networking.k8s.io_httproutes.yaml"))
	return nil
}

func (s *Server) start(options []Option) error {
	// Whoever starts a manager gives it a logger of its own; the rest of controller-runtime is silent.
	ctrl.SetLogger(logr.Discard())
	assets, err := assets()
	if err != nil {
		return err
	}
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(crd.WebhookEndpoints(), &definition); err != nil {
		return fmt.Errorf("read the CRD: %w", err)
	}
	s.Scheme, err = scheme()
	if err != nil {
		return err
	}
	s.environment = envtest.Environment{
		BinaryAssetsDirectory: assets,
		// Whatever the environment says, a test never touches a cluster that is somebody's.
		UseExistingCluster:       new(false),
		CRDs:                     []*apiextensionsv1.CustomResourceDefinition{&definition},
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: startTimeout,
		Scheme:                   s.Scheme,
	}
	for _, option := range options {
		if err := option(&s.environment); err != nil {
			return err
		}
	}
	if s.Config, err = s.environment.Start(); err != nil {
		return err
	}
	s.Client, err = client.New(s.Config, client.Options{Scheme: s.Scheme})
	return err
}

func assets() (string, error) {
	dir := os.Getenv("KUBEBUILDER_ASSETS")
	if dir == "" {
		return "", errors.New("KUBEBUILDER_ASSETS is not set: run make test, or from the repository's root: " +
			`export KUBEBUILDER_ASSETS="$(sh hack/envtest/assets.sh)"`)
	}
	for _, program := range []string{"kube-apiserver", "etcd", "kubectl"} {
		if _, err := fs.Stat(os.DirFS(dir), program); err != nil {
			return "", fmt.Errorf("KUBEBUILDER_ASSETS must name the folder that holds kube-apiserver, etcd and kubectl: %w", err)
		}
	}
	return dir, nil
}

func scheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, hookbayv1alpha1.AddToScheme, gatewayv1.Install,
	} {
		if err := add(s); err != nil {
			return nil, fmt.Errorf("register types: %w", err)
		}
	}
	return s, nil
}
