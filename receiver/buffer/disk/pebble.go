package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/time/rate"
)

// cacheBytes bounds the memory for memtables, which Pebble takes out of the cache, and for blocks read back from disk. What is left for blocks must
// hold the indexes and filters: with those in memory, the look-up of a new event's identity hardly ever reads the disk. More would fill with events,
// which are read once, and leave the garbage collector less room: without cgo, all of this is in Go's heap.
const cacheBytes = 40 << 20

// pebbleOptions sizes the database for a pod of 256 MiB, whatever the backlog.
func pebbleOptions(o Options, s *space) *pebble.Options {
	opts := &pebble.Options{
		FS:                 &compactionFS{FS: vfs.OnDiskFull(logFS{o.FS, o.Synced}, s.waitForRoom), raw: o.FS, closed: s.closed},
		FormatMajorVersion: pebble.FormatNewest,
		CacheSize:          cacheBytes,
		MemTableSize:       s.memTableBytes(),
		// Two to write to while two are flushed: enough for a burst, and still bounded.
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       2 * s.tablesToCompact(), // Pebble counts each table that lies above another twice
		L0StopWritesThreshold:       3 * s.tablesToCompact(), // here once
		// One core at most: the hot path needs the others.
		CompactionConcurrencyRange: func() (lower, upper int) { return 1, 1 },
		MaxOpenFiles:               512,
		Logger:                     logger{o.Log, o.Fatal},
		// It was made by then. One that is damaged must not be taken for an empty one, and overwritten.
		ErrorIfNotExists: true,
		EventListener:    listener(o.Log),
	}
	opts.Experimental.SpanPolicyFunc = tablesByKind
	// See compactions.
	opts.Experimental.L0CompactionConcurrency = opts.L0StopWritesThreshold / 2
	opts.Experimental.CompactionDebtConcurrency = math.MaxUint64
	opts.Experimental.CompactionGarbageFractionForMaxConcurrency = func() float64 { return 0 }
	opts.TargetFileSizes[0] = int64(s.memTableBytes()) //nolint:gosec // a few MiB: one table of each kind, and no more, for a flush
	for i := range opts.Levels {
		// Most look-ups are for what is not there: an identity that is new, a lane that is idle.
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		// One level of index for each table, and fewer and larger blocks to look up: identities are read one by one, events in sequence.
		opts.Levels[i].BlockSize = 16 << 10
		opts.Levels[i].IndexBlockSize = 256 << 10
	}
	return opts
}

// compactions is how many compactions may run: one, but none while the database is opened. Opening would wait for it, for seconds where much is
// stored, and callbacks with it. What is due then begins with the first flush. Each start adds a table: where half as many lie above each other as stop
// all writes, so that a receiver was killed again and again, opening does wait.
func (b *Buffer) compactions() (lower, upper int) {
	if b.running.Load() {
		return 1, 1
	}
	return 0, 1
}

// tablesByKind has entries that are large and whose keys only grow, which are events, written to tables of their own. Such tables hardly overlap, so
// that compactions have no reason to rewrite them. Together with identities, whose keys are all over the place, each would be rewritten with those.
func tablesByKind(start []byte) (policy pebble.SpanPolicy, end []byte, err error) {
	for _, kind := range []byte{kindDelivered, kindPending} {
		for _, end := range [][]byte{{kind}, {kind + 1}} {
			if bytes.Compare(start, end) < 0 {
				return pebble.SpanPolicy{}, end, nil
			}
		}
	}
	return pebble.SpanPolicy{}, nil, nil
}

// listener logs what goes wrong in the background. Pebble tries again at once and would say it thousands of times a second.
func listener(log *slog.Logger) *pebble.EventListener {
	failed, corrupt := rate.Sometimes{Interval: 5 * time.Second}, rate.Sometimes{Interval: 5 * time.Second}
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			failed.Do(func() { log.Error("Buffer failed in the background and tries again", "error", err.Error()) })
		},
		// Without this the process would end, and at each start again: what can be read is still delivered.
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			corrupt.Do(func() {
				log.Error("Buffer file is damaged: events in it cannot be delivered; put back a copy of the file, or drain the others and use a new data directory",
					"file", info.Path)
			})
		},
		DiskSlow: func(info pebble.DiskSlowInfo) {
			log.Warn("Disk is slow", "operation", info.OpType.String(), "duration", info.Duration)
		},
	}
}

// create makes an empty database unless there is one, and returns where it is. It is made under another name and renamed when it
// is whole, because one that a crash left half-made could not be opened, and nobody could tell whether it ever held anything.
func create(o Options) (dir string, err error) {
	dir = o.FS.PathJoin(o.Dir, "buffer")
	if _, err := o.FS.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	draft := o.FS.PathJoin(o.Dir, "buffer.new")
	if err := o.FS.RemoveAll(draft); err != nil {
		return "", err
	}
	// Pebble makes the directories above and syncs those too.
	db, err := pebble.Open(draft, &pebble.Options{FS: o.FS, FormatMajorVersion: pebble.FormatNewest, MemTableSize: minMemTableBytes, Logger: logger{o.Log, o.Fatal}})
	if err != nil {
		return "", err
	}
	if err := db.Set(keyFormat, uint64Value(formatVersion), pebble.Sync); err != nil {
		return "", errors.Join(err, db.Close())
	}
	if err := db.Close(); err != nil {
		return "", err
	}
	if err := o.FS.Rename(draft, dir); err != nil {
		return "", err
	}
	parent, err := o.FS.OpenDir(o.Dir)
	if err != nil {
		return "", err
	}
	return dir, errors.Join(parent.Sync(), parent.Close())
}

// logger hands Pebble's own messages on.
type logger struct {
	log   *slog.Logger
	fatal func(detail string)
}

// Infof drops the message: it is about every flush and compaction.
func (logger) Infof(string, ...any) {}

// Errorf logs an error.
func (l logger) Errorf(format string, args ...any) {
	l.log.Error("Buffer reports an error", "detail", fmt.Sprintf(format, args...))
}

// Fatalf ends the process, as Pebble demands when the log can no longer be written: going on would acknowledge what is not durable. A restart
// recovers all that was acknowledged.
func (l logger) Fatalf(format string, args ...any) {
	detail := fmt.Sprintf(format, args...)
	l.log.Error("Buffer cannot go on and stops the process: check the disk", "detail", detail)
	l.fatal(detail)
}
