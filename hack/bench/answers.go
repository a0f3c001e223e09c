//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/hookbay/hookbay/hack/bench/load"
	"github.com/hookbay/hookbay/hack/bench/report"
)

// answers measures how fast callbacks are acknowledged, which for the receiver means stored durably.
func answers(ctx context.Context, o *options, s *report.Section) error {
	for _, source := range o.sources {
		for _, size := range o.sizes {
			for _, connections := range o.connections {
				c, err := o.cell(ctx, source, size, connections)
				if err != nil {
					return fmt.Errorf("%s, %d bytes, %d connections: %w", source, size, connections, err)
				}
				s.Cells = append(s.Cells, c)
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
	for range o.rounds {
		if connections == 1 {
			sync, err := syncLatency(o.scratch, size)
			if err != nil {
				return c, err
			}
			c.Syncs = append(c.Syncs, sync)
		}
		for _, v := range o.answerers(source) {
			r, err := o.turn(ctx, v, load.Options{Callback: callback, Connections: connections, Duration: o.duration})
			if err != nil {
				return c, fmt.Errorf("%s: %w", v.name, err)
			}
			c.Add(v.name, r)
			tell(c, v.name, r)
		}
	}
	return c, nil
}

func tell(c report.Cell, name string, r report.Run) {
	progress("%-9s %6d bytes %4d connections  %-14s %8.0f/s  p99 %8.0f µs  CPU %6.1f µs", c.Source, c.Size, c.Connections, name, r.Rate, r.P99, r.CPU)
}

// waitsOf reads a histogram of nanoseconds.
func waitsOf(h *hdrhistogram.Histogram) report.Waits {
	if h.TotalCount() == 0 {
		return report.Waits{}
	}
	quantile := func(q float64) report.Micros { return report.MicrosOf(time.Duration(h.ValueAtQuantile(q))) }
	return report.Waits{P50: quantile(50), P99: quantile(99), P999: quantile(99.9), Most: report.MicrosOf(time.Duration(h.Max()))}
}
