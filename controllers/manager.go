package controllers

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/apply"
	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/controllers/receivers"
)

const (
	// stopTimeout is how long rounds under way may take to end, shorter than what a pod gets to stop.
	stopTimeout = 20 * time.Second
	// probeTimeout bounds what a probe waits for, below the second that the kubelet gives it by default.
	probeTimeout = 800 * time.Millisecond
	// namespaceFile is there in a pod, and holds its namespace.
	namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
)

// ManagerCommand is `hookbay manager`, of a program of this version.
func ManagerCommand(version string) *cobra.Command {
	o := DefaultOptions(version)
	cmd := &cobra.Command{
		Use:   "manager [flags]",
		Short: "Run the controller, which serves the WebhookEndpoints of a cluster",
		Long: `Run the controller: it makes receivers, Services, Ingresses and HTTPRoutes of the WebhookEndpoints in a cluster, and keeps them so.

It finds the cluster by --kubeconfig, the environment variable KUBECONFIG, the pod that it runs in, or ~/.kube/config, in this order.`,
		Example: `  hookbay manager
  hookbay manager --leader-elect=false --metrics-bind-address 0 --log-format console   # from a shell, with your own kubeconfig`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Validate(); err != nil {
				return err
			}
			handler := o.logHandler(cmd.ErrOrStderr())
			log := logr.FromSlogHandler(handler)
			ctrl.SetLogger(log) // what the libraries log
			klog.SetLogger(log)
			cfg, err := ctrl.GetConfig()
			if err != nil {
				return fmt.Errorf("find the cluster: write --kubeconfig FILE, or run in a pod: %w", err)
			}
			return Run(ctrl.LoggerInto(cmd.Context(), log), cfg, o)
		},
	}
	o.BindFlags(cmd.Flags())
	cmd.Flags().AddGoFlag(flag.CommandLine.Lookup(config.KubeconfigFlagName)) // controller-runtime's own
	return cmd
}

// Run runs a manager with the logger of ctx until ctx ends; then rounds under way end first, and the Lease is given back. It returns an error
// if the options are wrong, if it can't start, or if it loses the Lease: then the program has to end.
func Run(ctx context.Context, cfg *rest.Config, o Options) error {
	if err := errors.Join(o.Validate(), o.checkLease()); err != nil {
		return err
	}
	mgr, err := newManager(ctrl.LoggerFrom(ctx), cfg, &o)
	if err != nil {
		return err
	}
	own := prometheus.NewRegistry()
	asker := receivers.New(o.receivers)
	defer asker.Close()
	writes := apply.NewWrites(own)
	reconciler := &Reconciler{
		Client:    mgr.GetClient(),
		Live:      mgr.GetAPIReader(),
		Apply:     apply.New(mgr.GetClient(), mgr.GetAPIReader(), writes),
		Writes:    writes,
		Receivers: asker,
		Events:    NewEventPublisher(mgr.GetEventRecorder(manifests.ManagedBy)),
		Settings:  manifests.Settings{Image: o.ReceiverImage},
		Defaults:  o.Buffer,
	}
	if err := reconciler.SetupWithManager(ctx, mgr, o.MaxConcurrentReconciles); err != nil {
		return err
	}
	if err := registerEndpointMetrics(own, mgr.GetCache(), mgr.Elected(), mgr.GetLogger()); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	served := o.registerer
	if served == nil {
		served = metrics.Registry
	}
	if err := served.Register(own); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	defer served.Unregister(own)
	if err := addProbes(mgr); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// checkLease finds out in time that there is no namespace to put the Lease into.
func (o *Options) checkLease() error {
	if !o.LeaderElect || o.LeaderElectionNamespace != "" {
		return nil
	}
	if _, err := os.Stat(namespaceFile); errors.Is(err, fs.ErrNotExist) {
		return usagef("--leader-election-namespace: write a namespace, or --leader-elect=false: outside of a pod there is no namespace of its own")
	}
	return nil
}

func newManager(log logr.Logger, cfg *rest.Config, o *Options) (ctrl.Manager, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	cfg = rest.CopyConfig(cfg)
	cfg.QPS, cfg.Burst = o.limits()
	cfg.UserAgent = apply.FieldManager
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:                        scheme,
		Logger:                        log,
		Cache:                         cacheOptions(o.WatchNamespaces),
		LeaderElection:                o.LeaderElect,
		LeaderElectionID:              o.LeaderElectionID,
		LeaderElectionNamespace:       o.LeaderElectionNamespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       new(stopTimeout),
		HealthProbeBindAddress:        o.HealthProbeBindAddress,
		Metrics:                       metricsOptions(o),
		// There is one controller. That its name is unique in the process would only keep tests from running one manager after another.
		Controller: ctrlconfig.Controller{SkipNameValidation: new(true)},
	})
	if meta.IsNoMatchError(err) {
		return nil, fmt.Errorf("the cluster has no WebhookEndpoints: install their definition first (kubectl apply --server-side -k config/crd): %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("set up the manager: %w", err)
	}
	return mgr, nil
}

