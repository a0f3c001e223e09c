//go:build linux

package main

import (
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
)

// options are what the flags say.
type options struct {
	flags *flag.FlagSet

	sections           []string
	sources            []string
	connections, sizes []int
	rounds             int
	latencyRounds      int
	duration, warmUp   time.Duration
	// of section overload
	flooded time.Duration
	crowd   int
	// of section start
	waiting []int
	settle  time.Duration
	// of section soak
	soak time.Duration
	// of section manager
	endpoints, manager, managerBench string

	receiver, out, page, scratch string
	serve, target                string
	render                       bool
}

// notSettings are flags that have nothing to do with what is measured.
var notSettings = []string{"sections", "out", "page", "render", "scratch", "serve", "target", "receiver", "manager", "manager-bench"}

// programs are flags that say what is measured, though not how.
var programs = []string{"receiver", "manager", "manager-bench"}

// Where results go: those of sections measured as usual, and others.
const (
	usualOut = "docs/benchmarks"
	otherOut = "bin/bench-out"
)

// usualRounds is how many there are of most sections.
const usualRounds = 3

// parseFlags reads the arguments of the program.
func parseFlags(flags *flag.FlagSet, args []string) (*options, error) {
	o := &options{flags: flags}
	chosen := flags.String("sections", "", "what to measure, a `list` of "+names()+"; default: all")
	sources := flags.String("sources", config.SourceLazada+","+config.SourceTencentIM, "a `list` of sources")
	connections := flags.String("connections", "1,16,64,256", "how many connections send at once, a `list`, for section answers")
	sizes := flags.String("sizes", "300,1024,65536", "how many bytes the bodies have, a `list`, for section answers")
	flags.IntVar(&o.rounds, "rounds", usualRounds, "how often each variant has its turn; goals are judged from 3 or more")
	flags.IntVar(&o.latencyRounds, "latency-rounds", 5, "the same for section latency; default: 5, or -rounds if that is not the usual")
	flags.DurationVar(&o.duration, "duration", 1500*time.Millisecond, "how long a turn lasts; twice as long in sections end-to-end and latency")
	flags.DurationVar(&o.warmUp, "warm-up", 300*time.Millisecond, "how long a server is loaded before")
	flags.DurationVar(&o.flooded, "overload", 20*time.Second, "how long an overload lasts")
	flags.IntVar(&o.crowd, "crowd", 2000, "how many connections an overload comes on")
	waiting := flags.String("waiting", "0,100000,5000000", "how many events wait, a `list`, for section start")
	flags.DurationVar(&o.settle, "settle", 30*time.Second, "after how long memory is looked at, for section start")
	flags.DurationVar(&o.soak, "soak", time.Hour, "how long a soak lasts; 0: none")
	flags.StringVar(&o.endpoints, "endpoints", "1,100,1000,5000", "how many endpoints the manager has, a `list`, for section manager")
	flags.StringVar(&o.manager, "manager", "bin/hookbay", "the manager's `program`")
	flags.StringVar(&o.managerBench, "manager-bench", "bin/bench-manager", "the `program` that measures the manager")
	flags.StringVar(&o.receiver, "receiver", "bin/receiver", "the receiver's `program`")
	flags.StringVar(&o.out, "out", "", "the `directory` for results; default: "+usualOut+", or "+otherOut+" if any setting or program is not the usual one")
	flags.StringVar(&o.page, "page", "", "the `file` for the page that is made of all results there; default: beside the directory, with .md")
	flags.BoolVar(&o.render, "render", false, "measure nothing: make the page of the results that are there")
	flags.StringVar(&o.scratch, "scratch", "bin", "the `directory` below which events are stored, on the disk to be measured")
	flags.StringVar(&o.serve, "serve", "", "be a server to compare with (used by bench itself)")
	flags.StringVar(&o.target, "target", "", "where that forwards to")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	for _, list := range []struct {
		name, text string
		into       *[]int
	}{{"connections", *connections, &o.connections}, {"sizes", *sizes, &o.sizes}, {"waiting", *waiting, &o.waiting}} {
		var err error
		if *list.into, err = numbers(list.name, list.text); err != nil {
			return nil, err
		}
	}
	o.sources = strings.Split(*sources, ",")
	return o, o.complete(*chosen)
}

// complete checks the flags, and sets what follows from others.
func (o *options) complete(chosen string) error {
	given := map[string]bool{}
	o.flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if o.rounds != usualRounds && !given["latency-rounds"] {
		if err := o.flags.Set("latency-rounds", strconv.Itoa(o.rounds)); err != nil {
			return err
		}
	}
	for name, n := range map[string]int{"rounds": o.rounds, "latency-rounds": o.latencyRounds} {
		if n < 1 {
			return fmt.Errorf("-%s: write 1 or more instead of %d", name, n)
		}
	}
	all := strings.Split(names(), ",")
	o.sections = slices.DeleteFunc(slices.Clone(all), func(name string) bool { return name == "soak" && o.soak == 0 })
	if chosen != "" {
		o.sections = strings.Split(chosen, ",")
	}
	for _, name := range o.sections {
		if !slices.Contains(all, name) {
			return fmt.Errorf("-sections: write some of %s instead of %q", names(), name)
		}
	}
	if o.soak < 0 || o.soak == 0 && slices.Contains(o.sections, "soak") {
		return fmt.Errorf("-soak: write how long section soak lasts, such as 1h, instead of %v, or leave soak out of -sections", o.soak)
	}
	if o.out == "" {
		o.out = usualOut
		if len(o.differing()) > 0 {
			o.out = otherOut
		}
	}
	if o.page == "" {
		o.page = filepath.Clean(o.out) + ".md"
	}
	return nil
}

// differing are the settings and programs that are not the usual ones. A soak that is left out is not one of them.
func (o *options) differing() []string {
	var names []string
	o.flags.VisitAll(func(f *flag.Flag) {
		switch {
		case slices.Contains(notSettings, f.Name) && !slices.Contains(programs, f.Name):
		case f.Name == "soak" && o.soak == 0:
		case f.Name == "latency-rounds" && o.latencyRounds == o.rounds && o.rounds != usualRounds: // follows it
		case f.Value.String() != f.DefValue:
			names = append(names, f.Name)
		}
	})
	return names
}

func numbers(name, list string) ([]int, error) {
	var ns []int
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("-%s: write numbers, separated by commas, instead of %q", name, text)
		}
		ns = append(ns, n)
	}
	return ns, nil
}
