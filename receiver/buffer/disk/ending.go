package disk

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// endingFS ends the process at an I/O error that Pebble does not come back from in order. When it fails to open after it has flushed its log, it
// closes what its compactions and statistics still use, and those panic in goroutines of their own; when it cannot change to a new log, it panics
// in whatever goroutine that happens in. Neither says what failed. Ending at once does, and leaves what any crash leaves.
type endingFS struct {
	vfs.FS
	b      *Buffer
	opened atomic.Bool // from then on Pebble copes with tables that cannot be written: it makes others
}

// Create implements vfs.FS.
func (f *endingFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.wrap("create", name, false)(f.FS.Create(name, category))
}

// ReuseForWrite implements vfs.FS.
func (f *endingFS) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.wrap("create", to, false)(f.FS.ReuseForWrite(from, to, category))
}

// OpenDir implements vfs.FS.
func (f *endingFS) OpenDir(name string) (vfs.File, error) {
	return f.wrap("open", name, true)(f.FS.OpenDir(name))
}

// Rename implements vfs.FS.
func (f *endingFS) Rename(from, to string) error {
	return f.check("rename", to, false, f.FS.Rename(from, to))
}

// Unwrap is for Pebble, which looks for the file system beneath.
func (f *endingFS) Unwrap() vfs.FS { return f.FS }

func (f *endingFS) wrap(operation, name string, dir bool) func(vfs.File, error) (vfs.File, error) {
	return func(file vfs.File, err error) (vfs.File, error) {
		if err != nil {
			return nil, f.check(operation, name, dir, err)
		}
		return &endingFile{File: file, fs: f, name: name, dir: dir}, nil
	}
}

// check passes an error on, or does not return. After a failed sync of a directory nobody knows which names are durable, as after one of the log.
// A disk without room is waited for before that; what is left then is a log that cannot be written.
func (f *endingFS) check(operation, name string, dir bool, err error) error {
	isLog, opened := strings.HasSuffix(name, ".log"), f.opened.Load()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EIO) && (!opened || isLog || dir):
	case isLog && opened && !f.closing():
	default:
		return err
	}
	f.b.log.Error("Disk failed and the buffer stops the process: check the disk", "operation", operation, "file", name, "error", err)
	// In a goroutine of its own, where nothing of Pebble's recovers from a panic.
	go f.b.options.Fatal("the disk failed: " + operation + " " + name + ": " + err.Error())
	select {}
}

// closing says whether Close has been called: it returns what it meets.
func (f *endingFS) closing() bool {
	select {
	case <-f.b.closed:
		return true
	default:
		return false
	}
}

// endingFile is a file that is written, or a directory.
type endingFile struct {
	vfs.File
	fs   *endingFS
	name string
	dir  bool
}

// Write implements vfs.File.
func (f *endingFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.fs.check("write", f.name, f.dir, err)
}

// Sync implements vfs.File.
func (f *endingFile) Sync() error { return f.fs.check("sync", f.name, f.dir, f.File.Sync()) }

// SyncData implements vfs.File.
func (f *endingFile) SyncData() error { return f.fs.check("sync", f.name, f.dir, f.File.SyncData()) }

// SyncTo implements vfs.File.
func (f *endingFile) SyncTo(length int64) (full bool, err error) {
	full, err = f.File.SyncTo(length)
	return full, f.fs.check("sync", f.name, f.dir, err)
}
