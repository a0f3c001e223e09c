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
	sections           []string
	sources            []string
	connections, sizes []int
	rounds             int
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
}

// notSettings are flags that have nothing to do with what is measured.
var notSettings = []string{"sections", "out", "page", "scratch", "serve", "target", "receiver", "manager", "manager-bench"}

func parseFlags() (*options, error) {
	o := &options{}
	chosen := flag.String("sections", "", "what to measure, a `list`; default: all")
	sources := flag.String("sources", config.SourceLazada+","+config.SourceTencentIM, "a `list` of sources")
	connections := flag.String("connections", "1,16,64,256", "how many connections send at once, a `list`, for section answers")
	sizes := flag.String("sizes", "300,1024,65536", "how many bytes the bodies have, a `list`, for section answers")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each variant has its turn")
	flag.DurationVar(&o.duration, "duration", 1500*time.Millisecond, "how long a turn lasts")
	flag.DurationVar(&o.warmUp, "warm-up", 300*time.Millisecond, "how long a server is loaded before")
	flag.DurationVar(&o.flooded, "overload", 20*time.Second, "how long an overload lasts")
	flag.IntVar(&o.crowd, "crowd", 2000, "how many connections an overload comes on")
	waiting := flag.String("waiting", "0,100000,5000000", "how many events wait, a `list`, for section start")
	flag.DurationVar(&o.settle, "settle", 30*time.Second, "after how long memory is looked at, for section start")
	flag.DurationVar(&o.soak, "soak", time.Hour, "how long a soak lasts; 0: none")
	flag.StringVar(&o.endpoints, "endpoints", "1,100,1000,5000", "how many endpoints the manager has, a `list`, for section manager")
	flag.StringVar(&o.manager, "manager", "bin/hookbay", "the manager's `program`")
	flag.StringVar(&o.managerBench, "manager-bench", "bin/bench-manager", "the `program` that measures the manager")
	flag.StringVar(&o.receiver, "receiver", "bin/receiver", "the receiver's `program`")
	flag.StringVar(&o.out, "out", "docs/benchmarks", "the `directory` for results")
	flag.StringVar(&o.page, "page", "", "the `file` for the page that is made of all results there; default: beside the directory, with .md")
	flag.StringVar(&o.scratch, "scratch", "bin", "the `directory` below which events are stored, on the disk to be measured")
	flag.StringVar(&o.serve, "serve", "", "be a server to compare with (used by bench itself)")
	flag.StringVar(&o.target, "target", "", "where that forwards to")
	flag.Parse()
	var err error
	if o.connections, err = numbers("connections", *connections); err != nil {
		return nil, err
	}
	if o.sizes, err = numbers("sizes", *sizes); err != nil {
		return nil, err
	}
	if o.waiting, err = numbers("waiting", *waiting); err != nil {
		return nil, err
	}
	if o.rounds < 1 {
		return nil, fmt.Errorf("-rounds: write 1 or more instead of %d", o.rounds)
	}
	if o.page == "" {
		o.page = filepath.Clean(o.out) + ".md"
	}
	o.sources = strings.Split(*sources, ",")
	all := strings.Split(names(), ",")
	o.sections = slices.DeleteFunc(slices.Clone(all), func(name string) bool { return name == "soak" && o.soak == 0 })
	if *chosen != "" {
		o.sections = strings.Split(*chosen, ",")
	}
	for _, name := range o.sections {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("-sections: write some of %s instead of %q", names(), name)
		}
	}
	return o, nil
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
