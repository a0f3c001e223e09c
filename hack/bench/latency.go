//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/hookbay/hookbay/hack/bench/load"
	"github.com/hookbay/hookbay/hack/bench/report"
	"github.com/hookbay/hookbay/hack/bench/server"
)

// latency measures how long callers wait at half of what the receiver can take, with servers and load on different processors: an open loop must
// not have to wait for the server's.
func latency(ctx context.Context, o *options, s *report.Section) (err error) {
	servers, generator, err := server.Halves()
	if err != nil {
		return err
	}
	release, err := server.PinSelf(generator)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	for _, source := range o.sources {
		callback, err := load.NewCallback(source, usualSize)
		if err != nil {
			return err
		}
		c := report.Cell{Source: source, Size: usualSize, Connections: usualConnections}
		vs := o.answerers(source, servers...)
		for range o.latencyRounds {
			l := load.Options{Callback: callback, Connections: usualConnections, Duration: o.duration}
			saturated, err := o.turn(ctx, vs[len(vs)-1], l)
			if err != nil {
				return fmt.Errorf("saturation: %w", err)
			}
			l.Rate, l.Duration = saturated.Rate/2, 2*o.duration
			for _, v := range vs {
				r, err := o.turn(ctx, v, l)
				if err != nil {
					return fmt.Errorf("%s: %w", v.name, err)
				}
				r.Offered = l.Rate
				c.Add(v.name, r)
				tell(c, v.name, r)
			}
		}
		s.Cells = append(s.Cells, c)
	}
	return nil
}
