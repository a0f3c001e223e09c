package delivery

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/event"
)

// heavyEvents are events of so many bytes, each of a subject of its own.
func heavyEvents(n, size int) []event.Event {
	all := manySubjects(n)
	for i := range all {
		all[i].Body = make([]byte, size)
	}
	return all
}

// Targets that hang hold no more than they may, and leave room for one that does not.
func TestMemory_hangingTargets(t *testing.T) {
	const size, limit = 1 << 20, 32 << 20
	tests := map[string]struct {
		hanging  int
		wantEach int64 // of bodies: equal shares, where each is less than or equal to what is left
		wantMore int   // attempts at once that the other has room for, at least
	}{
		"none":      {0, 0, 16},
		"one: half": {1, 16, 8},
		"two: a third each, and one body more at most": {2, 11, 4},
		"ten": {10, 3, 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := NewMemory(limit)
				hang := targetFunc(func(ctx context.Context, _ *event.Event, _ int) target.Result {
					<-ctx.Done()
					return target.Result{Class: target.Retryable, Outcome: target.OutcomeCancelled}
				})
				for range tc.hanging {
					run(t, Options{Queue: newMemoryQueue(heavyEvents(100, size)...), Target: hang, Memory: m, DrainTime: -1})
				}
				synctest.Wait()
				if got := m.Used(); got > limit+int64(tc.hanging)*size || got < int64(tc.hanging)*(tc.wantEach-1)*size {
					t.Errorf("%d MiB are leased, want about %d", got>>20, int64(tc.hanging)*tc.wantEach)
				}
				q := newMemoryQueue(heavyEvents(100, size)...)
				other := &changing{answer: always(accepted), takes: 10 * time.Millisecond}
				run(t, Options{Queue: q, Target: other, Memory: m})
				pass(t, 2*time.Second)
				if got, _, _ := q.counts(); got != 100 {
					t.Errorf("%d of 100 events were delivered beside targets that hang", got)
				}
				if got := other.most(); got < tc.wantMore {
					t.Errorf("%d attempts at once beside targets that hang, want %d", got, tc.wantMore)
				}
			})
		})
	}
}

// Whatever ends an attempt gives its memory back, and lets those go on who wait for it.
func TestMemory_isGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(4000)
		var running []*running
		answers := []target.Result{accepted, gone, busy}
		for i, answer := range answers {
			tg := &changing{answer: always(answer), takes: time.Duration(i+1) * time.Millisecond}
			running = append(running, run(t, Options{Queue: newMemoryQueue(heavyEvents(50, 1000)...), Target: tg, Memory: m}))
		}
		pass(t, time.Hour)
		for _, r := range running {
			r.stop()
			<-r.stopped
		}
		if got := m.Used(); got != 0 {
			t.Errorf("%d bytes are still leased", got)
		}
	})
}

func TestMemory_waitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &share{of: NewMemory(10)}
		s.take(10)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if s.wait(ctx) {
				t.Error("there is room, while all is used")
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		if s.give(10); !s.wait(t.Context()) {
			t.Error("there is no room, while nothing is used")
		}
	})
}
