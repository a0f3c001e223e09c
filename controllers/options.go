package controllers

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/defaults"
	"github.com/hookbay/hookbay/controllers/receivers"
)

// Options are the flags of hookbay manager: each field is the flag of its name, whose help is its documentation; Buffer is several. DefaultOptions are good
// for a manager that runs in a cluster.
type Options struct {
	WatchNamespaces []string
	ReceiverImage   string
	Buffer          defaults.Buffer

	LeaderElect             bool
	LeaderElectionNamespace string
	LeaderElectionID        string

	MetricsBindAddress     string
	MetricsSecure          bool
	MetricsCertDir         string
	HealthProbeBindAddress string

	MaxConcurrentReconciles int
	KubeAPIQPS              float32
	KubeAPIBurst            int

	LogLevel  string
	LogFormat string

	// registerer is where the manager's own metrics go; nil: to those of controller-runtime, which are served.
	registerer prometheus.Registerer
	// receivers are the options of the client that asks the pods.
	receivers receivers.Options
}

// receiverRepository is where the images of receivers are published, each with the version as its tag.
const receiverRepository = "ghcr.io/hookbay/receiver"

// off switches an address off, in the flags of addresses.
const off = "0"

// The log formats and levels.
const (
	formatJSON    = "json"
	formatConsole = "console"
)

func logLevels() map[string]slog.Level {
	return map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
}

