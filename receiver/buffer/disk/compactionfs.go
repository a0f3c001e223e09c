package disk

import (
	"errors"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// compactionCategory is what Pebble calls the files that a compaction writes.
	compactionCategory vfs.DiskWriteCategory = "pebble-compaction"
	// compactionPause is how long no compaction begins after one that found no room. Deliveries and retention make some meanwhile.
	compactionPause = 2 * time.Second
)

// compactionFS lets a compaction that meets a full disk fail at once, where all other writes wait for room. A compaction needs as much room
// as the tables that it merges, which can be more than the reserve. If it waited with everybody else, all would wait for the room that it
// has taken itself, and that only its end gives back: Pebble then removes what it had written, and tries again.
type compactionFS struct {
	vfs.FS        // whose writes wait for room
	raw    vfs.FS // whose writes fail
	closed <-chan struct{}
	resume atomic.Int64 // when compactions may begin again, in Unix nanoseconds
}

// Create makes a file. Its category says who will write to it.
func (f *compactionFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if category != compactionCategory {
		return f.FS.Create(name, category)
	}
	f.pause()
	file, err := f.raw.Create(name, category)
	if err != nil {
		return nil, f.seen(err)
	}
	return &compactionFile{File: file, fs: f}, nil
}

// Unwrap is for Pebble, which looks for the file system beneath.
func (f *compactionFS) Unwrap() vfs.FS { return f.FS }

// pause waits until a compaction may begin.
func (f *compactionFS) pause() {
	wait := time.NewTimer(time.Until(time.Unix(0, f.resume.Load())))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-f.closed:
	}
}

// seen passes an error on and notes whether the disk is full.
func (f *compactionFS) seen(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		f.resume.Store(time.Now().Add(compactionPause).UnixNano())
	}
	return err
}

// compactionFile is a file that a compaction writes.
type compactionFile struct {
	vfs.File
	fs *compactionFS
}

// Write writes, and fails if the disk is full.
func (f *compactionFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.fs.seen(err)
}

// Preallocate asks for room.
func (f *compactionFile) Preallocate(offset, length int64) error {
	return f.fs.seen(f.File.Preallocate(offset, length))
}

// Sync makes what was written durable.
func (f *compactionFile) Sync() error { return f.fs.seen(f.File.Sync()) }

// SyncData is Sync without the metadata.
func (f *compactionFile) SyncData() error { return f.fs.seen(f.File.SyncData()) }
