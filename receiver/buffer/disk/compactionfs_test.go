package disk

import (
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fullFS is a file system without room.
type fullFS struct{ vfs.FS }

func (f fullFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, category)
	return fullFile{file}, err
}

type fullFile struct{ vfs.File }

func (fullFile) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// newFullFS is a compactionFS without room, and how often a write waited for some.
func newFullFS(closed <-chan struct{}) (f *compactionFS, waited *int) {
	full := fullFS{vfs.NewMem()}
	waited = new(int)
	return &compactionFS{FS: vfs.OnDiskFull(full, func() { *waited++ }), raw: full, closed: closed}, waited
}

func write(t *testing.T, f *compactionFS, category vfs.DiskWriteCategory) {
	t.Helper()
	file, err := f.Create("table", category)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte("row")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write: %v, want ENOSPC", err)
	}
}

func TestCompactionFS_onlyCompactionsDoNotWaitForRoom(t *testing.T) {
	f, waited := newFullFS(nil)
	write(t, f, compactionCategory)
	if *waited != 0 {
		t.Error("a compaction waited for the room that it takes itself")
	}
	write(t, f, "pebble-memtable-flush")
	if *waited != 1 {
		t.Errorf("a flush waited %d times, want once", *waited)
	}
}

func TestCompactionFS_pausesAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan struct{})
		f, _ := newFullFS(closed)
		began := time.Now()
		write(t, f, compactionCategory)
		if took := time.Since(began); took != 0 {
			t.Errorf("the first compaction waited %v", took)
		}
		write(t, f, compactionCategory)
		if took := time.Since(began); took != compactionPause {
			t.Errorf("the next began after %v, want %v", took, compactionPause)
		}
		close(closed)
		write(t, f, compactionCategory)
		if took := time.Since(began); took != compactionPause {
			t.Error("a compaction paused although the buffer closes")
		}
	})
}
