package app

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/disk"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/delivery"
	"github.com/hookbay/hookbay/receiver/ingest"
)

// needsDisk says whether a receiver that starts with this configuration keeps events on disk. One without any endpoints does: they may come, and events
// of endpoints that are gone may be stored.
func needsDisk(c *config.Config) bool {
	for i := range c.Endpoints {
		if onDisk(&c.Endpoints[i]) {
			return true
		}
	}
	return len(c.Endpoints) == 0
}

// openDisk opens the buffer on disk, if there is to be one, and tells of events that nobody will deliver because their endpoint is not configured.
func (a *App) openDisk(ctx context.Context, c *config.Config, syncs prometheus.Observer) (buffer.Buffer, error) {
	if !needsDisk(c) {
		a.tellLeftBehind()
		return nil, nil
	}
	open := a.o.openBuffer
	if open == nil {
		open = func() (buffer.Buffer, error) {
			return asBuffer(disk.Open(disk.Options{
				Dir: filepath.Clean(a.o.DataDir), MaxBytes: bufferBytes(c), Log: a.log, Now: a.o.Now, FS: a.o.FS, Fatal: a.o.Fatal,
				Synced: func(took time.Duration) { syncs.Observe(took.Seconds()) },
			}))
		}
	}
	b, err := a.whenFree(ctx, open)
	if err != nil {
		return nil, err // it says what was opened, and where
	}
	a.tellForgotten(b, c)
	return b, nil
}

// lookAgain is how often a data directory that another receiver uses is tried again.
const lookAgain = 100 * time.Millisecond

// whenFree opens the buffer, and waits as long as DataDirWait for another receiver to let go of it.
func (a *App) whenFree(ctx context.Context, open func() (buffer.Buffer, error)) (buffer.Buffer, error) {
	b, err := open()
	if !errors.Is(err, syscall.EAGAIN) || a.o.DataDirWait <= 0 {
		return b, err
	}
	a.log.Info("Receiver waits for the one that still uses its data directory", "limit", a.o.DataDirWait)
	patience := time.NewTimer(a.o.DataDirWait)
	defer patience.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-patience.C:
			return nil, err
		case <-again.C:
			if b, err = open(); !errors.Is(err, syscall.EAGAIN) {
				return b, err
			}
		}
	}
}

// tellForgotten tells of events that nobody will deliver.
func (a *App) tellForgotten(b buffer.Buffer, c *config.Config) {
	configured := make(map[string]*config.Endpoint)
	for i := range c.Endpoints {
		configured[c.Endpoints[i].Key()] = &c.Endpoints[i]
	}
	for _, name := range b.Queues() {
		held, _ := b.Peek(name)
		switch e := configured[name]; {
		case held.Pending == 0:
		case e == nil:
			a.log.Warn("Events of an endpoint that is not configured are kept until it is again, or they are too old",
				"endpoint", name, "pending", held.Pending)
		case !buffered(e):
			a.log.Warn("Events of an endpoint that has no buffer any more are kept until it has again, or they are too old",
				"endpoint", name, "pending", held.Pending)
		case !onDisk(e):
			a.log.Warn("Events of an endpoint whose buffer is a stream now are kept on disk until it is there again, or they are too old",
				"endpoint", name, "pending", held.Pending)
		}
	}
}

// tellLeftBehind says if there seems to be a store from a time when endpoints had a buffer.
func (a *App) tellLeftBehind() {
	if entries, err := os.ReadDir(a.o.DataDir); err == nil && len(entries) > 0 {
		a.log.Warn("The data directory is not opened, as no endpoint is buffered on disk: events stored in it stay there", "dir", a.o.DataDir)
	}
}

// asBuffer keeps a nil *disk.Buffer from becoming an interface that is not nil.
func asBuffer(b *disk.Buffer, err error) (buffer.Buffer, error) {
	if err != nil {
		return nil, err
	}
	return b, nil
}

// intake is where the endpoint's events go.
func (e *served) intake() ingest.Queue {
	switch {
	case e.direct != nil:
		return e.direct
	case e.relay != nil:
		return e.relay
	}
	return e.queue // nil if it cannot work and is not on disk: its source lets nothing pass
}

// aim is what an endpoint without a buffer delivers to.
func (e *served) aim() delivery.Aim {
	return delivery.Aim{Target: e.target, MaxInFlight: e.config.Delivery.MaxInFlight, Suspend: e.config.Delivery.Suspend}
}

// pending counts the events that are stored and not yet delivered.
func (e *served) pending() int64 {
	if e.queue == nil {
		return 0
	}
	return e.queue.Stats().Pending
}

// backlog tells what is stored for each endpoint that is served or leaving, nothing if nothing is, and for all others that something
// is stored for on disk. Of a stream it tells what this receiver has to deliver.
func (s *endpoints) backlog() map[string]buffer.Stats {
	stats := make(map[string]buffer.Stats)
	streams := make(map[string]bool)
	var names []string
	s.mu.Lock()
	for name := range s.all() {
		stats[name] = buffer.Stats{}
		if e := s.find(name); e.stream == nil {
			names = append(names, name)
		} else {
			stats[name] = e.queue.Stats()
			streams[name] = true
		}
	}
	s.mu.Unlock()
	if s.buffers.disk == nil {
		return stats
	}
	for _, name := range append(names, s.buffers.disk.Queues()...) {
		if held, ok := s.buffers.disk.Peek(name); ok && !streams[name] {
			stats[name] = held
		}
	}
	return stats
}

// all yields the names of the endpoints that are served, and of those that leave. It is called with the lock held.
func (s *endpoints) all() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, some := range []map[string]*served{s.live, s.leaving} {
			for name := range some {
				if !yield(name) {
					return
				}
			}
		}
	}
}
