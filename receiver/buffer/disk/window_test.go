package disk

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
)

// TestWindow_filtersAfterRestart checks both sides of the filters: every repeat is found, before they are filled again and after, and a new
// identity is no longer looked for on disk.
func TestWindow_filtersAfterRestart(t *testing.T) {
	fs := vfs.NewMem()
	b, err := Open(Options{Dir: "data", FS: fs, SweepInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	q, err := b.Queue("shop/orders", faultSettings)
	if err != nil {
		t.Fatal(err)
	}
	const n = 2500
	for i := range n {
		if _, err := q.Append(t.Context(), numbered(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	b, q = openQueueAt(t, Options{FS: fs})
	w := &q.(*queue).window
	since := time.Now().Add(-time.Hour)
	unknown := func() (found int) {
		for i := range n {
			found += len(w.candidates(nil, numbered(n + i)[0].ID, since))
		}
		return found
	}
	repeats := func(when string) {
		t.Helper()
		for i := range n {
			if got, err := q.Append(t.Context(), numbered(i)); err != nil || got.Duplicates != 1 {
				t.Fatalf("repeat %d %s: %+v, %v", i, when, got, err)
			}
		}
	}
	repeats("before the filters are filled")
	if got := unknown(); got < n {
		t.Errorf("%d of %d new identities would be looked for: want all while the filters are not filled", got, n)
	}
	if err := b.Sweep(); err != nil {
		t.Fatal(err)
	}
	repeats("after the filters are filled")
	if got := unknown(); got > n/20 {
		t.Errorf("%d of %d new identities would be looked for on disk: want about 1 in 100", got, n)
	}
}

func TestBucket_manyIdentities(t *testing.T) {
	b := &bucket{complete: true}
	id := func(i int) event.ID { return event.ID{byte(i), byte(i >> 8), byte(i >> 16), 1} }
	const n = firstFilter + firstFilter/2
	for i := range n {
		b.add(id(i))
	}
	if len(b.filters) != 2 {
		t.Errorf("%d filters for %d identities, want 2", len(b.filters), n)
	}
	for i := range n {
		if !b.mayHold(id(i)) {
			t.Fatalf("identity %d is forgotten", i)
		}
	}
}

// TestWindow_keepsLittleMoreThanItsLength has one event a second for a while, against a clock of its own: each repeat within the window's length is found,
// and what is kept for that is not much more.
func TestWindow_keepsLittleMoreThanItsLength(t *testing.T) {
	for _, test := range []struct {
		name           string
		before, length time.Duration
		most           time.Duration // of what is kept
		buckets        int
	}{
		{"a short window", 5 * time.Minute, 5 * time.Minute, 9 * time.Minute, 4},
		{"one that is shorter than a bucket can be", 10 * time.Second, 10 * time.Second, 4 * time.Minute, 4},
		{"one that was made shorter", 3 * time.Hour, 5 * time.Minute, 9 * time.Minute, 4},
		{"one that was made longer", 2 * time.Minute, 20 * time.Minute, 32 * time.Minute, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := time.Unix(1772366405, 0)
			b, err := Open(Options{Dir: "data", FS: vfs.NewMem(), SweepInterval: -1, Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = b.Close() })
			n := 0
			run := func(length time.Duration, seconds int) *queue {
				q, err := b.Queue("shop/orders", buffer.Settings{DeduplicationWindow: length, Retention: time.Hour, DeadRetention: time.Hour, MaxAge: time.Hour})
				if err != nil {
					t.Fatal(err)
				}
				for range seconds {
					now = now.Add(time.Second)
					if got, err := q.Append(t.Context(), numbered(n)); err != nil || got.Stored != 1 {
						t.Fatalf("event %d: %+v, %v", n, got, err)
					}
					if n++; n%60 == 0 {
						if err := b.Sweep(); err != nil {
							t.Fatal(err)
						}
					}
				}
				return q.(*queue)
			}
			run(test.before, 400)
			q := run(test.length, 3600)
			if err := b.Sweep(); err != nil {
				t.Fatal(err)
			}
			if got := len(q.window.buckets); got > test.buckets {
				t.Errorf("%d buckets, want at most %d", got, test.buckets)
			}
			if got := now.Sub(q.window.buckets[0].began()); got > test.most || got < test.length {
				t.Errorf("identities of the last %v are kept, want between %v and %v", got, test.length, test.most)
			}
			for age := time.Duration(0); age < test.length; age += 7 * time.Second {
				if got, err := q.Append(t.Context(), numbered(n-1-int(age/time.Second))); err != nil || got.Duplicates != 1 {
					t.Fatalf("a repeat after %v: %+v, %v", age, got, err)
				}
			}
		})
	}
}

// TestAdmit_whileAppending has events appended at the very moments that others are moved into lanes: none may be passed over.
func TestAdmit_whileAppending(t *testing.T) {
	_, q := openQueueAt(t, Options{FS: vfs.NewMem()})
	const producers, each = 16, 1000
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg, consumer sync.WaitGroup
	consumer.Go(func() {
		for {
			d, err := q.Next(ctx)
			if err != nil {
				return
			}
			if err := q.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered}); err != nil {
				t.Errorf("Settle: %v", err)
				return
			}
		}
	})
	for p := range producers {
		wg.Go(func() {
			for n := range each {
				if _, err := q.Append(t.Context(), numbered(p*each+n)); err != nil {
					t.Errorf("Append: %v", err)
				}
			}
		})
	}
	wg.Wait()
	stop()
	consumer.Wait()
	// What is left must come out without anything new being appended.
	ctx, stop = context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for q.Stats().Pending > 0 {
		d, err := q.Next(ctx)
		if err != nil {
			t.Fatalf("Next with %d events pending: %v", q.Stats().Pending, err)
		}
		if err := q.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered}); err != nil {
			t.Fatal(err)
		}
	}
}
