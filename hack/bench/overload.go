//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hookbay/hookbay/hack/bench/load"
	"github.com/hookbay/hookbay/hack/bench/report"
	"github.com/hookbay/hookbay/hack/bench/server"
)

// overload measures what becomes of callbacks when twice as many come as the receiver can take, and then half as many again, at once and when all is delivered.
func overload(ctx context.Context, o *options, s *report.Section) (err error) {
	servers, generator, err := server.Halves()
	if err != nil {
		return err
	}
	release, err := server.PinSelf(generator)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	for range o.rounds {
		for _, source := range o.sources {
			r, err := o.flood(ctx, source, servers, generator)
			if err != nil {
				return err
			}
			s.Overloads = append(s.Overloads, r)
			progress("%-9s at most %.0f/s; of %.0f/s %.0f/s accepted, p99 %.0f µs, %.0f/s refused; lost %d; p99 before %.0f, at once %.0f, after %.0f µs", source,
				r.Saturation, r.Offered, r.Accepted, r.Latency.P99, r.Refused, r.Lost, r.Before.P99, r.Draining.P99, r.After.P99)
		}
	}
	return nil
}

// flood is one round. The target is on the load's side.
func (o *options) flood(ctx context.Context, source string, servers, generator []int) (_ report.Overload, err error) {
	r := report.Overload{Source: source}
	callback, err := load.NewCallback(source, usualSize)
	if err != nil {
		return r, err
	}
	sink, err := server.StartBaseline(ctx, server.Sink, "", generator...)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, sink.Kill()) }()
	l := load.Options{Callback: callback, Connections: usualConnections, Duration: 2 * o.duration}
	err = o.with(ctx, o.hookbay(source, "http://"+sink.Addr+"/events", servers), l, func(s *running, l load.Options) error {
		run := func(rate float64, duration time.Duration, connections int) (load.Result, error) {
			l.Rate, l.Duration, l.Connections, l.MayBreak = rate, duration, connections, true
			result, err := load.Run(ctx, l)
			l.First = max(l.First, result.Next)
			s.stored += result.Accepted
			return result, errors.Join(err, s.Alive())
		}
		saturated, err := run(0, l.Duration, usualConnections)
		if err != nil {
			return fmt.Errorf("saturation: %w", err)
		}
		r.Saturation = saturated.Rate()
		if err := arrived(ctx, sink, s); err != nil {
			return err
		}
		before, err := run(r.Saturation/2, 2*o.duration, usualConnections)
		if err != nil {
			return err
		}
		r.Offered = 2 * r.Saturation
		flood, err := run(r.Offered, o.flooded, o.crowd)
		if err != nil {
			return err
		}
		over := time.Now()
		during, err := run(r.Saturation/2, 2*o.duration, usualConnections)
		if err != nil {
			return err
		}
		if err := arrived(ctx, sink, s); err != nil {
			return err
		}
		r.Drain = report.MicrosOf(time.Since(over))
		after, err := run(r.Saturation/2, 2*o.duration, usualConnections)
		if err != nil {
			return err
		}
		r.Before, r.Draining, r.After = waitsOf(before.Latency), waitsOf(during.Latency), waitsOf(after.Latency)
		seconds := flood.Elapsed.Seconds()
		r.Accepted, r.Refused = float64(flood.Accepted)/seconds, float64(flood.Refused)/seconds
		r.Other, r.Broken, r.Unsent = flood.Other, flood.Broken, flood.Unsent
		r.Latency, r.Service, r.Refusal = waitsOf(flood.Latency), waitsOf(flood.Service), waitsOf(flood.Refusal)
		usage, err := s.Usage()
		if err != nil {
			return err
		}
		r.Peak = usage.Peak
		return account(ctx, &r, sink, s)
	})
	return r, err
}

// account compares what was acknowledged with what came out, or still waits.
func account(ctx context.Context, r *report.Overload, sink *server.Process, s *running) error {
	if err := s.receiver.Drained(ctx, drainTimeout); err != nil {
		progress("%v: the rest is counted as waiting", err)
	}
	m, err := s.receiver.Metrics(ctx) // first: what is delivered in between counts twice rather than not at all
	if err != nil {
		return err
	}
	c, err := sink.Counted(ctx)
	if err != nil {
		return err
	}
	r.Acknowledged, r.Delivered, r.Waiting = s.stored, c.Events, m.Backlog
	r.Lost = max(0, r.Acknowledged-r.Delivered-r.Waiting)
	return nil
}
