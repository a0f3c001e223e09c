package disk

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// A sweep that fails leaves the counters as they were, both in memory and, once something else stores them, on disk.
func TestSweep_failureChangesNoCounter(t *testing.T) {
	fs, ahead := vfs.NewCrashableMem(), time.Duration(0)
	b, bq := openQueueAt(t, Options{FS: fs, Now: func() time.Time { return time.Now().Add(ahead) }})
	q := bq.(*queue) //nolint:forcetypeassert // what this package makes
	for n := range 3 {
		if _, err := q.Append(t.Context(), numbered(n)); err != nil {
			t.Fatal(err)
		}
	}
	d, err := q.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Dead, Reason: "refused"}); err != nil {
		t.Fatal(err)
	}
	q.served.Store(false) // as if its endpoint was gone
	ahead = 2 * time.Hour // then the dead letter is too old, and the others are given up
	want := func(when string, pending, dead int64) {
		t.Helper()
		s := q.Stats()
		settled, deadAll, err := q.loadSettled()
		got := []int64{s.Pending, s.Dead, int64(settled), int64(deadAll)}
		if diff := cmp.Diff([]int64{pending, dead, 3 - pending, dead}, got); diff != "" || err != nil {
			t.Errorf("%s: pending, dead, and stored: settled, dead: (-want +got)\n%s%v", when, diff, err)
		}
	}

	whole := b.db
	b.db, err = pebble.Open("data/buffer", &pebble.Options{
		FS: fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))}), ReadOnly: true, Logger: logger{b.log, b.options.Fatal},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Sweep(); !errors.Is(err, pebble.ErrReadOnly) {
		t.Errorf("Sweep: %v, want %v", err, pebble.ErrReadOnly)
	}
	if err := b.db.Close(); err != nil {
		t.Error(err)
	}
	b.db = whole
	want("after the sweep failed", 2, 1)
	if err := b.Sweep(); err != nil {
		t.Fatal(err)
	}
	want("after a sweep", 0, 2)
}
