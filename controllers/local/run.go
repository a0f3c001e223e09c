package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/credentials"
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
}

// RunCommand is `hookbay run`.
func RunCommand() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:   "run -f FILE|DIR … [flags]",
		Short: "Serve WebhookEndpoints on this machine, without a cluster",
		Long: `Serve WebhookEndpoints on this machine, without a cluster: the same manifests, the same checks and the same receiver. Manifests that are
edited meanwhile are taken over at once; a mistake in them is told, and what was there before stays live.

Events that were not delivered when it ends are delivered when it runs again with the same --data-dir.`,
		Example: `  hookbay run -f config/samples --target print
  hookbay run -f endpoint.yaml -f secret.yaml --target http://localhost:3000/events
  hookbay run -f config/samples --target print 2>/dev/null | jq .data`,
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
	return cmd
}

func run(ctx context.Context, f *runFlags, stdin io.Reader, stdout, stderr io.Writer) error {
	if err := checkTarget(f.target); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	loader, err := NewLoader(f.files, stdin, log)
	if err != nil {
		return err
	}
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
			e.Target.URL = f.target
		}
	}
	if unreachable != nil {
		return config.Snapshot{}, &InvalidError{problems: fmt.Errorf("%s: spec.target.service: a Service can be reached only inside a cluster: "+
			"add --target http://localhost:3000/events to send events to a program on this machine, or --target print to print them",
			strings.Join(unreachable, ", "))}
	}
	return snap, nil
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

// announce tells people what to do next.
func (f *runFlags) announce(w io.Writer, endpoints []config.Endpoint, listen, admin string) {
	stored := "stored in " + f.dataDir + " and "
	if !slices.ContainsFunc(endpoints, func(e config.Endpoint) bool { return e.Buffer.Type != config.BufferNone }) {
		stored = ""
	}
	fmt.Fprintf(w, "\nEvents are %s", stored)
	switch f.target {
	case "":
		fmt.Fprint(w, "sent to the targets in the manifests.\n")
	case targetPrint:
		fmt.Fprint(w, "printed on standard output.\n")
	default:
		fmt.Fprintf(w, "sent to %s.\n", withoutQuery(f.target))
	}
	for i := range endpoints {
		e := &endpoints[i]
		fmt.Fprintf(w, "\n%s (%s)\n", e.Key(), platformWords(&e.Source))
		fmt.Fprintf(w, "  callbacks  http://%s%s\n", listen, e.Path)
		if e.Buffer.Type == config.BufferNone {
			fmt.Fprint(w, "  buffer     none: a callback is answered when the target has taken it\n")
		}
		fmt.Fprintf(w, "  console    %s\n", consoleWords(&e.Source))
		fmt.Fprintf(w, "  try it     %s send -f %s --endpoint %s%s\n", program(), strings.Join(quotedWords(f.files), " -f "), e.Key(), urlFlag(listen))
	}
	fmt.Fprintf(w, "\nHealth, metrics and the live configuration: http://%s  Ctrl-C ends it.\n\n", admin)
}

// reachable is where a program on this machine reaches an address: one that stands for all addresses can't be called.
func reachable(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return a.String()
}

// program is this program as it was called, fit for a shell.
func program() string {
	if name := os.Args[0]; strings.Contains(name, "/") {
		return quotedWords([]string{name})[0]
	}
	return "hookbay"
}

// platformWords say whose callbacks an endpoint takes.
func platformWords(s *config.Source) string {
	switch {
	case s.Lazada != nil:
		return "Lazada, App Key " + s.Lazada.AppKey
	case s.TencentIM != nil:
		return fmt.Sprintf("Tencent Cloud IM, SDKAppID %d", s.TencentIM.SDKAppID)
	default:
		return s.Type
	}
}

// consoleWords say what to enter in the platform's console.
func consoleWords(s *config.Source) string {
	switch {
	case s.Lazada != nil:
		return "App Console > Push Mechanism: enter this path on a public https host, press Verify, choose message types, save"
	case s.TencentIM != nil && len(s.TencentIM.TokenFiles) > 0:
		return "Callback Configuration: enter this path on a public host, switch on authentication, set the Token, choose callbacks"
	default:
		return "Callback Configuration: enter this path on a public host, choose callbacks"
	}
}

// urlFlag is what hookbay send must be told if the receiver is not where it looks by itself.
func urlFlag(listen string) string {
	if listen == "127.0.0.1:8080" {
		return ""
	}
	return " --url http://" + listen
}

// withoutQuery keeps a query out of the output: it may hold a token.
func withoutQuery(address string) string {
	before, _, _ := strings.Cut(address, "?")
	return before
}

// quotedWords are fit for a shell.
func quotedWords(words []string) []string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if strings.ContainsAny(w, " \t'\"\\$*?[]()&;|<>`!#~") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		quoted[i] = w
	}
	return quoted
}
