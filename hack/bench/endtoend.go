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

// What sections other than answers are measured with.
const (
	usualSize        = 1 << 10
	usualConnections = 64
)

// drainTimeout is how long deliveries may take after the load.
const drainTimeout = 5 * time.Minute

// endToEnd measures how many callbacks a second reach the target: received, stored and delivered, beside a proxy that only passes them on.
func endToEnd(ctx context.Context, o *options, s *report.Section) error {
	for _, source := range o.sources {
		callback, err := load.NewCallback(source, usualSize)
		if err != nil {
			return err
		}
		c := report.Cell{Source: source, Size: usualSize, Connections: usualConnections}
		for range o.rounds {
			for _, name := range []string{nameProxy, nameHookbay} {
				r, err := o.delivered(ctx, name, source, load.Options{Callback: callback, Connections: usualConnections, Duration: 2 * o.duration})
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				c.Add(name, r)
				tell(c, name, r)
			}
		}
		s.Cells = append(s.Cells, c)
	}
	return nil
}

// delivered measures one turn, to the last delivery.
func (o *options) delivered(ctx context.Context, name, source string, l load.Options) (_ report.Run, err error) {
	sink, err := server.StartBaseline(ctx, server.Sink, "")
	if err != nil {
		return report.Run{}, err
	}
	defer func() { err = errors.Join(err, sink.Kill()) }()
	target := "http://" + sink.Addr + "/events"
	v := o.hookbay(source, target, nil)
	if name == nameProxy {
		v = baseline(nameProxy, server.Proxy, target, nil)
	}
	var r report.Run
	err = o.with(ctx, v, l, func(s *running, l load.Options) error {
		if err := arrived(ctx, sink, s); err != nil { // the warm-up
			return err
		}
		before, err := s.Usage()
		if err != nil {
			return err
		}
		began := time.Now()
		if r, err = s.measure(ctx, l); err != nil {
			return err
		}
		if err := arrived(ctx, sink, s); err != nil {
			return err
		}
		took := time.Since(began)
		after, err := s.Usage()
		if err != nil {
			return err
		}
		accepted := r.Rate * r.Took.Seconds()
		r.Acknowledged = r.Rate
		if s.receiver != nil { // the proxy has delivered what it has answered
			r.Rate = accepted / took.Seconds()
		}
		r.CPU, r.Peak = report.MicrosOf(after.CPU-before.CPU)/report.Micros(accepted), after.Peak
		return nil
	})
	return r, err
}

// arrived waits until the sink has taken all that was accepted, no matter how often.
func arrived(ctx context.Context, sink *server.Process, s *running) error {
	return poll(ctx, 5*time.Millisecond, drainTimeout, "the last delivery", func() (bool, error) {
		c, err := sink.Counted(ctx)
		if s.receiver == nil {
			return c.Requests >= s.stored, err
		}
		return c.Events >= s.stored, err
	})
}

// poll asks until it is done.
func poll(ctx context.Context, interval, timeout time.Duration, what string, done func() (bool, error)) error {
	deadline := time.Now().Add(timeout)
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s did not come within %v", what, timeout)
		}
		if err := pause(ctx, interval); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
