// Command install checks that the two ways to install Hookbay, the chart and the kustomize folders, make the same objects of what
// controller-gen wrote, and says where they don't. It is run from the module's root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("install", flag.ExitOnError)
	var t tools
	flags.StringVar(&t.helm, "helm", "helm", "the program `helm`")
	flags.StringVar(&t.kustomize, "kustomize", "kustomize", "the program `kustomize`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var problems []error
	told := map[string]bool{} // what is wrong by default is wrong with monitors as well
	for _, check := range checks() {
		differences, err := check.do(ctx, t)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", check.name, err))
		}
		for _, d := range differences {
			if !told[d] {
				problems = append(problems, fmt.Errorf("%s: %s", check.name, d))
			}
			told[d] = true
		}
	}
	return errors.Join(problems...)
}
