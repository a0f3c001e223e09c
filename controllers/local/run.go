package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/credentials"
	"github.com/hookbay/hookbay/controllers/defaults"
	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/receiver/app"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/delivery/target"
)

// targetPrint is the value of --target that prints events instead of sending them.
const targetPrint = "print"

// runFlags are the flags of hookbay run.
type runFlags struct {
	files   []string
	listen  string
	admin   string
	dataDir string
	target  string
	buffer  defaults.Buffer
}

// RunCommand is `hookbay run`.
func RunCommand() *cobra.Command {
	f := &runFlags{buffer: defaults.Buffer{Type: hookbayv1alpha1.BufferDisk}}
	cmd := &cobra.Command{
		Use:   "run -f FILE|DIR … [flags]",
		Short: "Serve WebhookEndpoints on this machine, without a cluster",
		Long: `Serve WebhookEndpoints on this machine, without a cluster: the same manifests, the same checks and the same receiver. Manifests that are
edited meanwhile are taken over at once; a mistake in them is told, and what was there before stays live.

Events that were not delivered when it ends are delivered when it runs again with the same --data-dir.`,
		Example: `  hookbay run -f config/samples --target print
  hookbay run -f endpoint.yaml -f secret.yaml --target http://localhost:3000/events
  hookbay run -f config/samples --target print 2>/dev/null | jq .data
  hookbay run -f endpoint.yaml -f secret.yaml --target print --default-buffer JetStream --jetstream-url nats://127.0.0.1:4222`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if f.files, err = manifestPaths(f.files, args); err != nil {
				return err
			}
			return run(cmd.Context(), f, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	fs := cmd.Flags()
	fs.StringArrayVarP(&f.files, "filename", "f", nil, filesHelp)
	fs.StringVar(&f.listen, "listen", "127.0.0.1:8080", "address for callbacks; port 0 takes a free one")
	fs.StringVar(&f.admin, "admin", "127.0.0.1:9090", "address for health, metrics and the live configuration")
	fs.StringVar(&f.dataDir, "data-dir", ".hookbay", "where events are stored")
	fs.StringVar(&f.target, "target", "",
		"send all events to this http or https `URL` instead of the targets in the manifests, or print them on standard output: print")
	f.buffer.BindFlags(fs)
	return cmd
}

func run(ctx context.Context, f *runFlags, stdin io.Reader, stdout, stderr io.Writer) error {
	if err := checkTarget(f.target); err != nil {
		return err
	}
	if problems := f.buffer.Validate(); problems != nil {
		return usagef("%s", strings.Join(problems, "\n"))
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	loader, err := NewLoader(f.files, stdin, log)
	if err != nil {
		return err
	}
	loader.defaults = &f.buffer
	load := f.loadWith(ctx, loader)
	first, err := load()
	if err != nil {
		return err
	}
	options := app.Options{Load: load, Listen: f.listen, Admin: f.admin, DataDir: f.dataDir, Log: log}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if f.target == targetPrint {
		signal.Ignore(syscall.SIGPIPE) // it would end the process without a word when the reader of a pipe has gone
		lines := &lineWriter{out: stdout}
		options.NewTarget = func(config.Endpoint, config.Secrets) (target.Target, error) {
			return &printer{lines: lines, broken: stop}, nil
		}
	}
	app.SetUpProcess()
	a, err := app.New(ctx, options)
	if err != nil {
		return explainStart(err)
	}
	f.announce(stderr, first.Config.Endpoints, reachable(a.ListenAddr()), reachable(a.AdminAddr()))
	err = a.Run(ctx)
	if cause := context.Cause(ctx); errors.Is(cause, errNobodyReads) {
		err = errors.Join(cause, err)
	}
	return err
}

// loadWith returns what reads the configuration. What is the same as before is not tried out again.
func (f *runFlags) loadWith(ctx context.Context, loader *Loader) func() (config.Snapshot, error) {
	var last *Manifests
	var snap config.Snapshot
	var problem error
	return func() (config.Snapshot, error) {
		m, err := loader.Load(ctx)
		if err != nil {
			return config.Snapshot{}, err
		}
		if m != last {
			last = m
			if snap, problem = f.redirect(m); problem == nil {
				problem = tryOut(m, snap)
			}
		}
		return snap, problem
	}
}

// explainStart adds what to do about a receiver that cannot start because another one runs.
func explainStart(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: choose other ports with --listen and --admin (make run: LISTEN= and ADMIN=)", err)
	case errors.Is(err, syscall.EAGAIN):
		return fmt.Errorf("%w: choose another directory with --data-dir (make run: DATA_DIR=)", err)
	default:
		return err
	}
}

func checkTarget(to string) error {
	if to == "" || to == targetPrint {
		return nil
	}
	u, err := url.Parse(to)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return usagef("--target: write print, or a full http or https address without user name, such as http://localhost:3000/events")
	}
	return nil
}

// redirect is what is served of the manifests: with --target, all events go there.
func (f *runFlags) redirect(m *Manifests) (config.Snapshot, error) {
	snap := m.Snapshot()
	var unreachable []string
	for i := range snap.Config.Endpoints {
		e := &snap.Config.Endpoints[i]
		switch {
		case f.target == "" && m.Endpoints[i].Spec.Target.Type == hookbayv1alpha1.TargetService:
			unreachable = append(unreachable, e.Key())
		case f.target != "" && f.target != targetPrint:
			redirectTarget(&e.Target, f.target)
		}
	}
	if unreachable != nil {
		return config.Snapshot{}, &InvalidError{problems: fmt.Errorf("%s: spec.target.service: a Service can be reached only inside a cluster: "+
			"add --target http://localhost:3000/events to send events to a program on this machine, or --target print to print them",
			strings.Join(unreachable, ", "))}
	}
	return snap, nil
}

// redirectTarget has events go to a URL. What a topic's or subject's target is set to has no meaning there.
func redirectTarget(t *config.Target, to string) {
	if t.Type != config.TargetHTTP {
		*t = config.Target{Type: config.TargetHTTP, Timeout: t.Timeout}
	}
	t.URL = to
}

// tryOut finds what only shows when sources and targets are made, such as a signing secret that is none, and tells it as a problem of
// the manifests.
func tryOut(m *Manifests, snap config.Snapshot) error {
	var problems []error
	for i := range m.Endpoints {
		e := endpointObject{WebhookEndpoint: m.Endpoints[i], where: m.where[i]}
		words := func(ref manifests.SecretRef) string {
			secret := e.Namespace + "/" + ref.Name
			return fmt.Sprintf("Secret %s (%s): the key %s", secret, m.secretWhere[secret], ref.Key)
		}
		if err := credentials.Check(&e.WebhookEndpoint, &snap.Config.Endpoints[i], snap.Secrets, words); err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				problems = append(problems, e.errorf("%s", line))
			}
		}
	}
	if err := errors.Join(problems...); err != nil {
		return &InvalidError{problems: err}
	}
	return nil
}
