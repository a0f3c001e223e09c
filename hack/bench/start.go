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

// starting measures how long a receiver takes to be ready, and its memory, with events waiting on its disk.
func starting(ctx context.Context, o *options, s *report.Section) error {
	for _, waiting := range o.waiting {
		r, err := o.backlog(ctx, waiting)
		if err != nil {
			return fmt.Errorf("%d events waiting: %w", waiting, err)
		}
		s.Starts = append(s.Starts, r)
	}
	return nil
}

// deadTarget refuses connections.
const deadTarget = "http://127.0.0.1:1/"

// killAfter is how long a receiver is loaded before it is killed.
const killAfter = 100 * time.Millisecond

func (o *options) backlog(ctx context.Context, waiting int) (_ report.Start, err error) {
	r := report.Start{Waiting: waiting}
	dir, err := os.MkdirTemp(o.scratch, "start-")
	if err != nil {
		return r, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // scratch space
	source := o.sources[0]
	callback, err := load.NewCallback(source, startSize)
	if err != nil {
		return r, err
	}
	b := &backlog{
		options: server.ReceiverOptions{Program: o.receiver, Dir: filepath.Join(dir, "receiver"), Sources: []string{source}},
		load:    load.Options{Callback: callback, Connections: usualConnections, MayBreak: true},
	}
	defer func() { err = errors.Join(err, b.kill()) }()
	if r.Fill, err = b.fill(ctx, waiting); err != nil {
		return r, err
	}
	for range max(o.rounds, leastStarts) {
		clean, err := b.restart(ctx, b.receiver.Stop)
		if err != nil {
			return r, err
		}
		end := b.receiver.Kill
		if waiting > 0 {
			end = func() error { return b.killLoaded(ctx) }
		}
		killed, err := b.restart(ctx, end)
		if err != nil {
			return r, err
		}
		r.Clean, r.Killed = append(r.Clean, report.MicrosOf(clean)), append(r.Killed, report.MicrosOf(killed))
		progress("%d waiting: ready %v after a stop, %v after SIGKILL", waiting, clean, killed)
	}
	if r.Suspended, err = b.rest(ctx, o.settle); err != nil {
		return r, err
	}
	b.options.Target = deadTarget
	if _, err := b.restart(ctx, b.receiver.Stop); err != nil {
		return r, err
	}
	if r.Retrying, err = b.rest(ctx, o.settle); err != nil {
		return r, err
	}
	m, err := b.receiver.Metrics(ctx)
	r.Held, r.Disk, r.Attempts = m.Backlog, m.Disk, m.Attempts
	progress("%d waiting: memory %d MiB, while retrying %d MiB", r.Held, r.Suspended.Resident>>20, r.Retrying.Resident>>20)
	return r, err
}

// The size of the waiting callbacks' bodies, and how often a receiver is at least restarted.
const (
	startSize   = 300
	leastStarts = 5
)

// backlog is a receiver with events that wait.
type backlog struct {
	options  server.ReceiverOptions
	load     load.Options
	receiver *server.Receiver
	stored   int // at least
}

func (b *backlog) kill() error {
	if b.receiver == nil {
		return nil
	}
	return b.receiver.Kill()
}

// fill has events wait.
func (b *backlog) fill(ctx context.Context, waiting int) (took time.Duration, err error) {
	if b.receiver, err = server.StartReceiver(ctx, b.options); err != nil || waiting == 0 {
		return 0, err
	}
	progress("storing %d callbacks", waiting)
	began := time.Now()
	for b.stored < waiting { // once, unless callbacks are refused
		b.load.Count = waiting - b.stored
		if err := b.loadFor(ctx, time.Hour); err != nil {
			return 0, err
		}
	}
	b.load.Count = 0
	return time.Since(began), nil
}

// loadFor loads the receiver for a while.
func (b *backlog) loadFor(ctx context.Context, d time.Duration) error {
	l, err := b.start(ctx, d)
	if err != nil {
		return err
	}
	return errors.Join(b.ended(l), b.receiver.Alive())
}

func (b *backlog) start(ctx context.Context, d time.Duration) (*load.Load, error) {
	b.load.Addr, b.load.Duration = b.receiver.Addr, d
	return load.Start(ctx, b.load)
}

func (b *backlog) ended(l *load.Load) error {
	r, err := l.Wait()
	b.load.First = max(b.load.First, r.Next)
	b.stored += r.Accepted
	return err
}

// killLoaded kills the receiver in the middle of a load.
func (b *backlog) killLoaded(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l, err := b.start(ctx, time.Minute)
	if err != nil {
		return err
	}
	err = errors.Join(pause(ctx, killAfter), b.receiver.Kill())
	cancel()
	return errors.Join(err, b.ended(l))
}

// restart ends the receiver and starts it again. All that was acknowledged must be there.
func (b *backlog) restart(ctx context.Context, end func() error) (time.Duration, error) {
	if err := end(); err != nil {
		return 0, err
	}
	r, err := server.StartReceiver(ctx, b.options)
	if err != nil {
		return 0, err
	}
	b.receiver = r
	m, err := r.Metrics(ctx)
	if err == nil && m.Backlog < b.stored {
		err = fmt.Errorf("of %d events that were acknowledged %d are there", b.stored, m.Backlog)
	}
	return r.Ready, err
}

// rest looks at the receiver's memory after a while.
func (b *backlog) rest(ctx context.Context, d time.Duration) (report.Memory, error) {
	if err := pause(ctx, d); err != nil {
		return report.Memory{}, err
	}
	u, err := b.receiver.Usage()
	return report.Memory{Resident: u.Resident, Peak: u.Peak}, errors.Join(err, b.receiver.Alive())
}
