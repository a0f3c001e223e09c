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
	nameHookbay  = "Hookbay"
)

// variant is one kind of server, started for one turn.
type variant struct {
	name  string
	start func(ctx context.Context, dir string) (*server.Process, func(context.Context) (int, error), error)
}

// answerers are what sections answers and latency compare: the two bare handlers, and the receiver, whose delivery is suspended.
func (o *options) answerers(source string, cpus ...int) []variant {
	bare := func(name string) func(context.Context, string) (*server.Process, func(context.Context) (int, error), error) {
		return func(ctx context.Context, _ string) (*server.Process, func(context.Context) (int, error), error) {
			p, err := server.StartBaseline(ctx, name, "", cpus...)
			return p, nil, err
		}
	}
	return []variant{
		{nameNetHTTP, bare(server.NetHTTP)},
		{nameFastHTTP, bare(server.FastHTTP)},
		{nameHookbay, func(ctx context.Context, dir string) (*server.Process, func(context.Context) (int, error), error) {
			r, err := server.StartReceiver(ctx, server.ReceiverOptions{Program: o.receiver, Dir: dir, Sources: []string{source}, CPUs: cpus})
			if err != nil {
				return nil, nil, err
			}
			return r.Process, func(ctx context.Context) (int, error) {
				m, err := r.Metrics(ctx)
				return m.Stored, err
			}, nil
		}},
	}
}

// answers measures how fast callbacks are acknowledged, which for the receiver means stored durably.
func answers(ctx context.Context, o *options, s *report.Section) error {
	for _, source := range o.sources {
		for _, size := range o.sizes {
			for _, connections := range o.connections {
				c, err := o.cell(ctx, source, size, connections)
				if err != nil {
					return fmt.Errorf("%s, %d bytes, %d connections: %w", source, size, connections, err)
				}
				s.Answers = append(s.Answers, c)
			}
		}
	}
	return nil
}

func (o *options) cell(ctx context.Context, source string, size, connections int) (report.Cell, error) {
	c := report.Cell{Source: source, Size: size, Connections: connections}
	callback, err := load.NewCallback(source, size)
	if err != nil {
		return c, err
	}
	vs := o.answerers(source)
	for _, v := range vs {
		c.Variants = append(c.Variants, report.Variant{Name: v.name})
	}
	for range o.rounds {
		if connections == 1 {
			sync, err := syncLatency(o.scratch, size)
			if err != nil {
				return c, err
			}
			c.Syncs = append(c.Syncs, sync)
		}
		for i, v := range vs {
			r, err := o.turn(ctx, v, load.Options{Callback: callback, Connections: connections, Duration: o.duration})
			if err != nil {
				return c, fmt.Errorf("%s: %w", v.name, err)
			}
			c.Variants[i].Runs = append(c.Variants[i].Runs, r)
			progress("%-9s %6d bytes %4d connections  %-14s %8.0f/s  p99 %8.0f µs  CPU %5.1f µs", source, size, connections, v.name, r.Rate, r.P99, r.CPU)
		}
	}
	return c, nil
}

// turn starts a server, warms it up and measures it.
func (o *options) turn(ctx context.Context, v variant, l load.Options) (_ report.Run, err error) {
	dir, err := os.MkdirTemp(o.scratch, "turn-")
	if err != nil {
		return report.Run{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // scratch space
	p, stored, err := v.start(ctx, filepath.Join(dir, "receiver"))
	if err != nil {
		return report.Run{}, err
	}
	defer func() { err = errors.Join(err, p.Kill()) }()
	l.Addr = p.Addr
	warm := l
	warm.Duration = o.warmUp
	first, err := load.Run(ctx, warm)
	if err != nil {
		return report.Run{}, errors.Join(fmt.Errorf("warm up: %w", err), p.Alive())
	}
	l.First = first.Next
	before, err := p.Usage()
	if err != nil {
		return report.Run{}, err
	}
	r, err := load.Run(ctx, l)
	if err != nil {
		return report.Run{}, errors.Join(err, p.Alive())
	}
	after, err := p.Usage()
	if err != nil {
		return report.Run{}, err
	}
	if r.Accepted != r.Sent || r.Accepted == 0 {
		return report.Run{}, fmt.Errorf("of %d callbacks %d were accepted, %d refused with 503 and %d otherwise", r.Sent, r.Accepted, r.Refused, r.Other)
	}
	if stored != nil {
		switch n, err := stored(ctx); {
		case err != nil:
			return report.Run{}, err
		case n != first.Accepted+r.Accepted:
			return report.Run{}, fmt.Errorf("of %d callbacks that were acknowledged %d were stored", first.Accepted+r.Accepted, n)
		}
	}
	return runOf(r, after.CPU-before.CPU, after.Peak), nil
}

// runOf is what a load showed of a server.
func runOf(r load.Result, cpu time.Duration, peak int64) report.Run {
	quantile := func(q float64) report.Micros {
		return report.MicrosOf(time.Duration(r.Latency.ValueAtQuantile(q)))
	}
	return report.Run{
		Rate: r.Rate(), P50: quantile(50), P99: quantile(99), P999: quantile(99.9), Peak: peak,
		CPU: report.MicrosOf(cpu) / report.Micros(r.Accepted), Generator: report.MicrosOf(r.CPU) / report.Micros(r.Sent),
	}
}
