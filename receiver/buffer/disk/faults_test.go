package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

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

// TestDamagedTable flips a bit in a table on disk: the process ends when it shows, and the next start has all that is not in the damaged block,
// in order, and never what is.
func TestDamagedTable(t *testing.T) {
	fs := vfs.NewCrashableMem()
	b, err := Open(Options{Dir: "data", FS: fs, SweepInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	q, err := b.Queue("shop/orders", faultSettings)
	if err != nil {
		t.Fatal(err)
	}
	const events = 200
	for n := range events {
		if _, err := q.Append(t.Context(), noisy(n)); err != nil {
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
	largest, size := "", int64(0) // the one with the events: what a start must read is elsewhere
	for _, name := range names {
		info, err := fs.Stat("data/buffer/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".sst") && info.Size() > size {
			largest, size = name, info.Size()
		}
	}
	flipMiddle(t, fs, "data/buffer/"+largest)
	flip(t, fs, "data/buffer/"+largest, func(size int) int { return size/2 + 1 }) // one alone could be put right
	fs = endedByDamage(t, fs)
	var log strings.Builder
	var reads []int64 // of the damaged table
	counting := errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileReadAt && op.Path == "data/buffer/"+largest {
			reads = append(reads, op.Offset)
		}
		return nil
	}))
	_, q = openQueueAt(t, Options{FS: counting, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if times := timesRead(reads, size/2); times != 1 {
		t.Errorf("the damaged block was read %d times, want once: each time costs", times)
	}
	last, got := -1, 0
	for range q.Stats().Pending {
		d, err := q.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n := int(d.Event.Body[0])
		if want := noisy(n)[0]; n <= last || d.Event.ID != want.ID || !bytes.Equal(d.Event.Body, want.Body) {
			t.Errorf("event %d after %d is not what was stored, or not in order", n, last)
		}
		last, got = n, got+1
		if err := q.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered}); err != nil {
			t.Fatal(err)
		}
	}
	if got < events-20 || got == events {
		t.Errorf("%d of %d events were saved: want all but those of one block", got, events)
	}
	if want := fmt.Sprintf("saved=%d lost=%d", got, events-got); !strings.Contains(log.String(), want) {
		t.Errorf("the log does not say %q:\n%s", want, log.String())
	}
	if names, err := fs.List("data"); err != nil || slices.Contains(names, damageMark) || !slices.Contains(names, keptName) {
		t.Errorf("files after the rescue: %q, %v", names, err)
	}
}

// timesRead is how often the block was read that holds a place: the one that begins last before it.
func timesRead(reads []int64, place int64) (times int) {
	block := int64(0)
	for _, at := range reads {
		if at <= place {
			block = max(block, at)
		}
	}
	for _, at := range reads {
		if at == block {
			times++
		}
	}
	return times
}

// endedByDamage reads events until the process ends, and returns what it leaves.
func endedByDamage(t *testing.T, fs *vfs.MemFS) *vfs.MemFS {
	t.Helper()
	ended := make(chan string, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b, err := Open(Options{Dir: "data", FS: fs, SweepInterval: -1, Fatal: func(detail string) {
			ended <- detail
			runtime.Goexit()
		}})
		if err != nil {
			t.Error(err)
			return
		}
		it, err := b.db.NewIter(nil)
		if err != nil {
			t.Error(err)
			return
		}
		for ok := it.First(); ok; ok = it.Next() {
		}
		t.Errorf("nothing is damaged: %v", it.Close())
	}()
	<-done
	select {
	case detail := <-ended:
		if !strings.Contains(detail, ".sst") {
			t.Errorf("the end does not name the file: %s", detail)
		}
	default:
		t.Fatal("the process did not end")
	}
	return fs.CrashClone(vfs.CrashCloneCfg{})
}

// noisy is an event of 1 KiB that does not compress.
func noisy(n int) []event.Event {
	e := numbered(n)[0]
	random := rand.New(rand.NewPCG(1, uint64(n))) // a repeatable test
	for i := range e.Body {
		e.Body[i] = byte(random.Uint32())
	}
	e.Body[0] = byte(n)
	return []event.Event{e}
}

// TestDamagedLog flips a bit in the middle of the write-ahead log: what is sound around it is saved.
func TestDamagedLog(t *testing.T) {
	fs := vfs.NewCrashableMem()
	b, q := openQueueAt(t, Options{FS: fs})
	_ = b
	const events = 50
	for n := range events {
		if _, err := q.Append(t.Context(), noisy(n)); err != nil {
			t.Fatal(err)
		}
	}
	fs = fs.CrashClone(vfs.CrashCloneCfg{})
	names, err := fs.List("data/buffer")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			flipMiddle(t, fs, "data/buffer/"+name)
		}
	}
	_, q = openQueueAt(t, Options{FS: fs})
	if s := q.Stats(); s.Pending != events-1 {
		t.Errorf("%d events pending, want all %d but the damaged one", s.Pending, events)
	}
}

