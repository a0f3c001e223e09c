package disk

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestLostEnd cuts the end off a manifest, and then none of it: only the first is damage.
func TestLostEnd(t *testing.T) {
	whole, pending := manyTables(t)
	db, err := pebble.Peek("data/buffer", whole)
	if err != nil {
		t.Fatal(err)
	}
	data, err := readFile(whole, db.ManifestFilename)
	if err != nil {
		t.Fatal(err)
	}
	fs := whole.CrashClone(vfs.CrashCloneCfg{})
	_, q := openQueueAt(t, Options{FS: fs})
	if got := int(q.Stats().Pending); got != pending {
		t.Errorf("%d events pending of a sound buffer, want %d", got, pending)
	}
	refused := 0
	for size := 0; size < len(data); size += 37 {
		fs := whole.CrashClone(vfs.CrashCloneCfg{})
		cutShort(t, fs, db.ManifestFilename, size)
		before, err := fs.List("data/buffer")
		if err != nil {
			t.Fatal(err)
		}
		b, err := Open(Options{Dir: "data", FS: fs, SweepInterval: -1})
		if err == nil {
			// The logs have it all.
			n := 0
			it, err := b.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindPending}, UpperBound: []byte{kindPending + 1}})
			if err != nil {
				t.Fatal(err)
			}
			for ok := it.First(); ok; ok = it.Next() {
				n++
			}
			if err := it.Close(); err != nil || n != pending {
				t.Errorf("with a manifest of %d bytes of %d, there are %d events of %d, and nothing is said: %v", size, len(data), n, pending, err)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			continue
		}
		refused++
		if !strings.Contains(err.Error(), db.ManifestFilename) && !strings.Contains(err.Error(), "put back a copy") {
			t.Errorf("Open with a manifest of %d bytes of %d: %v", size, len(data), err)
		}
		if after, err := fs.List("data/buffer"); err != nil || len(after) != len(before) {
			t.Errorf("files after the refusal: %q, %v; want %q", after, err, before)
		}
	}
	if refused < 5 {
		t.Errorf("%d cuts are refused: the test does not test what it should", refused)
	}
}
