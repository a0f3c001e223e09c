package disk

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hookbay/hookbay/receiver/event"
)

// TestOpen_waitsForNoCompaction: however much there is to compact, a receiver that was killed takes callbacks at once.
func TestOpen_waitsForNoCompaction(t *testing.T) {
	for name, test := range map[string]struct {
		tables int
		waits  bool
	}{
		"a compaction is due":                        {tables: 30},
		"so much is due that writes would soon stop": {tables: 40, waits: true},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			b, _ := openQueueAt(t, Options{FS: fs})
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			pile(t, fs, test.tables)
			b, _ = openQueueAt(t, Options{FS: fs})
			if ran := b.db.Metrics().Compact.Count > 0; ran != test.waits {
				t.Errorf("compacted while it was opened: %t, want %t", ran, test.waits)
			}
			eventually(t, "what is due is made up for", func() bool {
				if err := errors.Join(b.db.Set(keySequence, uint64Value(1), pebble.Sync), b.db.Flush()); err != nil {
					t.Fatal(err)
				}
				return b.db.Metrics().Compact.Count > 0
			})
		})
	}
}

// pile leaves tables behind that lie above each other, and something in the log.
func pile(t *testing.T, fs vfs.FS, tables int) {
	t.Helper()
	db, err := pebble.Open("data/buffer", &pebble.Options{
		FS: fs, FormatMajorVersion: pebble.FormatNewest, DisableAutomaticCompactions: true, L0CompactionThreshold: 100, L0StopWritesThreshold: 100,
		Logger: logger{slog.New(slog.DiscardHandler), func(detail string) { t.Error(detail) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	last := event.ID{}
	for i := range last {
		last[i] = 0xff
	}
	for range tables {
		for _, id := range []event.ID{{}, last} {
			if err := db.Set(appendIdentityKey(nil, 1, 1, id), uint64Value(1), pebble.Sync); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Set(appendIdentityKey(nil, 1, 1, last), uint64Value(2), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTablesToCompact(t *testing.T) {
	for name, test := range map[string]struct {
		total uint64
		want  int
	}{
		"a disk whose size nobody knows": {0, 24},
		"a small disk":                   {128 << 20, 12},
		"a large disk":                   {10 << 30, 24},
	} {
		if got := (&space{total: test.total}).tablesToCompact(); got != test.want {
			t.Errorf("%s: %d tables at a time, want %d", name, got, test.want)
		}
	}
}
