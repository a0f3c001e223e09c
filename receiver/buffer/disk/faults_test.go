package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
)

var faultSettings = buffer.Settings{DeduplicationWindow: time.Hour, Retention: time.Hour, DeadRetention: time.Hour, MaxAge: time.Hour}

func openQueueAt(t *testing.T, o Options) (*Buffer, buffer.Queue) {
	t.Helper()
	o.Dir, o.SweepInterval = "data", -1
	b, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	q, err := b.Queue("shop/orders", faultSettings)
	if err != nil {
		t.Fatal(err)
	}
	return b, q
}

func numbered(n int) []event.Event {
	return []event.Event{{ID: event.NewID(fmt.Sprint(n)), Type: "t", Subject: "s", Received: time.Unix(1, 0), Body: make([]byte, 1<<10)}}
}

// smallDisk is a file system that says how much room it has.
type smallDisk struct {
	vfs.FS
	free atomic.Uint64
}

func (s *smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{TotalBytes: 100 << 20, AvailBytes: s.free.Load()}, nil
}

func TestFullDisk_refusesAndGoesOnDelivering(t *testing.T) {
	fs := &smallDisk{FS: vfs.NewMem()}
	fs.free.Store(90 << 20)
	b, q := openQueueAt(t, Options{FS: fs})
	for n := range 3 {
		if _, err := q.Append(t.Context(), numbered(n)); err != nil {
			t.Fatal(err)
		}
	}
	fs.free.Store(b.space.reserve() - 1)
	if _, err := q.Append(t.Context(), numbered(3)); !errors.Is(err, buffer.ErrFull) || !strings.Contains(err.Error(), "MiB left") {
		t.Fatalf("Append to a full disk: %v", err)
	}
	if err := b.Ready(); !errors.Is(err, buffer.ErrFull) {
		t.Errorf("Ready on a full disk: %v", err)
	}
	for range 3 {
		d, err := q.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered}); err != nil {
			t.Fatalf("Settle on a full disk: %v", err)
		}
	}
	if first, err := q.(*queue).first(prefix(kindDelivered, 0), prefixEnd(prefix(kindDelivered, 0))); err != nil || first != nil {
		t.Errorf("delivered events are kept although there is no room: %q, %v", first, err)
	}
	if err := b.Sweep(); err != nil {
		t.Fatalf("making room: %v", err)
	}
	fs.free.Store(b.space.reserve() + 1)
	if err := b.Ready(); err == nil {
		t.Error("ready again with a single byte of room: want some distance")
	}
	fs.free.Store(50 << 20)
	if err := b.Ready(); err != nil {
		t.Errorf("Ready with room again: %v", err)
	}
	if _, err := q.Append(t.Context(), numbered(3)); err != nil {
		t.Errorf("Append with room again: %v", err)
	}
}

func TestFullDisk_dropsDeliveredEventsFirst(t *testing.T) {
	fs := &smallDisk{FS: vfs.NewMem()}
	fs.free.Store(90 << 20)
	b, q := openQueueAt(t, Options{FS: fs})
	if _, err := q.Append(t.Context(), numbered(0)); err != nil {
		t.Fatal(err)
	}
	d, err := q.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered}); err != nil {
		t.Fatal(err)
	}
	kept := func() bool {
		first, err := q.(*queue).first(prefix(kindDelivered, 0), prefixEnd(prefix(kindDelivered, 0)))
		if err != nil {
			t.Fatal(err)
		}
		return first != nil
	}
	if !kept() {
		t.Fatal("a delivered event is not kept although there is room")
	}
	fs.free.Store(b.space.reserve() + 1) // enough still, but hardly
	if err := b.Sweep(); err != nil {
		t.Fatal(err)
	}
	if kept() {
		t.Error("a delivered event is kept although there is hardly room")
	}
	if _, err := q.Append(t.Context(), numbered(1)); err != nil {
		t.Errorf("Append while there is room: %v", err)
	}
}

func TestMaxBytes(t *testing.T) {
	b, q := openQueueAt(t, Options{FS: vfs.NewMem(), MaxBytes: 16 << 20})
	refused := false
	for n := 0; n < 32<<10 && !refused; n++ {
		_, err := q.Append(t.Context(), numbered(n))
		if refused = errors.Is(err, buffer.ErrFull); !refused && err != nil {
			t.Fatal(err)
		}
	}
	if !refused {
		t.Fatal("32 MiB were stored in a buffer of 16")
	}
	if got := b.Bytes(); got > 16<<20 {
		t.Errorf("the buffer takes %d bytes, more than it may", got)
	}
}

