package disk_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/disk"
	"github.com/hookbay/hookbay/receiver/event"
)

const (
	crashSubjects   = 5
	crashPerSubject = 24
	crashEndpoint   = "shop/orders"
)

var crashSettings = buffer.Settings{DeduplicationWindow: 7 * time.Hour, Retention: time.Hour, DeadRetention: time.Hour, MaxAge: time.Hour}

// TestPowerLoss cuts the power before every sync that the database makes in the course of a workload: once keeping just what was synced, once
// also a random part of what was not. Each time it opens what is left and checks that no acknowledged event is lost, none is invented, none
// that was settled comes again, and subjects are in order.
func TestPowerLoss(t *testing.T) {
	for _, unsynced := range []int{0, 50} {
		t.Run(fmt.Sprintf("keeping %d%% of what is not synced", unsynced), func(t *testing.T) {
			t.Parallel()
			w := &crashWorkload{mem: vfs.NewCrashableMem(), unsynced: unsynced, clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
			w.run(t)
			if len(w.crashes) < 50 {
				t.Errorf("the workload made only %d syncs: want more to be cut short", len(w.crashes))
			}
			for i, c := range w.crashes {
				c.check(t, fmt.Sprintf("power lost before sync %d", i))
				if t.Failed() {
					return
				}
			}
			t.Logf("checked %d crash states", len(w.crashes))
		})
	}
}

// crashWorkload appends, delivers, retries and gives up, and knows what it was told.
type crashWorkload struct {
	mem      *vfs.MemFS
	unsynced int
	clock    time.Time

	mu      sync.Mutex
	know    knowledge
	crashes []crash
}

// knowledge is which events were given to Append, acknowledged by it, handed out by Next, given to Settle to end, and ended by it.
type knowledge struct{ offered, acked, handed, ending, ended map[event.ID]bool }

// crash is a file system as a power loss leaves it, with the least that must be in it and the most that may be.
type crash struct {
	fs          *vfs.MemFS
	clock       time.Time
	least, most knowledge
}

func (k knowledge) clone() knowledge {
	return knowledge{maps.Clone(k.offered), maps.Clone(k.acked), maps.Clone(k.handed), maps.Clone(k.ending), maps.Clone(k.ended)}
}

func (w *crashWorkload) knows() knowledge {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.know.clone()
}

func (w *crashWorkload) learn(set func(knowledge) map[event.ID]bool, id event.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	set(w.know)[id] = true
}

// MaybeError cuts the power before each sync.
func (w *crashWorkload) MaybeError(op errorfs.Op) error {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		for range 100 {
			runtime.Gosched() // whoever does not wait for this sync, and should, gets ahead
		}
		least := w.knows()
		random := rand.New(rand.NewPCG(uint64(len(least.acked)), 7)) // a repeatable test
		fs := w.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: w.unsynced, RNG: random})
		most := w.knows()
		w.mu.Lock()
		w.crashes = append(w.crashes, crash{fs: fs, clock: w.clock, least: least, most: most})
		w.mu.Unlock()
	default:
	}
	return nil
}

// String names the injector.
func (w *crashWorkload) String() string { return "power loss" }

// crashEvent makes the n-th event of a subject, always the same.
func crashEvent(subject, n int) event.Event {
	random := rand.New(rand.NewPCG(uint64(subject), uint64(n))) // a repeatable test
	noise := make([]byte, 6<<10)                                // incompressible, so that memtables fill up and are flushed on the way
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	body := append(fmt.Appendf(nil, "%d %d ", subject, n), noise...)
	return event.Event{ID: event.NewID(fmt.Sprint(subject, n)), Type: "t", Subject: fmt.Sprint("subject", subject), Body: body, Received: time.Unix(1, 0)}
}

