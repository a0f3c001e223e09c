//go:build linux

// Command bench measures what the receiver does, side by side with the least that any server does, and makes the page docs/benchmarks.md of it.
//
//	make bench BENCH_FLAGS='-sections answers -connections 64 -sizes 1024 -sources Lazada'
//
// With all settings as usual, results go to docs/benchmarks, section by section; with others, to bin/bench-out.
//
// Servers run in processes of their own and are loaded by this one. Variants take turns, round by round, so that a machine whose speed drifts
// does not favour one; a ratio is the median of the rounds' own ratios. All figures are of one machine that also carries the load: compare
// them within one table.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hookbay/hookbay/hack/bench/report"
	"github.com/hookbay/hookbay/hack/bench/server"
)

// section is one measurement: it fills its part of s.
type section struct {
	name  string
	run   func(context.Context, *options, *report.Section) error
	print func(io.Writer, *report.Section)
}

// sections are all, in the order of the page.
var sections = []section{
	{"answers", answers, report.Answers},
	{"end-to-end", endToEnd, report.EndToEnd},
	{"latency", latency, report.Latency},
	{"buffers", buffers, report.Buffers},
	{"overload", overload, report.Overloads},
	{"start", starting, report.Starts},
	{"soak", soak, report.SoakOf},
	{"manager", manager, report.Managers},
}

func main() {
	o, err := parseFlags(flag.CommandLine, os.Args[1:])
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		switch {
		case o.serve != "":
			err = server.Serve(ctx, o.serve, o.target, os.Stdout)
		case o.render:
			err = report.Page(o.page, o.out)
		default:
			err = run(ctx, o)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) // what stop would release goes with the process
	}
}

func run(ctx context.Context, o *options) error {
	if err := os.MkdirAll(o.scratch, 0o750); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.scratch, "bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // scratch space
	o.scratch = dir
	if names := o.differing(); len(names) > 0 && filepath.Clean(o.out) != usualOut {
		progress("not as usual: %s. Results go to %s and %s; %s.md stays as it is", strings.Join(names, ", "), o.out, o.page, usualOut)
	}
	if slices.Contains(o.sections, "manager") {
		if err := findAssets(ctx); err != nil {
			return err
		}
	}
	machine, err := describe(ctx, o.receiver, dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range sections {
		if slices.Contains(o.sections, s.name) && ctx.Err() == nil {
			if err := s.measure(ctx, o, machine); err != nil { // the others may do better
				progress("section %s: %v", s.name, err)
				errs = append(errs, fmt.Errorf("section %s: %w", s.name, err))
			}
		}
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// measure runs a section, writes its file and the page of all files, and prints its tables.
func (s *section) measure(ctx context.Context, o *options, machine report.Machine) error {
	progress("section %s", s.name)
	machineThen, err := lookAround(ctx)
	if err != nil {
		return err
	}
	if machineThen.used > report.MuchBefore {
		progress("WARNING: something else uses %.0f %% of the processors: figures of section %s will be worse, and their ranges wider, than on an idle machine",
			100*machineThen.used, s.name)
	}
	began := time.Now()
	r := &report.Section{
		Name: s.name, Began: began.UTC().Truncate(time.Second), Machine: machine, Settings: map[string]string{}, Differing: o.differing(),
	}
	o.flags.VisitAll(func(f *flag.Flag) {
		if !slices.Contains(notSettings, f.Name) {
			r.Settings[f.Name] = f.Value.String()
		}
	})
	if err := s.run(ctx, o, r); err != nil {
		return err
	}
	r.Took = time.Since(began).Round(time.Second)
	if r.Surroundings, err = machineThen.since(); err != nil {
		return err
	}
	if err := r.Write(o.out); err != nil {
		return err
	}
	s.print(os.Stdout, r)
	progress("the machine: %v", r.Surroundings)
	if err := report.Page(o.page, o.out); err != nil {
		return err
	}
	progress("wrote %s", o.page)
	return nil
}

// progress says what is under way: a run takes minutes.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

func names() string {
	all := make([]string, len(sections))
	for i, s := range sections {
		all[i] = s.name
	}
	return strings.Join(all, ",")
}