func TestCorruptRecord_becomesADeadLetter(t *testing.T) {
	b, q := openQueueAt(t, Options{FS: vfs.NewMem()})
	for n := range 3 {
		if _, err := q.Append(t.Context(), numbered(n)); err != nil {
			t.Fatal(err)
		}
	}
	number := q.(*queue).number
	value, closer, err := b.db.Get(seqKey(kindPending, number, 2))
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte(nil), value...)
	damaged[len(damaged)/2] ^= 1
	if err := errors.Join(closer.Close(), b.db.Set(seqKey(kindPending, number, 2), damaged, pebble.Sync)); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 2} {
		d, err := q.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := numbered(n)[0].ID; d.Event.ID != want {
			t.Errorf("event %s is handed out, want number %d", d.Event.ID, n)
		}
		if err := q.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered}); err != nil {
			t.Fatal(err)
		}
	}
	if s := q.Stats(); s.Pending != 0 || s.Dead != 1 {
		t.Errorf("stats: %+v, want one dead letter", s)
	}
}

func TestOpen_newerFormat(t *testing.T) {
	fs := vfs.NewMem()
	b, err := Open(Options{Dir: "data", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.db.Set(keyFormat, uint64Value(formatVersion+1), pebble.Sync), b.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: "data", FS: fs}); err == nil || !strings.Contains(err.Error(), "format version 2") {
		t.Errorf("Open of a newer format: %v", err)
	}
}

func TestOpen_twice(t *testing.T) {
	dir := t.TempDir()
	b, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another receiver") {
		t.Errorf("second Open of a directory: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestOpen_damaged takes away the file that says which manifest counts: what is left must be refused, and not be made anew.
func TestOpen_damaged(t *testing.T) {
	fs := vfs.NewMem()
	b, err := Open(Options{Dir: "data", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := fs.List("data/buffer")
	if err != nil {
		t.Fatal(err)
	}
	before := 0
	for _, name := range names {
		if strings.HasPrefix(name, "marker.manifest") {
			if err := fs.Remove("data/buffer/" + name); err != nil {
				t.Fatal(err)
			}
			continue
		}
		before++
	}
	if _, err := Open(Options{Dir: "data", FS: fs}); err == nil {
		t.Fatal("a damaged buffer was opened")
	}
	if after, err := fs.List("data/buffer"); err != nil || len(after) != before {
		t.Errorf("files after the refusal: %q, %v; want the %d that were there", after, err, before)
	}
}

// TestDamagedTable flips a bit in a table on disk: the process must live, and other endpoints' events must flow.
func TestDamagedTable(t *testing.T) {
	fs := vfs.NewMem()
	b, err := Open(Options{Dir: "data", FS: fs, SweepInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	q, err := b.Queue("shop/orders", faultSettings)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		if _, err := q.Append(t.Context(), numbered(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(b.db.Flush(), b.Close()); err != nil {
		t.Fatal(err)
	}
	names, err := fs.List("data/buffer")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			flipMiddle(t, fs, "data/buffer/"+name)
		}
	}
	b, q = openQueueAt(t, Options{FS: fs})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for range 100 {
		d, err := q.Next(ctx)
		if err != nil {
			break // what cannot be read is not delivered
		}
		if err := q.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered}); err != nil {
			t.Fatal(err)
		}
	}
	other, err := b.Queue("shop/other", faultSettings)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Append(t.Context(), numbered(1)); err != nil {
		t.Fatalf("Append of another endpoint: %v", err)
	}
	d, err := other.Next(t.Context())
	if err != nil {
		t.Fatalf("Next of another endpoint: %v", err)
	}
	if err := other.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered}); err != nil {
		t.Fatalf("Settle of another endpoint: %v", err)
	}
}

// flipMiddle flips a bit in the middle of a file.
func flipMiddle(t *testing.T, fs *vfs.MemFS, name string) {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	out, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = out.Write(data)
	if err := errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestKeys(t *testing.T) {
	if got := prefixEnd([]byte{'p', 0xff, 0xff}); string(got) != "q" {
		t.Errorf("prefixEnd: %q, want %q", got, "q")
	}
	if got := prefixEnd([]byte{0xff}); got != nil {
		t.Errorf("prefixEnd of the last prefix: %q, want none", got)
	}
	if got := stamp(time.Unix(-1, 0)); got != 0 {
		t.Errorf("stamp before 1970: %d, want 0", got)
	}
	if _, ok := keyPart(seqKey(kindPending, 1, 7), 1); ok {
		t.Error("keyPart beyond the key: want none")
	}
}
