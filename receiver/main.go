// Command receiver is what runs in an endpoint's pods: it takes callbacks in, stores them and delivers them. It knows nothing of Kubernetes:
// its configuration and its credentials are files, which it reads again when they change.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/hookbay/hookbay/receiver/app"
	"github.com/hookbay/hookbay/receiver/config"
)

// Set by the linker; "" is unknown.
var version, commit, date string

// The exit codes.
const (
	exitGood   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its surroundings given.
func run(args []string, stdout, stderr io.Writer) int {
	var (
		o     app.Options
		files config.Files
		level slog.Level
		show  bool
	)
	flags := flag.NewFlagSet("receiver", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&files.Config, "config", "/etc/hookbay/config.json", "the configuration `file`")
	flags.StringVar(&files.SecretsDir, "secrets-dir", "/etc/hookbay/secrets", "the `directory` of the files that the configuration names")
	flags.StringVar(&files.Revision, "revision-file", "/etc/hookbay/revision", "the `file` with the revision to show at /configz; it may be missing")
	flags.StringVar(&o.Listen, "listen", ":8080", "the `address` for callbacks")
	flags.StringVar(&o.Admin, "admin", ":9090", "the `address` for health, metrics and the live configuration")
	flags.StringVar(&o.DataDir, "data-dir", "/var/lib/hookbay", "the `directory` that events are stored in")
	flags.DurationVar(&o.DataDirWait, "data-dir-wait", 0, "how long to wait for another receiver to let go of the data directory")
	flags.BoolVar(&o.ReadyWhileDraining, "ready-while-draining", false,
		"say that it is ready while a stopping receiver still takes callbacks: where the balancer of the load knows who stops")
	flags.DurationVar(&o.DrainDelay, "drain-delay", 5*time.Second, "how long a stopping receiver still takes callbacks, until the news has spread")
	flags.DurationVar(&o.DrainTimeout, "drain-timeout", 10*time.Second, "how long callbacks, and then deliveries, may take to end after that")
	flags.IntVar(&o.MaxConnections, "max-connections", 0,
		"how many connections for callbacks there may be; a new one then takes the place of another. 0: 2048, less where few files may be open")
	flags.BoolVar(&o.ForbidLoopback, "forbid-loopback", true, "never deliver to loopback addresses; false only to try things out")
	flags.TextVar(&level, "log-level", slog.LevelInfo, "the least `level` to log: debug, info, warn or error")
	flags.BoolVar(&show, "version", false, "print the version and exit")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitGood
	case err != nil:
		return exitUsage // flag has said what is wrong
	case flags.NArg() > 0:
		fmt.Fprintln(stderr, "receiver takes flags only: see receiver --help")
		return exitUsage
	case o.MaxConnections < 0:
		fmt.Fprintln(stderr, "receiver: --max-connections: write a number of connections, or 0 for the default")
		return exitUsage
	case show:
		fmt.Fprintf(stdout, "receiver %s, commit %s of %s, %s %s/%s\n", known(version), known(commit), known(date), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return exitGood
	}
	o.Load = files.Load
	o.Log = slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level}))

	// The first signal stops in order, the second at once.
	ctx, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer release()
	context.AfterFunc(ctx, release)
	o.Log.Info("Receiver starts", "version", known(version), "commit", known(commit), "date", known(date))
	if err := serve(ctx, o); err != nil {
		o.Log.Error("Receiver failed", "error", err)
		return exitFailed
	}
	return exitGood
}

func known(s string) string { return cmp.Or(s, "unknown") }

func serve(ctx context.Context, o app.Options) error {
	app.SetUpProcess()
	receiver, err := app.New(ctx, o)
	if err != nil {
		return err
	}
	return receiver.Run(ctx)
}