// TestSoundLog writes logs whose blocks end with many numbers of bytes that no chunk fits in: they are not damaged.
func TestSoundLog(t *testing.T) {
	fs := vfs.NewCrashableMem()
	_, q := openQueueAt(t, Options{FS: fs})
	const events = 5000 // 5 MiB: as many blocks as it takes
	for n := range events {
		e := numbered(n)
		e[0].Body = make([]byte, n%2000)
		if _, err := q.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	mended, err := mendLogs(crashed, "data/buffer", func(string) error { return nil })
	if err != nil || mended != "" {
		t.Errorf("a log that is sound is mended: %q, %v", mended, err)
	}
	_, q = openQueueAt(t, Options{FS: crashed})
	if s := q.Stats(); s.Pending != events {
		t.Errorf("%d events pending, want all %d", s.Pending, events)
	}
}

// TestDamagedManifest flips a bit at the beginning of the manifest, which Pebble itself would take for its end.
func TestDamagedManifest(t *testing.T) {
	fs := vfs.NewMem()
	b, err := Open(Options{Dir: "data", FS: fs, SweepInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.db.Flush(), b.Close()); err != nil {
		t.Fatal(err)
	}
	db, err := pebble.Peek("data/buffer", fs)
	if err != nil {
		t.Fatal(err)
	}
	flip(t, fs, db.ManifestFilename, func(size int) int { return min(10, size-1) })
	if _, err := Open(Options{Dir: "data", FS: fs}); err == nil || !strings.Contains(err.Error(), db.ManifestFilename) || !strings.Contains(err.Error(), "put back a copy") {
		t.Errorf("Open with a damaged manifest: %v", err)
	}
}

// TestDamagedOptions makes an OPTIONS file unreadable, which holds nothing that the program does not know.
func TestDamagedOptions(t *testing.T) {
	fs := vfs.NewMem()
	b, err := Open(Options{Dir: "data", FS: fs, SweepInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := pebble.Peek("data/buffer", fs)
	if err != nil {
		t.Fatal(err)
	}
	flip(t, fs, db.OptionsFilename, func(int) int { return 0 })
	openQueueAt(t, Options{FS: fs})
}

// flipMiddle flips a bit in the middle of a file, or of what is written of a log.
func flipMiddle(t *testing.T, fs *vfs.MemFS, name string) {
	t.Helper()
	flip(t, fs, name, func(size int) int { return size / 2 })
}

// flip flips a bit. The size is without the zeros at the end.
func flip(t *testing.T, fs *vfs.MemFS, name string, at func(size int) int) {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	data[at(len(bytes.TrimRight(data, "\x00")))] ^= 1
	out, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = out.Write(data)
	if err := errors.Join(err, out.Sync(), out.Close(), syncDir(fs, fs.PathDir(name))); err != nil {
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
