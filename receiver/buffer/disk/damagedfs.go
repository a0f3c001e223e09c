package disk

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// damagedFS spares a rescue most of its time. Whenever a block's checksum is wrong, Pebble looks for the bit that flipped, for a good part of a
// second; and the search for the end of a damaged place reads the same block a dozen times. What Pebble has once found damaged fails at once here.
type damagedFS struct {
	vfs.FS

	mu   sync.Mutex
	last place // the last block with a wrong checksum
	bad  map[place]bool
}

// place is where a block of a file begins.
type place struct {
	name string
	at   int64
}

// Open implements vfs.FS.
func (f *damagedFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, opts...)
	if err != nil {
		return nil, err
	}
	return &damagedFile{File: file, fs: f, name: name}, nil
}

// Unwrap is for Pebble, which looks for the file system beneath.
func (f *damagedFS) Unwrap() vfs.FS { return f.FS }

// found is told by Pebble of what it found damaged, right after it read that.
func (f *damagedFS) found(info pebble.DataCorruptionInfo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last.name == info.Path {
		f.bad[f.last] = true
	}
}

// damagedFile is a file that is read.
type damagedFile struct {
	vfs.File
	fs   *damagedFS
	name string
}

// ReadAt implements vfs.File.
func (f *damagedFile) ReadAt(p []byte, at int64) (int, error) {
	here := place{f.name, at}
	f.fs.mu.Lock()
	bad := f.fs.bad[here]
	f.fs.mu.Unlock()
	if bad {
		return 0, fmt.Errorf("%s at %d: %w", f.name, at, errCorrupt)
	}
	n, err := f.File.ReadAt(p, at)
	if err == nil && !soundBlock(p) {
		f.fs.mu.Lock()
		f.fs.last = here
		f.fs.mu.Unlock()
	}
	return n, err
}

// soundBlock says whether a block of a table ends with its checksum.
func soundBlock(p []byte) bool {
	if len(p) < 4 {
		return true
	}
	sum := crc32.Checksum(p[:len(p)-4], castagnoli)
	return binary.LittleEndian.Uint32(p[len(p)-4:]) == (sum>>15|sum<<17)+0xa282ead8
}
