package disk

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
)

// stall holds up every sync while it is on.
type stall struct {
	on   atomic.Bool
	gate chan struct{}
}

func (s *stall) MaybeError(op errorfs.Op) error {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		if s.on.Load() {
			<-s.gate
		}
	default:
	}
	return nil
}

func (s *stall) String() string { return "stall" }

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// A disk that is slower than the callbacks come in, whose senders give up: memory stays bounded, what somebody waits for comes first, and
// what fits the bound is stored nevertheless.
func TestAppend_givenUp(t *testing.T) {
	s := &stall{gate: make(chan struct{})}
	b, q := openQueueAt(t, Options{FS: errorfs.Wrap(vfs.NewMem(), s)})
	lines := func() (waiting, late, bytes int) {
		b.appender.mu.Lock()
		defer b.appender.mu.Unlock()
		return len(b.appender.waiting), len(b.appender.late), b.appender.lateBytes
	}
	large := func(n int) []event.Event {
		e := numbered(n)
		e[0].Subject, e[0].Type, e[0].Body = fmt.Sprint(n), fmt.Sprint(n), make([]byte, 1<<20)
		return e
	}
	appending := func(ctx context.Context, n int) <-chan error {
		done := make(chan error, 1)
		go func() {
			_, err := q.Append(ctx, large(n))
			done <- err
		}()
		return done
	}

	s.on.Store(true)
	first := appending(t.Context(), 0)
	eventually(t, "the first is being committed", func() bool {
		waiting, _, _ := lines()
		return waiting == 0 && b.appender.b.space.appended.Load() > 0
	})
	const more = 20
	for n := 1; n <= more; n++ {
		ctx, cancel := context.WithCancel(t.Context())
		done := appending(ctx, n)
		eventually(t, "it waits", func() bool { waiting, _, _ := lines(); return waiting == 1 })
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatalf("Append returned %v, want that it was given up", err)
		}
	}
	waiting, late, bytes := lines()
	if waiting != 0 || late == 0 || late == more || bytes > maxLateBytes {
		t.Errorf("%d requests wait and %d with %d bytes are late, want 0 and as many as fit %d bytes", waiting, late, bytes, maxLateBytes)
	}
	awaited := appending(t.Context(), more+1)
	eventually(t, "one waits that is not given up", func() bool { waiting, _, _ := lines(); return waiting == 1 })

	s.on.Store(false)
	close(s.gate)
	for _, done := range []<-chan error{first, awaited} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	eventually(t, "what is late is stored", func() bool { return q.Stats().Pending == int64(2+late) })
	if _, left, bytes := lines(); left != 0 || bytes != 0 {
		t.Errorf("%d late requests with %d bytes are left, want none", left, bytes)
	}
	for _, want := range []string{"0", fmt.Sprint(more + 1), "1", "2"} {
		d, err := q.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d.Event.Type != want {
			t.Errorf("event %s is handed out, want %s", d.Event.Type, want)
		}
		if err := q.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered}); err != nil {
			t.Fatal(err)
		}
	}
}
