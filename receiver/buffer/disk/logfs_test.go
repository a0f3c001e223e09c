package disk

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func logSize(t *testing.T, f vfs.File) int64 {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func writeLog(t *testing.T, f vfs.File, p []byte) {
	t.Helper()
	if n, err := f.Write(p); n != len(p) || err != nil {
		t.Fatalf("wrote %d of %d bytes: %v", n, len(p), err)
	}
}

func TestLogFS_fillsLogsAheadOfWhatIsWritten(t *testing.T) {
	mem := vfs.NewMem()
	f, err := logFS{FS: mem}.Create("1.log", logCategory)
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	grown := 0
	for n := range 2 * fillBytes / 1000 {
		before := logSize(t, f)
		p := bytes.Repeat([]byte{byte(n%255) + 1}, 1000)
		want = append(want, p...)
		writeLog(t, f, p) // which may change it
		if logSize(t, f) != before {
			grown++
		}
	}
	if grown != 2 {
		t.Errorf("the file grew %d times while twice as much was written as is filled at once, want 2", grown)
	}
	got := make([]byte, logSize(t, f))
	if _, err := f.ReadAt(got, 0); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if !bytes.Equal(got[:len(want)], want) {
		t.Error("the log does not hold what was written")
	}
	if len(bytes.Trim(got[len(want):], "\x00")) > 0 {
		t.Error("what was filled is not zero")
	}
}

func TestLogFS_anOldLogIsFilledOnlyBehindItsEnd(t *testing.T) {
	mem := vfs.NewMem()
	old, err := mem.Create("1.log", logCategory)
	if err != nil {
		t.Fatal(err)
	}
	writeLog(t, old, bytes.Repeat([]byte{7}, 3000))
	f, err := logFS{FS: mem}.ReuseForWrite("1.log", "2.log", logCategory)
	if err != nil {
		t.Fatal(err)
	}
	writeLog(t, f, make([]byte, 3000))
	if size := logSize(t, f); size != 3000 {
		t.Errorf("%d bytes, want the 3000 that were there", size)
	}
	writeLog(t, f, make([]byte, 1))
	if size := logSize(t, f); size != 3001+fillBytes {
		t.Errorf("%d bytes, want %d more", size, fillBytes)
	}
}

func TestLogFS_fillsNothingElse(t *testing.T) {
	f, err := logFS{FS: vfs.NewMem()}.Create("1.sst", compactionCategory)
	if err != nil {
		t.Fatal(err)
	}
	writeLog(t, f, []byte("row"))
	if size := logSize(t, f); size != 3 {
		t.Errorf("%d bytes, want 3", size)
	}
}

// cramped is a file that has room for writes but none for zeros.
type cramped struct {
	vfs.File
	tried int
}

func (c *cramped) WriteAt([]byte, int64) (int, error) {
	c.tried++
	return 0, syscall.ENOSPC
}

func TestLogFile_goesOnWhereItCannotBeFilled(t *testing.T) {
	file, err := vfs.NewMem().Create("1.log", logCategory)
	if err != nil {
		t.Fatal(err)
	}
	c := &cramped{File: file}
	f := &logFile{File: c}
	writeLog(t, f, []byte("one"))
	writeLog(t, f, []byte("two"))
	if c.tried != 1 {
		t.Errorf("tried to fill it %d times, want once", c.tried)
	}
}

func TestTablesByKind(t *testing.T) {
	_, q := openQueueAt(t, Options{FS: vfs.NewMem()})
	for n := range 50 {
		if _, err := q.Append(t.Context(), noisy(n)); err != nil {
			t.Fatal(err)
		}
	}
	db := q.(*queue).b.db //nolint:forcetypeassert // of this package
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	levels, err := db.SSTables()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[byte]bool{}
	for _, tables := range levels {
		for _, table := range tables {
			from, to := table.Smallest.UserKey[0], table.Largest.UserKey[0]
			kinds[from] = true
			if (from == kindPending || to == kindPending) && from != to {
				t.Errorf("a table holds the kinds %c to %c, want events on their own", from, to)
			}
		}
	}
	if !kinds[kindPending] || !kinds[kindIdentity] {
		t.Errorf("tables begin with %v, want events and identities", kinds)
	}
}

func TestLogFS_tellsHowLongSyncsTake(t *testing.T) {
	told := 0
	fs := logFS{FS: vfs.NewMem(), synced: func(took time.Duration) {
		if told++; took < 0 {
			t.Errorf("a sync took %s", took)
		}
	}}
	made, err := fs.Create("1.log", logCategory)
	if err != nil {
		t.Fatal(err)
	}
	reused, err := fs.ReuseForWrite("1.log", "2.log", logCategory)
	if err != nil {
		t.Fatal(err)
	}
	table, err := fs.Create("1.sst", compactionCategory)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []vfs.File{made, reused, table} {
		if err := f.SyncData(); err != nil {
			t.Fatal(err)
		}
	}
	if told != 2 {
		t.Errorf("told of %d syncs, want 2: one of each log, and none of the table", told)
	}
}
