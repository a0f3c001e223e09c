package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/disk"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/delivery"
	"github.com/hookbay/hookbay/receiver/ingest"
)

// buffered says whether an endpoint's events are stored before its callbacks are acknowledged. Otherwise they are delivered before.
func buffered(e *config.Endpoint) bool { return e.Buffer.Type != config.BufferNone }

// needsBuffer says whether a receiver that starts with this configuration has a buffer. One without any endpoints has: they may come, and events
// of endpoints that are gone may be stored.
func needsBuffer(c *config.Config) bool {
	for i := range c.Endpoints {
		if buffered(&c.Endpoints[i]) {
			return true
		}
	}
	return len(c.Endpoints) == 0
}

// open opens the buffer, if there is to be one, and tells of events that nobody will deliver because their endpoint is not configured.
func (a *App) open(ctx context.Context, c *config.Config) (buffer.Buffer, error) {
	if !needsBuffer(c) {
		a.tellLeftBehind()
		return nil, nil
	}
	open := a.o.openBuffer
	if open == nil {
		open = func() (buffer.Buffer, error) {
			return asBuffer(disk.Open(disk.Options{
				Dir: filepath.Clean(a.o.DataDir), MaxBytes: bufferBytes(c), Log: a.log, Now: a.o.Now, FS: a.o.FS, Fatal: a.o.Fatal,
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
		}
	}
}

// tellLeftBehind says if there seems to be a store from a time when endpoints had a buffer.
func (a *App) tellLeftBehind() {
	if entries, err := os.ReadDir(a.o.DataDir); err == nil && len(entries) > 0 {
		a.log.Warn("The data directory is not opened, as no endpoint is buffered: events stored in it stay there", "dir", a.o.DataDir)
	}
}

// asBuffer keeps a nil *disk.Buffer from becoming an interface that is not nil.
func asBuffer(b *disk.Buffer, err error) (buffer.Buffer, error) {
	if err != nil {
		return nil, err
	}
	return b, nil
}

// closeBuffer closes the buffer if there is one.
func (a *App) closeBuffer() error {
	if a.buffer == nil {
		return nil
	}
	return a.buffer.Close()
}

// bufferSize is the space that the buffer takes, in bytes.
func (a *App) bufferSize() int64 {
	if a.buffer == nil {
		return 0
	}
	return a.buffer.Bytes()
}

// checkBuffer refuses what cannot change while events are on their way: where an endpoint's events are kept.
func (s *endpoints) checkBuffer(e *config.Endpoint) error {
	before := s.find(e.Key())
	switch {
	case before != nil && buffered(&before.config) != buffered(e):
		return fmt.Errorf("buffer.type of %s changed from %s to %s: restart the receiver", e.Key(), bufferType(&before.config), bufferType(e))
	case buffered(e) && s.buffer == nil:
		return fmt.Errorf("buffer.type of %s is %s, and the receiver was started without a buffer: restart the receiver", e.Key(), bufferType(e))
	}
	return nil
}

func bufferType(e *config.Endpoint) string {
	if buffered(e) {
		return config.BufferDisk
	}
	return config.BufferNone
}

// intake is where the endpoint's events go.
func (e *served) intake() ingest.Queue {
	if e.direct != nil {
		return e.direct
	}
	return e.queue // nil if it cannot work and has no buffer: its source lets nothing pass
}

// aim is what an endpoint without a buffer delivers to.
func (e *served) aim() delivery.Aim {
	return delivery.Aim{Target: e.target, MaxInFlight: e.config.Delivery.MaxInFlight, Suspend: e.config.Delivery.Suspend}
}

// pending counts the events that are stored and not yet delivered.
func (e *served) pending() int64 {
	if !buffered(&e.config) {
		return 0
	}
	return e.queue.Stats().Pending
}

// backlog tells what is stored for each endpoint that is served or leaving, nothing if it has no buffer, and for all others that something
// is stored for.
func (s *endpoints) backlog() map[string]buffer.Stats {
	stats := make(map[string]buffer.Stats)
	s.mu.Lock()
	names := slices.Concat(slices.Collect(maps.Keys(s.live)), slices.Collect(maps.Keys(s.leaving)))
	for _, name := range names {
		if !buffered(&s.find(name).config) {
			stats[name] = buffer.Stats{}
		}
	}
	s.mu.Unlock()
	if s.buffer == nil {
		return stats
	}
	for _, name := range append(names, s.buffer.Queues()...) {
		if held, ok := s.buffer.Peek(name); ok {
			stats[name] = held
		}
	}
	return stats
}
