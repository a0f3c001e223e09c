package disk

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
	"path"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// mendedFS shows a damaged database with the tables that were mended in the place of those that are damaged or missing. The old ones stay as they
// are.
type mendedFS struct {
	vfs.FS
	dir    string            // of the database
	mended map[string]string // where the mended ones are, by the tables' names
}

func (f *mendedFS) where(name string) string {
	if to, ok := f.mended[f.PathBase(name)]; ok && f.PathDir(name) == path.Clean(f.dir) {
		return to
	}
	return name
}

// Open implements vfs.FS.
func (f *mendedFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.FS.Open(f.where(name), opts...)
}

// Stat implements vfs.FS.
func (f *mendedFS) Stat(name string) (vfs.FileInfo, error) { return f.FS.Stat(f.where(name)) }

// List implements vfs.FS.
func (f *mendedFS) List(dir string) ([]string, error) {
	names, err := f.FS.List(dir)
	if err == nil && path.Clean(dir) == path.Clean(f.dir) {
		for name := range f.mended {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, err
}

// Unwrap is for Pebble, which looks for the file system beneath.
func (f *mendedFS) Unwrap() vfs.FS { return f.FS }

// mendingFile is a table that may be damaged. A bit that flipped is put right, as the checksum tells which one it is. Other blocks with a wrong checksum
// fail here and not in Pebble, which would search them each time, for a good part of a second. And it tells which block failed.
type mendingFile struct {
	vfs.File
	name   string
	size   int64
	footer int            // the bit of the footer that is taken for flipped, counted from 1 at the end of the file
	fixed  bool           // some bit was put right
	last   int64          // where the last block begins that failed
	bad    map[int64]bool // where blocks begin that are known to
}

// footerBits is how many bits at the end of a table no block's checksum covers.
const footerBits = 64 * 8

// ReadAt implements vfs.File. It is asked for whole blocks and the footer.
func (f *mendingFile) ReadAt(p []byte, at int64) (int, error) {
	if !f.bad[at] {
		n, err := f.File.ReadAt(p, at)
		end := at + int64(len(p))
		switch {
		case err != nil && end <= f.size:
			return n, err
		case err == nil && end == f.size:
			if back := (f.footer + 7) / 8; f.footer > 0 && back <= n {
				p[n-back] ^= 1 << (f.footer % 8)
			}
			return n, nil
		case err == nil && soundBlock(p):
			return n, nil
		case err == nil && fixBit(p):
			f.fixed = true
			return n, nil
		}
		f.bad[at] = true // it is damaged, or said to be where the file has nothing
	}
	f.last = at
	return 0, fmt.Errorf("%s at %d: %w", f.name, at, errCorrupt)
}

// soundBlock says whether a block of a table ends with its checksum.
func soundBlock(p []byte) bool {
	if len(p) < 4 {
		return true
	}
	return binary.LittleEndian.Uint32(p[len(p)-4:]) == masked(crc32.Checksum(p[:len(p)-4], castagnoli))
}

// checksumOffset is what Pebble adds to a checksum that it has rotated.
const checksumOffset = 0xa282ead8

func masked(sum uint32) uint32 { return bits.RotateLeft32(sum, -15) + checksumOffset }

// fixBit puts the one bit right that a block's checksum says is wrong, if there is one. What a bit contributes to the checksum depends on nothing but
// its distance to the end.
func fixBit(p []byte) bool {
	body, stored := p[:len(p)-4], binary.LittleEndian.Uint32(p[len(p)-4:])
	sum := crc32.Checksum(body, castagnoli)
	if bits.OnesCount32(masked(sum)^stored) == 1 {
		binary.LittleEndian.PutUint32(p[len(p)-4:], masked(sum))
		return true
	}
	wrong := sum ^ bits.RotateLeft32(stored-checksumOffset, 15)
	var parts [8]uint32
	for bit := range parts {
		parts[bit] = castagnoli[1<<bit]
	}
	for i := len(body) - 1; i >= 0; i-- {
		for bit, part := range parts {
			if part == wrong {
				body[i] ^= 1 << bit
				return true
			}
			parts[bit] = castagnoli[byte(part&0xff)] ^ part>>8
		}
	}
	return false
}
