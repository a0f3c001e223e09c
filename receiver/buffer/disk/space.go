package disk

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hookbay/hookbay/receiver/buffer"
)

const (
	// maxMemTableBytes is the usual size of a memtable and so of a write-ahead log: large enough that a flush is worth its syncs.
	maxMemTableBytes = 8 << 20
	minMemTableBytes = 512 << 10
	// maxReserveBytes bounds what is left free for settlements, flushes and compactions.
	maxReserveBytes = 512 << 20
	// freeInterval is how long the file system's answer about its free space is believed: far less than it takes to fill the reserve.
	freeInterval = 10 * time.Millisecond
	// roomPatience is how long writes wait for room when somebody else filled the file system. Longer than a log rotation or a clean-up
	// job; then the process ends and starts over, which also removes what the database no longer needs.
	roomPatience = 30 * time.Second
)

// space knows how much room there is. Append asks it before each commit.
type space struct {
	fs       vfs.FS
	dir      string
	maxBytes uint64
	total    uint64 // of the file system, or maxBytes if that is less; zero: unknown
	log      *slog.Logger
	closed   <-chan struct{}
	db       *pebble.DB

	freeInterval time.Duration // zero: every time
	mu           sync.Mutex
	asked        time.Time
	available    uint64
	known        bool

	used     atomic.Uint64 // by the buffer, as of the last refresh
	appended atomic.Uint64 // since then
	full     atomic.Bool   // Append refuses
	tight    atomic.Bool   // it soon will
}

func newSpace(o Options, closed <-chan struct{}) *space {
	s := &space{fs: o.FS, dir: o.Dir, log: o.Log, closed: closed}
	if o.MaxBytes > 0 {
		s.maxBytes = uint64(o.MaxBytes)
		s.total = s.maxBytes
	}
	if usage, err := s.fs.GetDiskUsage(s.dir); err == nil && (s.total == 0 || usage.TotalBytes < s.total) {
		s.total = usage.TotalBytes
	}
	return s
}

// memTableBytes is small on a small disk: the log and the flushes of a few memtables must fit into the reserve.
func (s *space) memTableBytes() uint64 {
	if s.total == 0 {
		return maxMemTableBytes
	}
	return min(max(s.total/64, minMemTableBytes), maxMemTableBytes)
}

// tablesToCompact is how many tables that lie above each other are compacted at a time. What is compacted is rewritten: waiting for more of them saves a
// twentieth to a tenth of all that is computed, and costs look-ups little, as filters spare them nearly all tables. On a small disk they would take too
// much of it.
func (s *space) tablesToCompact() int {
	if s.memTableBytes() < maxMemTableBytes {
		return 12
	}
	return 24
}

// reserve is what Append leaves free: a tenth of the disk, and at least the logs and flushes of all memtables.
func (s *space) reserve() uint64 {
	return max(min(s.total/10, maxReserveBytes), 8*s.memTableBytes())
}

// room returns nil if there is more than the reserve, else an error that wraps buffer.ErrFull and says how much is missing.
// It stays full until there is some more, so that it does not flap.
func (s *space) room() error {
	want := s.reserve()
	free, known := s.free()
	used := s.used.Load() + s.appended.Load()
	s.tight.Store(known && free < 2*want || s.maxBytes > 0 && used+2*want > s.maxBytes)
	if s.full.Load() {
		want += want / 4
	}
	switch {
	case s.maxBytes > 0 && used+want > s.maxBytes:
		s.full.Store(true)
		return fmt.Errorf("%w: it takes %d MiB of the %d MiB that it may take, and %d MiB are kept free; make it larger or let the target take events",
			buffer.ErrFull, used>>20, s.maxBytes>>20, want>>20)
	case known && free < want:
		s.full.Store(true)
		return fmt.Errorf("%w: the disk has %d MiB left and %d MiB are kept free; make it larger or let the target take events",
			buffer.ErrFull, free>>20, want>>20)
	}
	s.full.Store(false)
	return nil
}

// low says that what is kept only to look at should go. It says so well before Append has to refuse anything.
func (s *space) low() bool { return s.full.Load() || s.tight.Load() }

// free is the file system's free space, if it can tell.
func (s *space) free() (bytes uint64, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.freeInterval == 0 || now.Sub(s.asked) >= s.freeInterval {
		usage, err := s.fs.GetDiskUsage(s.dir)
		s.available, s.known, s.asked = usage.AvailBytes, err == nil, now
	}
	return s.available, s.known
}

// add counts what was appended, until the next refresh sees it.
func (s *space) add(bytes int) { s.appended.Add(uint64(max(bytes, 0))) } // not negative

// refresh reads how much the database takes.
func (s *space) refresh() {
	s.appended.Store(0)
	s.used.Store(s.db.Metrics().DiskSpaceUsage())
}

// waitForRoom is called by the file system layer when a write met a full disk, which the reserve avoids unless somebody else fills it. All
// writes wait until it returns, then the one that failed is made once more.
func (s *space) waitForRoom() {
	s.log.Error("Disk is full: waiting for room", "dir", s.dir, "patience", roomPatience)
	s.full.Store(true)
	deadline := time.NewTimer(roomPatience)
	defer deadline.Stop()
	check := time.NewTicker(100 * time.Millisecond)
	defer check.Stop()
	for {
		select {
		case <-check.C:
			if free, known := s.free(); !known || free > s.memTableBytes() {
				return
			}
		case <-deadline.C:
			return
		case <-s.closed:
			return
		}
	}
}
