//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hookbay/hookbay/hack/bench/load"
	"github.com/hookbay/hookbay/hack/bench/report"
	"github.com/hookbay/hookbay/hack/bench/server"
)

// The names of the variants.
const (
	nameNetHTTP  = "bare net/http"
	nameFastHTTP = "bare fasthttp"
	nameProxy    = "ReverseProxy"
	nameHookbay  = "Hookbay"
)

// variant is one kind of server. It is started for each of its turns.
type variant struct {
	name  string
	start func(ctx context.Context, dir string) (*running, error)
}

// running is a server under load.
type running struct {
	*server.Process

	receiver *server.Receiver // nil for a baseline
	stored   int              // callbacks that it must have stored by now
}

// answerers are what sections answers and latency compare: the two bare handlers, and the receiver, whose delivery is suspended.
func (o *options) answerers(source string, cpus ...int) []variant {
	return []variant{
		baseline(nameNetHTTP, server.NetHTTP, "", cpus),
		baseline(nameFastHTTP, server.FastHTTP, "", cpus),
		o.hookbay(source, "", cpus),
	}
}

func baseline(name, serve, target string, cpus []int) variant {
	return variant{name, func(ctx context.Context, _ string) (*running, error) {
		p, err := server.StartBaseline(ctx, serve, target, cpus...)
		return &running{Process: p}, err
	}}
}

// hookbay is the receiver, which delivers to a target, if one is given.
func (o *options) hookbay(source, target string, cpus []int) variant {
	return variant{nameHookbay, func(ctx context.Context, dir string) (*running, error) {
		r, err := server.StartReceiver(ctx, server.ReceiverOptions{
			Program: o.receiver, Dir: dir, Sources: []string{source}, Target: target, CPUs: cpus,
		})
		if err != nil {
			return nil, err
		}
		return &running{Process: r.Process, receiver: r}, nil
	}}
}

// turn starts a server, warms it up and measures it.
func (o *options) turn(ctx context.Context, v variant, l load.Options) (report.Run, error) {
	var r report.Run
	err := o.with(ctx, v, l, func(s *running, l load.Options) (err error) {
		r, err = s.measure(ctx, l)
		return err
	})
	return r, err
}

// with starts a server, warms it up with the callbacks of l, and has something done with it.
func (o *options) with(ctx context.Context, v variant, l load.Options, do func(*running, load.Options) error) (err error) {
	dir, err := os.MkdirTemp(o.scratch, "turn-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // scratch space
	s, err := v.start(ctx, filepath.Join(dir, "receiver"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Kill()) }()
	l.Addr = s.Addr
	warm := l
	warm.Duration, warm.Rate = o.warmUp, 0
	first, err := load.Run(ctx, warm)
	if err != nil {
		return errors.Join(fmt.Errorf("warm up: %w", err), s.Alive())
	}
	l.First, s.stored = first.Next, first.Accepted
	return do(s, l)
}

// measure measures a load that the server should accept.
func (s *running) measure(ctx context.Context, l load.Options) (report.Run, error) {
	earlier, err := s.metrics(ctx)
	if err != nil {
		return report.Run{}, err
	}
	before, err := s.Usage()
	if err != nil {
		return report.Run{}, err
	}
	r, err := load.Run(ctx, l)
	if err != nil {
		return report.Run{}, errors.Join(err, s.Alive())
	}
	after, err := s.Usage()
	if err != nil {
		return report.Run{}, err
	}
	if r.Accepted+r.Refused != r.Sent || r.Accepted == 0 {
		return report.Run{}, fmt.Errorf("of %d callbacks %d were accepted, %d refused with 503 and %d otherwise", r.Sent, r.Accepted, r.Refused, r.Other)
	}
	s.stored += r.Accepted
	later, err := s.metrics(ctx)
	if err != nil {
		return report.Run{}, err
	}
	if s.receiver != nil && later.Stored < s.stored {
		return report.Run{}, fmt.Errorf("of %d callbacks that were acknowledged %d were stored", s.stored, later.Stored)
	}
	run := runOf(r, after.CPU-before.CPU, after.Peak)
	if n := later.Syncs - earlier.Syncs; n > 0 {
		run.Sync = report.MicrosOf(later.Syncing-earlier.Syncing) / report.Micros(n)
	}
	return run, nil
}

// metrics is what a receiver says of itself; nothing of a baseline.
func (s *running) metrics(ctx context.Context) (server.Metrics, error) {
	if s.receiver == nil {
		return server.Metrics{}, nil
	}
	return s.receiver.Metrics(ctx)
}

// runOf is what a load showed of a server.
func runOf(r load.Result, cpu time.Duration, peak int64) report.Run {
	return report.Run{
		Rate: r.Rate(), Waits: waitsOf(r.Latency), Peak: peak, Took: r.Elapsed,
		Refused: r.Refused,
		CPU:     report.MicrosOf(cpu) / report.Micros(r.Accepted), Generator: report.MicrosOf(r.CPU) / report.Micros(r.Sent),
	}
}
