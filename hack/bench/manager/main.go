// Command manager measures the control plane: how long `hookbay manager` takes to make many endpoints ready, what it asks of the API server for
// each, and what it costs while nothing changes.
//
//	make bench-manager BENCH_FLAGS='[-endpoints 1,100,1000] [-per-namespace 10] [-rest 60s] [-- FLAGS OF THE MANAGER]'
//
// For each number of endpoints it starts a real kube-apiserver and etcd (from KUBEBUILDER_ASSETS) and the real manager as processes of their own, the
// manager with the rights of config/rbac. What stands behind an API server is played here: the Deployment controller, the provisioner of
// volumes, the kubelet, and in each pod a receiver whose admin port is the real one, at an address of its own on the loopback network. Pods
// are ready at once, so that what is measured is the manager and the API server, which share this machine with all of that.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// options are what the flags say.
type options struct {
	numbers      []int
	perNamespace int // how many endpoints share a namespace, and a Secret
	rest         time.Duration
	program      string
	args         []string // of the manager
	json         string   // file for the results
}

func main() {
	o, err := parseFlags()
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		ctrl.SetLogger(logr.Discard())
		klog.SetLogger(logr.Discard())
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1) // what stop would release goes with the process
	}
}

func parseFlags() (options, error) {
	var o options
	numbers := flag.String("endpoints", "1,100,1000,5000", "how many endpoints: a `list` of numbers, each measured on its own")
	flag.IntVar(&o.perNamespace, "per-namespace", 10, "how many endpoints share a namespace")
	flag.DurationVar(&o.rest, "rest", time.Minute, "how long the manager is watched while nothing changes")
	flag.StringVar(&o.program, "manager", "", "a hookbay `program` to measure; default: the one that is built from here")
	flag.StringVar(&o.json, "json", "", "a `file` to write the results to, as well")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: manager [flags] [-- flags of hookbay manager]")
		flag.PrintDefaults()
	}
	flag.Parse()
	o.args = flag.Args()
	if o.perNamespace < 1 {
		return o, fmt.Errorf("-per-namespace: write 1 or more instead of %d", o.perNamespace)
	}
	for text := range strings.SplitSeq(*numbers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxEndpoints {
			return o, fmt.Errorf("-endpoints: write numbers from 1 to %d, separated by commas, instead of %q", maxEndpoints, text)
		}
		o.numbers = append(o.numbers, n)
	}
	return o, nil
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "hookbay-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // scratch space
	if o.program == "" {
		o.program = filepath.Join(dir, "hookbay")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", o.program, ".") //nolint:gosec // our own program
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if err := build.Run(); err != nil {
			return fmt.Errorf("build hookbay, from the root of the repository: %w", err)
		}
	}
	var results []result
	for _, n := range o.numbers {
		r, err := measure(ctx, o, n)
		if err != nil {
			return fmt.Errorf("%d endpoints: %w", n, err)
		}
		results = append(results, r)
	}
	return tell(os.Stdout, o.json, results)
}

// progress says what is under way: a run takes minutes.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
}