var (
	// A tag as registries take it.
	tagPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	// Roughly an image: the registry has the last word.
	imagePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(:[0-9]+)?(/[A-Za-z0-9][A-Za-z0-9._-]*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?(@[a-z0-9]+:[A-Fa-f0-9]+)?$`)
)

// DefaultOptions returns the defaults of a program of this version. One that has no version, as it was built in some other way than by
// make, has no default image either.
func DefaultOptions(version string) Options {
	o := Options{
		Buffer:                  defaults.Buffer{Type: hookbayv1alpha1.BufferDisk},
		LeaderElect:             true,
		LeaderElectionID:        "hookbay.hookbay.dev",
		MetricsBindAddress:      ":8443",
		MetricsSecure:           true,
		HealthProbeBindAddress:  ":8081",
		MaxConcurrentReconciles: 16, // a round waits more than it works: for the API server, and for receivers that don't answer
		LogLevel:                "info",
		LogFormat:               formatJSON,
	}
	if tagPattern.MatchString(version) && version != "unknown" {
		o.ReceiverImage = receiverRepository + ":" + version
	}
	return o
}

// BindFlags makes flags of the fields, with what is in them as defaults.
func (o *Options) BindFlags(f *pflag.FlagSet) {
	f.StringSliceVar(&o.WatchNamespaces, "watch-namespaces", o.WatchNamespaces,
		"`namespaces` whose WebhookEndpoints are served, separated by commas; all if there is none")
	f.StringVar(&o.ReceiverImage, "receiver-image", o.ReceiverImage, "`image` of the receivers; a new one replaces them, one after another")
	o.Buffer.BindFlags(f)
	f.BoolVar(&o.LeaderElect, "leader-elect", o.LeaderElect, "let one of several managers do the work, while the others wait to take over")
	f.StringVar(&o.LeaderElectionNamespace, "leader-election-namespace", o.LeaderElectionNamespace,
		"`namespace` of the Lease that says which one; the manager's own by default")
	f.StringVar(&o.LeaderElectionID, "leader-election-id", o.LeaderElectionID,
		"`name` of that Lease; managers with the same one take turns, so those that serve other namespaces from there need another")
	f.StringVar(&o.MetricsBindAddress, "metrics-bind-address", o.MetricsBindAddress, "`address` that metrics are served at; 0 switches them off")
	f.BoolVar(&o.MetricsSecure, "metrics-secure", o.MetricsSecure,
		"serve metrics by HTTPS, to those whom the API server allows to get /metrics (the manager must be allowed to create TokenReviews and\n"+
			"SubjectAccessReviews); otherwise by HTTP, to all")
	f.StringVar(&o.MetricsCertDir, "metrics-cert-dir", o.MetricsCertDir,
		"`directory` with tls.crt and tls.key for metrics, which may be renewed; without it a certificate is made that nobody can verify")
	f.StringVar(&o.HealthProbeBindAddress, "health-probe-bind-address", o.HealthProbeBindAddress,
		"`address` that /healthz and /readyz are served at; 0 switches them off")
	f.IntVar(&o.MaxConcurrentReconciles, "max-concurrent-reconciles", o.MaxConcurrentReconciles, "how many endpoints are worked on at once")
	f.Float32Var(&o.KubeAPIQPS, "kube-api-qps", o.KubeAPIQPS, "requests to the API server, per second; 0: as many as its own limits allow")
	f.IntVar(&o.KubeAPIBurst, "kube-api-burst", o.KubeAPIBurst, "requests to the API server at once, after a pause; 0: twice --kube-api-qps")
	f.StringVar(&o.LogLevel, "log-level", o.LogLevel, "debug, info, warn or error")
	f.StringVar(&o.LogFormat, "log-format", o.LogFormat, "json or console")
}

// UsageError says which flag is wrong and what to write.
type UsageError struct{ what string }

func usagef(format string, args ...any) error { return &UsageError{what: fmt.Sprintf(format, args...)} }

// Error names the flag.
func (e *UsageError) Error() string { return e.what }

// ExitCode is 2: the call is wrong, as opposed to what it was to do.
func (*UsageError) ExitCode() int { return 2 }

// Validate returns all mistakes, each a *UsageError.
func (o *Options) Validate() error {
	var problems []error
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			problems = append(problems, usagef(format, args...))
		}
	}
	for _, n := range o.WatchNamespaces {
		refuse(len(validation.IsDNS1123Label(n)) > 0, "--watch-namespaces: %q is no namespace: write names separated by commas, as in shop,chat", n)
	}
	switch {
	case o.ReceiverImage == "":
		refuse(true, "--receiver-image: write the image of the receivers, such as %s:v1.0.0: this program has no version to take it from", receiverRepository)
	case !imagePattern.MatchString(o.ReceiverImage):
		refuse(true, "--receiver-image: %q is no image: write one such as %s:v1.0.0", o.ReceiverImage, receiverRepository)
	}
	for _, problem := range o.Buffer.Validate() {
		refuse(true, "%s", problem)
	}
	refuse(o.LeaderElectionNamespace != "" && len(validation.IsDNS1123Label(o.LeaderElectionNamespace)) > 0,
		"--leader-election-namespace: %q is no namespace: write a name such as hookbay-system", o.LeaderElectionNamespace)
	refuse(len(validation.IsDNS1123Subdomain(o.LeaderElectionID)) > 0,
		"--leader-election-id: %q is no name of a Lease: write lower-case letters, digits, '-' and '.', as in hookbay.hookbay.dev", o.LeaderElectionID)
	refuse(!goodAddress(o.MetricsBindAddress), "--metrics-bind-address: write a host and a port, as in :8443 or 127.0.0.1:8443, or 0 for none, instead of %q",
		o.MetricsBindAddress)
	refuse(!goodAddress(o.HealthProbeBindAddress), "--health-probe-bind-address: write a host and a port, as in :8081 or 127.0.0.1:8081, or 0 for none, instead of %q",
		o.HealthProbeBindAddress)
	problems = append(problems, o.checkCertDir())
	refuse(o.MaxConcurrentReconciles < 1, "--max-concurrent-reconciles: write 1 or more instead of %d", o.MaxConcurrentReconciles)
	refuse(o.KubeAPIQPS < 0, "--kube-api-qps: write 0, or more, instead of %v", o.KubeAPIQPS)
	refuse(o.KubeAPIBurst < 0, "--kube-api-burst: write 0, or more, instead of %d", o.KubeAPIBurst)
	refuse(o.KubeAPIBurst > 0 && o.KubeAPIQPS == 0, "--kube-api-burst: write --kube-api-qps as well: without it there is no limit")
	_, known := logLevels()[o.LogLevel]
	refuse(!known, "--log-level: write debug, info, warn or error instead of %q", o.LogLevel)
	refuse(o.LogFormat != formatJSON && o.LogFormat != formatConsole, "--log-format: write json or console instead of %q", o.LogFormat)
	return errors.Join(problems...)
}

// checkCertDir finds what would otherwise be passed over: without these files a certificate is made.
func (o *Options) checkCertDir() error {
	switch {
	case o.MetricsCertDir == "" || o.MetricsBindAddress == off:
		return nil
	case !o.MetricsSecure:
		return usagef("--metrics-cert-dir: leave it out, or write --metrics-secure=true: by HTTP no certificate is used")
	}
	for _, name := range []string{"tls.crt", "tls.key"} {
		if _, err := os.Stat(filepath.Join(o.MetricsCertDir, name)); err != nil {
			return usagef("--metrics-cert-dir: put tls.crt and tls.key there, named as in a Secret of type kubernetes.io/tls: %v", err)
		}
	}
	return nil
}

// goodAddress takes what net.Listen does, and off.
func goodAddress(a string) bool {
	if a == off {
		return true
	}
	_, port, err := net.SplitHostPort(a)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// limits returns the client's limits as client-go takes them: negative for none.
func (o *Options) limits() (qps float32, burst int) {
	if o.KubeAPIQPS == 0 {
		return -1, 0
	}
	return o.KubeAPIQPS, cmp.Or(o.KubeAPIBurst, max(1, int(2*o.KubeAPIQPS)))
}

// logHandler writes logs as the flags say.
func (o *Options) logHandler(w io.Writer) slog.Handler {
	options := &slog.HandlerOptions{
		Level: logLevels()[o.LogLevel],
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			// logr's V levels become levels between debug and info, which have odd names.
			if level, ok := a.Value.Any().(slog.Level); ok && len(groups) == 0 && a.Key == slog.LevelKey && level < slog.LevelInfo {
				a.Value = slog.AnyValue(slog.LevelDebug)
			}
			return a
		},
	}
	if o.LogFormat == formatConsole {
		return slog.NewTextHandler(w, options)
	}
	return slog.NewJSONHandler(w, options)
}