func (w *crashWorkload) run(t *testing.T) {
	t.Helper()
	w.know = knowledge{map[event.ID]bool{}, map[event.ID]bool{}, map[event.ID]bool{}, map[event.ID]bool{}, map[event.ID]bool{}}
	b := openAt(t, errorfs.Wrap(w.mem, w), func() time.Time { return w.clock })
	q := queueOf(t, b)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var producers, consumers sync.WaitGroup
	for s := range crashSubjects {
		producers.Go(func() {
			for n := range crashPerSubject {
				e := crashEvent(s, n)
				w.learn(func(k knowledge) map[event.ID]bool { return k.offered }, e.ID)
				if _, err := q.Append(ctx, []event.Event{e}); err != nil {
					t.Errorf("Append: %v", err)
				}
				w.learn(func(k knowledge) map[event.ID]bool { return k.acked }, e.ID)
			}
		})
	}
	for c := range 2 {
		consumers.Go(func() { w.consume(ctx, t, q, rand.New(rand.NewPCG(uint64(c), 3))) }) // a repeatable test
	}
	producers.Wait()
	if err := b.Sweep(); err != nil {
		t.Error(err)
	}
	stop()
	consumers.Wait()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// consume delivers about half of what it gets; the rest is tried again later, which is never in this run, or given up.
func (w *crashWorkload) consume(ctx context.Context, t *testing.T, q buffer.Queue, random *rand.Rand) {
	for {
		d, err := q.Next(ctx)
		if err != nil {
			return
		}
		w.learn(func(k knowledge) map[event.ID]bool { return k.handed }, d.Event.ID)
		o := buffer.Outcome{Verdict: buffer.Delivered}
		switch random.IntN(8) {
		case 0:
			o = buffer.Outcome{Verdict: buffer.Retry, RetryAt: w.clock.Add(time.Minute)}
		case 1:
			o = buffer.Outcome{Verdict: buffer.Dead, Reason: "target answered 410"}
		}
		if o.Verdict != buffer.Retry {
			w.learn(func(k knowledge) map[event.ID]bool { return k.ending }, d.Event.ID)
		}
		if err := q.Settle(context.WithoutCancel(ctx), d, o); err != nil {
			t.Errorf("Settle: %v", err)
			return
		}
		if o.Verdict != buffer.Retry {
			w.learn(func(k knowledge) map[event.ID]bool { return k.ended }, d.Event.ID)
		}
	}
}

// check opens what a crash left and drains it.
func (c crash) check(t *testing.T, when string) {
	t.Helper()
	b := openAt(t, c.fs, func() time.Time { return c.clock.Add(time.Hour / 2) })
	defer func() {
		if err := b.Close(); err != nil {
			t.Errorf("%s: Close: %v", when, err)
		}
	}()
	q := queueOf(t, b)
	drained := map[event.ID]bool{}
	last := map[string]int{}
	for n := q.Stats().Pending; n > 0; n-- {
		d, err := q.Next(t.Context())
		if err != nil {
			t.Fatalf("%s: Next: %v", when, err)
		}
		c.checkEvent(t, when, d, drained, last)
		if err := q.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered}); err != nil {
			t.Fatalf("%s: Settle: %v", when, err)
		}
	}
	if s := q.Stats(); s.Pending != 0 || !s.Oldest.IsZero() {
		t.Errorf("%s: stats after the last event: %+v", when, s)
	}
	for id := range c.least.acked {
		if !drained[id] && !c.most.ending[id] {
			t.Errorf("%s: acknowledged event %s is lost", when, id)
		}
	}
	c.checkTurns(t, when, drained)
	c.checkRepeats(t, when, q, drained)
}

// checkTurns checks that an event was handed out only when those before it in its subject were settled for good.
func (c crash) checkTurns(t *testing.T, when string, drained map[event.ID]bool) {
	t.Helper()
	for s := range crashSubjects {
		later := false
		for n := crashPerSubject - 1; n >= 0; n-- {
			id := crashEvent(s, n).ID
			if later && drained[id] {
				t.Errorf("%s: event %d of subject %d comes again, after a later one was handed out", when, n, s)
			}
			later = later || c.least.handed[id]
		}
	}
}

func (c crash) checkEvent(t *testing.T, when string, d *buffer.Delivery, drained map[event.ID]bool, last map[string]int) {
	t.Helper()
	id := d.Event.ID
	var subject, n int
	if _, err := fmt.Sscanf(string(d.Event.Body), "%d %d ", &subject, &n); err != nil {
		t.Fatalf("%s: body %.20q: %v", when, d.Event.Body, err)
	}
	switch want := crashEvent(subject, n); {
	case !c.most.offered[id]:
		t.Errorf("%s: event %s is invented", when, id)
	case !bytes.Equal(d.Event.Body, want.Body) || d.Event.Subject != want.Subject || id != want.ID:
		t.Errorf("%s: event %s is not what was stored", when, id)
	case drained[id]:
		t.Errorf("%s: event %s comes twice", when, id)
	case c.least.ended[id]:
		t.Errorf("%s: event %s was settled and comes again", when, id)
	case n < last[d.Event.Subject]:
		t.Errorf("%s: event %d of %s comes after %d", when, n, d.Event.Subject, last[d.Event.Subject]-1)
	default:
		drained[id], last[d.Event.Subject] = true, n+1
	}
}

// checkRepeats appends everything once more, as the platforms would: what was stored is a repeat, and nothing is called a repeat that is not there.
func (c crash) checkRepeats(t *testing.T, when string, q buffer.Queue, drained map[event.ID]bool) {
	t.Helper()
	for s := range crashSubjects {
		for n := range crashPerSubject {
			e := crashEvent(s, n)
			got, err := q.Append(t.Context(), []event.Event{e})
			if err != nil {
				t.Fatalf("%s: Append: %v", when, err)
			}
			switch repeat := got.Duplicates == 1; {
			case repeat && !drained[e.ID] && !c.most.ending[e.ID]:
				t.Errorf("%s: event %s is called a repeat but was not stored", when, e.ID)
			case !repeat && (drained[e.ID] || c.least.acked[e.ID]):
				t.Errorf("%s: event %s was stored and is not called a repeat", when, e.ID)
			}
		}
	}
}

func openAt(t *testing.T, fs vfs.FS, now func() time.Time) *disk.Buffer {
	t.Helper()
	b, err := disk.Open(disk.Options{Dir: "data", FS: fs, Now: now, SweepInterval: -1, MaxBytes: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func queueOf(t *testing.T, b *disk.Buffer) buffer.Queue {
	t.Helper()
	q, err := b.Queue(crashEndpoint, crashSettings)
	if err != nil {
		t.Fatal(err)
	}
	return q
}
