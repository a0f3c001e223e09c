// Command hookbay receives the webhook callbacks of platforms that punish a slow or failing receiver, and delivers them to your own service
// with retries, in order, losing nothing.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hookbay/hookbay/controllers"
	"github.com/hookbay/hookbay/controllers/local"
)

// Set by the linker; what is not is taken from the build information.
var version, commit, date string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals()...)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(execute(ctx, os.Args[1:]))
}

// stopSignals are those that stop the program in order. A shell starts background programs with Ctrl-C ignored, and stops them in its own way: to such
// a one, Ctrl-C as well would be the second signal.
func stopSignals() []os.Signal {
	if signal.Ignored(os.Interrupt) {
		return []os.Signal{syscall.SIGTERM}
	}
	return []os.Signal{os.Interrupt, syscall.SIGTERM}
}

// commands is the table of contents: every subcommand is built by the package that it belongs to.
func commands() *cobra.Command {
	root := &cobra.Command{
		Use:   "hookbay",
		Short: "Webhook callbacks of Lazada and Tencent Cloud IM, received and delivered without loss",
		Long: `Hookbay receives the webhook callbacks of Lazada and Tencent Cloud IM: it verifies, stores and answers them inside the platform's time limit,
and delivers them to your own service as CloudEvents, with retries, in order, losing nothing: in a cluster (manager), or on this machine (run).

Exit codes: 0 all is well; 1 it failed, or a platform would call an answer of the receiver a failure; 2 the command line or a
manifest is wrong.`,
		Version:       versionLine(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(
		controllers.ManagerCommand(builtVersion()),
		local.RunCommand(),
		local.SendCommand(),
		versionCommand(),
	)
	return root
}

// execute returns the exit code: 0 good, 1 failed, 2 wrong usage or invalid manifest.
func execute(ctx context.Context, args []string) int {
	started := false
	root := commands()
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	coded, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err)
	switch {
	case ok:
		for line := range strings.SplitSeq(err.Error(), "\n") { // a problem each
			fmt.Fprintf(os.Stderr, "hookbay: %s\n", line)
		}
		return coded.ExitCode()
	case started:
		fmt.Fprintf(os.Stderr, "hookbay: %v\n", err)
		return 1
	default: // an unknown command, flag or argument
		fmt.Fprintf(os.Stderr, "hookbay: %v\nSee %s --help\n", err, cmd.CommandPath())
		return 2
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run:   func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), versionLine()) },
	}
}

// builtVersion is the version, "" if the program does not know it.
func builtVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return cmp.Or(version, info.Main.Version)
	}
	return version
}

func versionLine() string {
	v, c, d := builtVersion(), commit, date
	if info, ok := debug.ReadBuildInfo(); ok {
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		c = cmp.Or(c, settings["vcs.revision"])
		d = cmp.Or(d, settings["vcs.time"])
	}
	return fmt.Sprintf("hookbay %s, commit %s of %s, %s %s/%s", cmp.Or(v, "(unknown version)"), cmp.Or(c, "(unknown)"), cmp.Or(d, "(unknown date)"),
		runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
