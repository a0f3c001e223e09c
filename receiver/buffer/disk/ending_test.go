package disk

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// failing is a file system on which one operation that changes something fails: the one before which so many others passed.
func failing(fs vfs.FS, passing int64) (failing vfs.FS, struck *atomic.Bool) {
	struck = &atomic.Bool{}
	var seen atomic.Int64
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || seen.Add(1) != passing+1 {
			return nil
		}
		struck.Store(true)
		return syscall.EIO
	})), struck
}

// A disk that fails while the buffer is opened ends the process, or the start, and says what failed. Whatever it was, the next start finds everything.
func TestOpen_diskFails(t *testing.T) {
	mem := vfs.NewCrashableMem()
	const tables, each = 6, 5
	b, err := Open(Options{Dir: "data", FS: mem, MaxBytes: 32 << 20, SweepInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	q, err := b.Queue("shop/orders", faultSettings)
	if err != nil {
		t.Fatal(err)
	}
	for n := range tables * each {
		if _, err := q.Append(t.Context(), numbered(n)); err != nil {
			t.Fatal(err)
		}
		if n%each == 0 { // so that there is something to compact; the last few are in the log
			if err := b.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	ends := 0
	for n := int64(0); ; n++ {
		disk := mem.CrashClone(vfs.CrashCloneCfg{})
		fs, struck := failing(disk, n)
		ended, done := make(chan string, 1), make(chan error, 1)
		go func() {
			b, err := Open(Options{Dir: "data", FS: fs, MaxBytes: 32 << 20, SweepInterval: -1, Fatal: func(detail string) {
				ended <- detail
				select {}
			}})
			if err == nil {
				err = b.Close()
			}
			done <- err
		}()
		select {
		case detail := <-ended:
			if ends++; !strings.Contains(detail, syscall.EIO.Error()) {
				t.Errorf("operation %d: the end does not say what failed: %s", n, detail)
			}
		case err := <-done:
			if err != nil && !errors.Is(err, syscall.EIO) {
				t.Errorf("operation %d: %v", n, err)
			}
		}
		b, err := Open(Options{Dir: "data", FS: disk.CrashClone(vfs.CrashCloneCfg{}), SweepInterval: -1})
		if err != nil {
			t.Fatalf("operation %d: the next start: %v", n, err)
		}
		if got, _ := b.Peek("shop/orders"); got != (buffer.Stats{Pending: tables * each, Oldest: got.Oldest}) {
			t.Errorf("operation %d: the next start finds %+v", n, got)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if !struck.Load() {
			break
		}
	}
	if ends < 5 {
		t.Errorf("the process ended %d times: the test does not fail what it should", ends)
	}
}