// newScheme knows what is read and written: Kubernetes' own kinds, ours, and the Gateway API's.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, hookbayv1alpha1.AddToScheme, gatewayv1.Install} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("build the scheme: %w", err)
		}
	}
	return scheme, nil
}

// cacheOptions bound what the manager holds in memory, and which Secrets' contents: none. Only endpoints and the metadata of Secrets are
// cached whoever made them; of all else, what has our label. A rule for all kinds rather than one for each, as the API server may not know
// the kinds of the Gateway API.
func cacheOptions(namespaces []string) cache.Options {
	options := cache.Options{
		DefaultLabelSelector: labels.SelectorFromSet(labels.Set{manifests.LabelManagedBy: manifests.ManagedBy}),
		ByObject: map[client.Object]cache.ByObject{
			&hookbayv1alpha1.WebhookEndpoint{}: {Label: labels.Everything(), Transform: cache.TransformStripManagedFields()},
			&corev1.Secret{}:                   {Label: labels.Everything(), Transform: onlyIdentity},
			&corev1.ConfigMap{}:                {Transform: onlyOurContents},
			&corev1.Pod{}:                      {Transform: cache.TransformStripManagedFields()},
		},
		// What is not watched is not read from the cache: that fails, instead of caching Secrets, or of finding only what has our label.
		ReaderFailOnMissingInformer: true,
	}
	if len(namespaces) > 0 {
		options.DefaultNamespaces = map[string]cache.Config{}
		for _, n := range namespaces {
			options.DefaultNamespaces[n] = cache.Config{}
		}
	}
	return options
}

// onlyOurContents drops what is in ConfigMaps that have our label and are no endpoint's: anybody may make them, as large and many as he likes.
func onlyOurContents(o any) (any, error) {
	if m, ok := o.(*corev1.ConfigMap); ok {
		if owner := metav1.GetControllerOf(m); owner == nil || owner.Kind != hookbayv1alpha1.Kind {
			m.Data, m.BinaryData, m.ManagedFields = nil, nil, nil
		}
	}
	return o, nil
}

var _, _ toolscache.TransformFunc = onlyIdentity, onlyOurContents

// onlyIdentity leaves of a Secret what says which one it is and whether it changed. Its annotations may hold its contents: kubectl apply
// writes them there.
func onlyIdentity(o any) (any, error) {
	switch s := o.(type) {
	case *metav1.PartialObjectMetadata:
		s.Annotations, s.Labels, s.ManagedFields = nil, nil, nil
	case *corev1.Secret: // nothing asks for it; nor would anything get it
		s.Annotations, s.Labels, s.ManagedFields, s.Data, s.StringData = nil, nil, nil, nil, nil
	}
	return o, nil
}

func metricsOptions(o *Options) metricsserver.Options {
	options := metricsserver.Options{BindAddress: o.MetricsBindAddress, SecureServing: o.MetricsSecure, CertDir: o.MetricsCertDir}
	if o.MetricsSecure {
		options.FilterProvider = filters.WithAuthenticationAndAuthorization
		// Scrapes gain nothing by HTTP/2, which has been a means to exhaust servers.
		options.TLSOpts = []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }}
	}
	return options
}

// addProbes says what alive and ready mean. Alive is a process that answers: to be restarted helps against nothing else. Ready is one that
// could work at once if it became the leader: it reaches the API server, and what it watches is in the cache.
func addProbes(mgr ctrl.Manager) error {
	api, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("set up the readiness probe: %w", err)
	}
	return errors.Join(
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("api", func(r *http.Request) error {
			ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
			defer cancel()
			return api.RESTClient().Get().AbsPath("/version").Do(ctx).Error()
		}),
		mgr.AddReadyzCheck("cache", func(r *http.Request) error {
			ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
			defer cancel()
			if !mgr.GetCache().WaitForCacheSync(ctx) {
				return errors.New("the cache is not filled yet")
			}
			return nil
		}),
	)
}
