package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// manyTables leaves a database as a crash does: with events in several tables and in the log, places on disk, and settled events. It returns how many
// events are pending.
func manyTables(t *testing.T) (fs *vfs.MemFS, pending int) {
	t.Helper()
	tried := 0
	mem := vfs.NewCrashableMem()
	b, q := openQueueAt(t, Options{FS: mem})
	for n := range 180 {
		e := noisy(n)
		e[0].Subject = fmt.Sprint(n % 30)
		if _, err := q.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if n%60 != 59 {
			continue
		}
		for range 3 { // one is done, the others wait on disk for an hour
			d, err := q.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			outcome := buffer.Outcome{Verdict: buffer.Retry, RetryAt: time.Now().Add(time.Hour)}
			if tried++; tried%3 == 1 {
				outcome = buffer.Outcome{Verdict: buffer.Delivered}
			}
			if err := q.Settle(t.Context(), d, outcome); err != nil {
				t.Fatal(err)
			}
		}
		if n < 120 {
			if err := b.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return mem.CrashClone(vfs.CrashCloneCfg{}), int(q.Stats().Pending)
}

// eventsIn counts the events of a table, and says where its last block of them ends.
func eventsIn(t *testing.T, fs vfs.FS, name string) (events int, end int64) {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		t.Fatal(err)
	}
	opts := &pebble.Options{}
	opts.EnsureDefaults()
	r, err := sstable.NewReader(context.Background(), readable, opts.MakeReaderOptions())
	if err != nil {
		t.Fatal(err)
	}
	layout, err := r.Layout()
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range layout.Data {
		end = max(end, int64(block.Offset+block.Length))
	}
	it, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		t.Fatal(err)
	}
	for kv := it.First(); kv != nil; kv = it.Next() {
		if kv.K.UserKey[0] == kindPending && kv.V.Len() > 0 {
			events++
		}
	}
	if err := errors.Join(it.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
	return events, end
}

// TestMend damages each table in many ways: no more is lost than what was in the damaged block, or in the table where nothing tells what is in it.
func TestMend(t *testing.T) {
	whole, pending := manyTables(t)
	names, err := whole.List("data/buffer")
	if err != nil {
		t.Fatal(err)
	}
	tables := 0
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		tables++
		path := "data/buffer/" + name
		info, err := whole.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		size, block := info.Size(), 17 // a block has 16 KiB, an event 1 KiB
		events, end := eventsIn(t, whole, path)
		type damage struct {
			do    func(t *testing.T, fs *vfs.MemFS)
			loses int // at most
			quiet bool
		}
		damages := map[string]damage{
			"cut":     {func(t *testing.T, fs *vfs.MemFS) { t.Helper(); cutShort(t, fs, path, int(size/2)) }, events, false},
			"emptied": {func(t *testing.T, fs *vfs.MemFS) { t.Helper(); cutShort(t, fs, path, 0) }, events, false},
			"deleted": {func(t *testing.T, fs *vfs.MemFS) {
				t.Helper()
				if err := errors.Join(fs.Remove(path), syncDir(fs, "data/buffer")); err != nil {
					t.Fatal(err)
				}
			}, events, false},
		}
		for i, at := range []int64{0, end / 4, end / 2, end - 20, end + 10, size - 200, size - 70, size - 50, size - 10} {
			if i%3 != tables%3 { // each table has its own places: all in all would take minutes with the race detector
				continue
			}
			// What is behind the blocks need not show at once.
			damages[fmt.Sprintf("a bit flipped at %d of %d", at, size)] = damage{func(t *testing.T, fs *vfs.MemFS) {
				t.Helper()
				flip(t, fs, path, func(int) int { return int(at) })
			}, 0, true}
			loses := block
			if at >= end {
				loses = events
			}
			damages[fmt.Sprintf("bits flipped at %d of %d", at, size)] = damage{func(t *testing.T, fs *vfs.MemFS) {
				t.Helper()
				for i := range 3 {
					flip(t, fs, path, func(int) int { return int(at) + i })
				}
			}, min(loses, events), true}
		}
		for how, d := range damages {
			t.Run(name+" "+how, func(t *testing.T) {
				fs := whole.CrashClone(vfs.CrashCloneCfg{})
				d.do(t, fs)
				if d.quiet {
					if err := markDamage(Options{Dir: "data", FS: fs}, path); err != nil {
						t.Fatal(err)
					}
				}
				var log strings.Builder
				_, q := openQueueAt(t, Options{FS: fs, Log: slog.New(slog.NewTextHandler(&log, nil))})
				if got := int(q.Stats().Pending); got < pending-d.loses || got > pending+6 {
					t.Errorf("%d events of %d are left, of which at most %d may be lost:\n%s", got, pending, d.loses, log.String())
				}
				if n := deliverAll(t, q); n < pending-d.loses {
					t.Errorf("%d events of %d come out, of which at most %d may be lost", n, pending, d.loses)
				}
				if !strings.Contains(log.String(), name) {
					t.Errorf("the log does not name the file:\n%s", log.String())
				}
				if names, err := fs.List("data"); err != nil || slices.Contains(names, mendedDir) {
					t.Errorf("files after the rescue: %q, %v", names, err)
				}
			})
		}
	}
	if tables < 4 {
		t.Errorf("%d tables: the test does not test what it should", tables)
	}
}

// deliverAll delivers all that is pending, in order, and counts it.
func deliverAll(t *testing.T, q buffer.Queue) (n int) {
	t.Helper()
	for q.Stats().Pending > 0 {
		d, err := q.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := noisy(int(d.Event.Body[0]))[0]; d.Event.ID != want.ID {
			t.Errorf("%s was not stored like that", d.Event.ID)
		}
		if err := q.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered}); err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// cutShort makes a file shorter.
func cutShort(t *testing.T, fs *vfs.MemFS, name string, size int) {
	t.Helper()
	data, err := readFile(fs, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeFile(fs, name, data[:size]); err != nil {
		t.Fatal(err)
	}
}
