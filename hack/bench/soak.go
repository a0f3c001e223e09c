//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hookbay/hookbay/hack/bench/load"
	"github.com/hookbay/hookbay/hack/bench/report"
	"github.com/hookbay/hookbay/hack/bench/server"
	"github.com/hookbay/hookbay/receiver/config"
)

// What a soak is: both sources, at a pace that any machine keeps up with, and events that are forgotten soon enough that the disk can be flat.
const (
	soakRate        = 200 // callbacks a second, of each source
	soakConnections = 16
	soakRetention   = config.Duration(2 * time.Minute)
	soakWindow      = config.Duration(5 * time.Minute)
	soakSample      = 10 * time.Second
)

// soak watches the receiver work for a long time.
func soak(ctx context.Context, o *options, s *report.Section) (err error) {
	dir, err := os.MkdirTemp(o.scratch, "soak-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // scratch space
	sink, err := server.StartBaseline(ctx, server.Sink, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.Kill()) }()
	retention := soakRetention
	receiver, err := server.StartReceiver(ctx, server.ReceiverOptions{
		Program: o.receiver, Dir: dir, Sources: o.sources, Target: "http://" + sink.Addr + "/events",
		Buffer: config.Buffer{Retention: &retention, DeduplicationWindow: soakWindow},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, receiver.Kill()) }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var loads []*load.Load
	for _, source := range o.sources {
		callback, err := load.NewCallback(source, usualSize)
		if err != nil {
			return err
		}
		l, err := load.Start(ctx, load.Options{
			Addr: receiver.Addr, Callback: callback, Connections: soakConnections, Duration: o.soak, Rate: soakRate,
		})
		if err != nil {
			return err
		}
		loads = append(loads, l)
	}
	r := &report.Soak{Rate: soakRate * len(o.sources)}
	s.Soak = r
	began := time.Now()
	for time.Since(began) < o.soak {
		if err := pause(ctx, min(soakSample, max(0, o.soak-time.Since(began)))); err != nil {
			return err
		}
		sample, err := sampleOf(ctx, receiver, filepath.Join(dir, "data"), loads)
		if err != nil {
			return err
		}
		if sample.Accepted == 0 {
			stop()
			return errors.Join(errors.New("nothing was acknowledged since the last look"), ended(loads))
		}
		sample.At = time.Since(began).Seconds()
		r.Add(sample)
		if len(r.Samples)%6 == 0 {
			progress("%.0f s: %d MiB, %d goroutines, %d files, %d MiB on disk, p99 %.0f µs", sample.At, sample.Resident>>20, sample.Goroutines, sample.Files, sample.Disk>>20, sample.P99)
		}
	}
	return finish(ctx, r, loads, receiver, sink)
}

// ended waits for loads that were stopped, and says why they ended before.
func ended(loads []*load.Load) error {
	var errs []error
	for _, l := range loads {
		_, err := l.Wait()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// finish ends a soak: what was accepted must have been delivered.
func finish(ctx context.Context, r *report.Soak, loads []*load.Load, receiver *server.Receiver, sink *server.Process) error {
	for _, l := range loads {
		rest, err := l.Wait()
		if err != nil {
			return err
		}
		r.Accepted += rest.Accepted
		r.Failed += rest.Refused + rest.Other + rest.Broken + rest.Unsent
	}
	if err := receiver.Drained(ctx, drainTimeout); err != nil {
		return err
	}
	c, err := sink.Counted(ctx)
	if err != nil {
		return err
	}
	r.Delivered, r.Repeated = c.Events, c.Requests-c.Events
	if r.Delivered < r.Accepted {
		return fmt.Errorf("of %d callbacks that were acknowledged %d were delivered", r.Accepted, r.Delivered)
	}
	return nil
}

// sampleOf looks at the receiver.
func sampleOf(ctx context.Context, receiver *server.Receiver, data string, loads []*load.Load) (report.Sample, error) {
	var s report.Sample
	if err := receiver.Alive(); err != nil {
		return s, err
	}
	u, err := receiver.Usage()
	if err != nil {
		return s, err
	}
	m, err := receiver.Metrics(ctx)
	if err != nil {
		return s, err
	}
	if s.Disk, err = diskUsage(data); err != nil {
		return s, err
	}
	s.Resident, s.Files, s.CPU = u.Resident, u.Files, u.CPU.Seconds()
	s.Heap, s.Goroutines, s.Backlog = m.Heap, m.Goroutines, m.Backlog
	all := load.NewResult()
	for _, l := range loads {
		all.Add(l.Take())
	}
	s.P99 = waitsOf(all.Latency).P99
	s.Accepted = all.Accepted
	s.Failed = all.Refused + all.Other + all.Broken + all.Unsent
	return s, nil
}

// diskUsage is the sum of the files' sizes.
func diskUsage(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return ignoreGone(err)
	})
	return sum, err
}

// ignoreGone: files come and go while they are looked at.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
