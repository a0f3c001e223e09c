package controllers

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/hookbay/hookbay/controllers/defaults"
)

func TestOptions_flags(t *testing.T) {
	tests := map[string]struct {
		args []string
		want func(*Options)
	}{
		"none": {want: func(*Options) {}},
		"all": {
			args: strings.Fields("--watch-namespaces shop,chat --receiver-image localhost:5000/receiver:dev --default-buffer JetStream --jetstream-url nats://nats:4222 --jetstream-credentials nats/creds --leader-elect=false " +
				"--leader-election-namespace ops --leader-election-id shop.hookbay.dev --metrics-bind-address 127.0.0.1:0 --metrics-secure=false --health-probe-bind-address 0 " +
				"--max-concurrent-reconciles 9 --kube-api-qps 2.5 --kube-api-burst 7 --log-level debug --log-format console"),
			want: func(o *Options) {
				*o = Options{
					WatchNamespaces: []string{"shop", "chat"}, ReceiverImage: "localhost:5000/receiver:dev",
					Buffer:                  defaults.Buffer{Type: "JetStream", JetStreamURLs: []string{"nats://nats:4222"}, JetStreamCredentials: "nats/creds"},
					LeaderElectionNamespace: "ops", LeaderElectionID: "shop.hookbay.dev", MetricsBindAddress: "127.0.0.1:0", HealthProbeBindAddress: "0",
					MaxConcurrentReconciles: 9, KubeAPIQPS: 2.5, KubeAPIBurst: 7, LogLevel: "debug", LogFormat: "console",
				}
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, want := DefaultOptions("v1.2.3"), DefaultOptions("v1.2.3")
			tt.want(&want)
			flags := pflag.NewFlagSet("", pflag.ContinueOnError)
			got.BindFlags(flags)
			if err := flags.Parse(tt.args); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(Options{})); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
			if err := got.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDefaultOptions_image(t *testing.T) {
	for version, want := range map[string]string{
		"v1.2.3":                  "ghcr.io/hookbay/receiver:v1.2.3",
		"v1.2.3-4-gabcdef0-dirty": "ghcr.io/hookbay/receiver:v1.2.3-4-gabcdef0-dirty",
		"unknown":                 "",
		"":                        "",
		"(devel)":                 "",
		"v0.0.0-20260301120000-abcdef012345+dirty": "", // a tag has no plus sign
	} {
		if got := DefaultOptions(version).ReceiverImage; got != want {
			t.Errorf("the image of version %q is %q, want %q", version, got, want)
		}
	}
}

func TestOptions_Validate(t *testing.T) {
	certs := t.TempDir()
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.WriteFile(filepath.Join(certs, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		change func(*Options)
		want   []string // how each problem begins; none: all is well
	}{
		"the defaults":                   {change: func(*Options) {}},
		"a program without version":      {change: func(o *Options) { o.ReceiverImage = "" }, want: []string{"--receiver-image: write the image"}},
		"an image by digest":             {change: func(o *Options) { o.ReceiverImage = "r.example.com:5000/a/b@sha256:" + strings.Repeat("0", 64) }},
		"an image without tag":           {change: func(o *Options) { o.ReceiverImage = "receiver" }},
		"an image as a URL":              {change: func(o *Options) { o.ReceiverImage = "https://ghcr.io/hookbay/receiver" }, want: []string{`--receiver-image: "https`}},
		"an image with an empty tag":     {change: func(o *Options) { o.ReceiverImage = "ghcr.io/hookbay/receiver:" }, want: []string{"--receiver-image: "}},
		"a namespace in capitals":        {change: func(o *Options) { o.WatchNamespaces = []string{"shop", "Chat"} }, want: []string{`--watch-namespaces: "Chat" is no namespace`}},
		"a comma too many":               {change: func(o *Options) { o.WatchNamespaces = []string{"shop", ""} }, want: []string{`--watch-namespaces: "" is no namespace`}},
		"a buffer that there is not":     {change: func(o *Options) { o.Buffer.Type = "disk" }, want: []string{`--default-buffer: write Disk, JetStream or None instead of "disk"`}},
		"a stream that is kept nowhere":  {change: func(o *Options) { o.Buffer.Type = "JetStream" }, want: []string{"--jetstream-url: write the address of a NATS server"}},
		"a Lease in no namespace":        {change: func(o *Options) { o.LeaderElectionNamespace = "a/b" }, want: []string{"--leader-election-namespace: "}},
		"a Lease of no name":             {change: func(o *Options) { o.LeaderElectionID = "" }, want: []string{`--leader-election-id: "" is no name of a Lease`}},
		"a Lease in capitals":            {change: func(o *Options) { o.LeaderElectionID = "Hookbay_1" }, want: []string{`--leader-election-id: "Hookbay_1" is no name`}},
		"a port alone":                   {change: func(o *Options) { o.MetricsBindAddress = "8443" }, want: []string{"--metrics-bind-address: write a host and a port"}},
		"a port that there is not":       {change: func(o *Options) { o.HealthProbeBindAddress = ":80810" }, want: []string{"--health-probe-bind-address: write"}},
		"no address at all":              {change: func(o *Options) { o.MetricsBindAddress = "" }, want: []string{"--metrics-bind-address: write"}},
		"IPv6":                           {change: func(o *Options) { o.MetricsBindAddress = "[::1]:8443" }},
		"everything off":                 {change: func(o *Options) { o.MetricsBindAddress, o.HealthProbeBindAddress = "0", "0" }},
		"certificates":                   {change: func(o *Options) { o.MetricsCertDir = certs }},
		"no certificates":                {change: func(o *Options) { o.MetricsCertDir = t.TempDir() }, want: []string{"--metrics-cert-dir: put tls.crt and tls.key there"}},
		"certificates for HTTP":          {change: func(o *Options) { o.MetricsCertDir, o.MetricsSecure = certs, false }, want: []string{"--metrics-cert-dir: leave it out"}},
		"nothing done at once":           {change: func(o *Options) { o.MaxConcurrentReconciles = 0 }, want: []string{"--max-concurrent-reconciles: write 1 or more"}},
		"a limit of requests":            {change: func(o *Options) { o.KubeAPIQPS, o.KubeAPIBurst = 50, 100 }},
		"less than no requests":          {change: func(o *Options) { o.KubeAPIQPS = -1 }, want: []string{"--kube-api-qps: write 0"}},
		"a burst of less than nothing":   {change: func(o *Options) { o.KubeAPIQPS, o.KubeAPIBurst = 1, -1 }, want: []string{"--kube-api-burst: write 0"}},
		"a burst without a limit":        {change: func(o *Options) { o.KubeAPIBurst = 10 }, want: []string{"--kube-api-burst: write --kube-api-qps as well"}},
		"a level that there is not":      {change: func(o *Options) { o.LogLevel = "trace" }, want: []string{"--log-level: write debug, info, warn or error"}},
		"a format that there is not":     {change: func(o *Options) { o.LogFormat = "logfmt" }, want: []string{"--log-format: write json or console"}},
		"several mistakes, each is told": {change: func(o *Options) { o.LogLevel, o.LogFormat = "", "" }, want: []string{"--log-level", "--log-format"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := DefaultOptions("v1.2.3")
			tt.change(&o)
			err := o.Validate()
			if len(tt.want) == 0 {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if usage, ok := errors.AsType[*UsageError](err); !ok || usage.ExitCode() != 2 {
				t.Fatalf("error is %v, want a usage error with exit code 2", err)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tt.want) {
				t.Fatalf("problems are %q, want %d", lines, len(tt.want))
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("problem is %q, want %q", lines[i], want)
				}
			}
		})
	}
}

func TestOptions_limits(t *testing.T) {
	for name, tt := range map[string]struct {
		o         Options
		wantQPS   float32
		wantBurst int
	}{
		"none":        {wantQPS: -1},
		"both":        {o: Options{KubeAPIQPS: 50, KubeAPIBurst: 60}, wantQPS: 50, wantBurst: 60},
		"a rate only": {o: Options{KubeAPIQPS: 50}, wantQPS: 50, wantBurst: 100},
		"a slow rate": {o: Options{KubeAPIQPS: .1}, wantQPS: .1, wantBurst: 1},
	} {
		if qps, burst := tt.o.limits(); qps != tt.wantQPS || burst != tt.wantBurst {
			t.Errorf("%s: limits are %v and %d, want %v and %d", name, qps, burst, tt.wantQPS, tt.wantBurst)
		}
	}
}

func TestOptions_logs(t *testing.T) {
	write := func(o Options) string {
		var out bytes.Buffer
		log := logr.FromSlogHandler(o.logHandler(&out)).WithValues("namespace", "shop")
		log.V(1).Info("Applying what differs", "kind", "Service")
		log.Info("Endpoint is ready")
		log.Error(errors.New("conflict"), "Reconciling failed")
		return out.String()
	}
	tests := map[string]struct {
		level string
		want  []string // levels
	}{
		"debug": {level: "debug", want: []string{"DEBUG", "INFO", "ERROR"}},
		"info":  {level: "info", want: []string{"INFO", "ERROR"}},
		"error": {level: "error", want: []string{"ERROR"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for line := range strings.Lines(write(Options{LogLevel: tt.level, LogFormat: "json"})) {
				var entry struct{ Level, Msg, Namespace, Time string }
				if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Msg == "" || entry.Namespace != "shop" || entry.Time == "" {
					t.Errorf("line %q: %v", line, err)
				}
				got = append(got, entry.Level)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("levels (-want +got):\n%s", diff)
			}
		})
	}
	if got, want := write(Options{LogLevel: "error", LogFormat: "console"}), `level=ERROR msg="Reconciling failed" namespace=shop err=conflict`; !strings.Contains(got, want) {
		t.Errorf("console: %s, want %s", got, want)
	}
}
