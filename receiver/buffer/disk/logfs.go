package disk

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// logCategory is what Pebble calls its write-ahead logs.
	logCategory vfs.DiskWriteCategory = "pebble-wal"
	// fillBytes is how far ahead of its end a log is filled with zeros. Their own write is spread over that many bytes of events.
	fillBytes = 256 << 10
)

// zeros is never written to.
var zeros [fillBytes]byte

// logFS fills new logs with zeros ahead of what is written. A durable write to what a file has already is one write of the device. One that makes
// the file longer, or goes where room was only reserved, makes the file system write down the file's new shape, too: half as much time again on a
// fast disk, and twice the time where each write is a trip through the network. Logs are used again, so that only the first few have to be filled.
//
// It also tells how long the syncs of logs take, which is what acknowledgements and settlements wait for.
type logFS struct {
	vfs.FS
	synced func(took time.Duration) // nil: nobody is told
}

// Create makes a file.
func (f logFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, category)
	if err != nil || category != logCategory {
		return file, err
	}
	return &logFile{File: file, synced: f.synced}, nil
}

// ReuseForWrite makes a new log of an old one, whose bytes are there already.
func (f logFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(oldname, newname, category)
	if err != nil || category != logCategory {
		return file, err
	}
	log := &logFile{File: file, synced: f.synced}
	if info, err := file.Stat(); err == nil {
		log.filled = info.Size()
	}
	return log, nil
}

// Unwrap returns the file system beneath, as Pebble expects of its wrappers.
func (f logFS) Unwrap() vfs.FS { return f.FS }

// logFile is a log that is written from its beginning to its end.
type logFile struct {
	vfs.File
	written, filled int64 // bytes
	unfilled        bool  // no more is filled
	synced          func(took time.Duration)
}

// SyncData makes the log durable. A sync that fails is not told of: it ends the process.
func (f *logFile) SyncData() error {
	began := time.Now()
	err := f.File.SyncData()
	if err == nil && f.synced != nil {
		f.synced(time.Since(began))
	}
	return err
}

// Write appends to the log.
func (f *logFile) Write(p []byte) (int, error) {
	if end := f.written + int64(len(p)); end > f.filled && !f.unfilled {
		f.fill(end)
	}
	n, err := f.File.Write(p)
	f.written += int64(n)
	return n, err
}

// fill writes zeros from the end of the write that follows. If it fails, on a full disk, the log goes on without: what is written next says
// what is wrong.
func (f *logFile) fill(from int64) {
	n, err := f.WriteAt(zeros[:], from)
	f.filled, f.unfilled = from+int64(n), err != nil
}
