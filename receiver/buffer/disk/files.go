package disk

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// namesFile tells the queues' numbers and names once more, beside the database: a damaged block must not take all events' endpoint away.
const namesFile = "queues.json"

func readFile(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}

// writeFile replaces a file in one step, durably.
func writeFile(fs vfs.FS, name string, data []byte) error {
	draft := name + ".new"
	f, err := fs.Create(draft, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return errors.Join(fs.Rename(draft, name), syncDir(fs, fs.PathDir(name)))
}

func syncDir(fs vfs.FS, name string) error {
	dir, err := fs.OpenDir(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// readNames returns the names of the queues by their numbers, as far as they are known.
func (b *Buffer) readNames(o Options) map[uint32]string {
	names := map[uint32]string{}
	data, err := readFile(o.FS, o.FS.PathJoin(o.Dir, namesFile))
	if err == nil {
		err = json.Unmarshal(data, &names)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.log.Warn("Names of the buffer's queues cannot be read", "file", namesFile, "error", err)
	}
	return names
}

// writeNames keeps the names. They are needed only if the database is damaged: a failure is told and nothing more.
func (b *Buffer) writeNames() {
	names := map[uint32]string{}
	for _, q := range b.queues {
		names[q.number] = q.name
	}
	data, err := json.Marshal(names)
	if err == nil {
		err = writeFile(b.options.FS, b.options.FS.PathJoin(b.options.Dir, namesFile), data)
	}
	if err != nil {
		b.log.Warn("Names of the buffer's queues cannot be kept", "file", namesFile, "error", err)
	}
}

// checkFiles looks at the files that Pebble reads without doubting them. It takes a manifest that is damaged in its middle for one that ends
// there, and would then remove the tables that it does not know.
func (b *Buffer) checkFiles(o Options, dir string) error {
	db, err := pebble.Peek(dir, o.FS)
	if err != nil || !db.Exists {
		return err // nothing to look at: opening it says so
	}
	data, err := readFile(o.FS, db.ManifestFilename)
	if err != nil {
		return nil //nolint:nilerr // opening it says so
	}
	if at, ok := middleDamage(data); ok {
		return fmt.Errorf("%s is damaged at byte %d: %s", db.ManifestFilename, at, withoutCopy)
	}
	if db.OptionsFilename == "" {
		return nil
	}
	// This file only repeats what the program sets anyway.
	data, err = readFile(o.FS, db.OptionsFilename)
	if err != nil {
		return nil //nolint:nilerr // opening it says so
	}
	known := &pebble.Options{}
	known.EnsureDefaults()
	if err := known.CheckCompatibility(dir, string(data)); err != nil {
		b.log.Error("Buffer file is damaged and made anew: nothing is lost", "file", db.OptionsFilename, "error", err)
		return errors.Join(o.FS.Remove(db.OptionsFilename), syncDir(o.FS, dir))
	}
	return nil
}

// withoutCopy is what to do about damage that nothing can be saved from.
const withoutCopy = "put back a copy of the data directory; if there is none, move it away: the receiver starts with an empty one, and the events in the old one are lost"

// middleDamage returns where a manifest's first damaged record begins, if sound ones follow it. What is damaged at the end alone is a record
// that a crash cut off.
func middleDamage(data []byte) (at int64, damaged bool) {
	r := record.NewReader(bytes.NewReader(data), 0)
	for {
		at = r.Offset()
		next, err := r.Next()
		if err == nil {
			_, err = io.Copy(io.Discard, next)
		}
		if errors.Is(err, io.EOF) {
			return 0, false
		}
		if err != nil {
			_, found := nextChunk(data, int(at)+1, 0)
			return at, found
		}
	}
}

// The format of Pebble's logs: blocks of 32 KiB, chunks that do not cross them. A chunk is a checksum (4 bytes), a length (2) and a type (1), from
// type 5 on also the log's number (4), and from type 9 on an offset (8). Types count full, first, middle, last.
const (
	logBlock       = 32 << 10
	plainHeader    = 7
	numberedHeader = plainHeader + 4
	syncedHeader   = numberedHeader + 8
)

// chunk is a chunk of a log.
type chunk struct {
	at, end int
	place   byte   // 1 full, 2 first, 3 middle, 4 last
	synced  uint64 // up to where the log was durable when the chunk was written, if it tells
	payload []byte
}

// chunkAt reads the chunk at an offset, if there is a sound one. Number is the log's; 0: chunks have none.
func chunkAt(data []byte, at int, number uint32) (c chunk, ok bool) {
	if at+plainHeader > len(data) {
		return c, false
	}
	kind := data[at+6]
	header := plainHeader
	switch {
	case kind == 0 || kind > 12:
		return c, false
	case kind > 8:
		header = syncedHeader
	case kind > 4:
		header = numberedHeader
	}
	end := at + header + int(binary.LittleEndian.Uint16(data[at+4:]))
	if end > len(data) || end > at-at%logBlock+logBlock || kind > 4 && binary.LittleEndian.Uint32(data[at+plainHeader:]) != number {
		return c, false
	}
	sum := crc32.Checksum(data[at+6:end], castagnoli)
	if binary.LittleEndian.Uint32(data[at:]) != (sum>>15|sum<<17)+0xa282ead8 {
		return c, false
	}
	c = chunk{at: at, end: end, place: (kind-1)%4 + 1, payload: data[at+header : end]}
	if kind > 8 {
		c.synced = binary.LittleEndian.Uint64(data[at+numberedHeader:])
	}
	return c, true
}

// nextChunk finds the first sound chunk at or behind an offset.
func nextChunk(data []byte, from int, number uint32) (chunk, bool) {
	for at := from; at+plainHeader <= len(data); at++ {
		if c, ok := chunkAt(data, at, number); ok {
			return c, true
		}
	}
	return chunk{}, false
}

// gap says whether more is missing between two chunks than the zeros that fill a block up where no further header fits.
func gap(from, to int) bool {
	filled := to%logBlock == 0 && to-from < syncedHeader
	return to-from >= plainHeader && !filled
}

// soundRecords returns the records of a log that are whole.
func soundRecords(data []byte, number uint32) (records [][]byte) {
	var part []byte
	started := false
	for at := 0; ; {
		c, ok := nextChunk(data, at, number)
		if !ok {
			return records
		}
		if gap(at, c.at) {
			started = false
		}
		switch at = c.end; {
		case c.place == 1:
			records, started = append(records, c.payload), false
		case c.place == 2:
			part, started = append([]byte(nil), c.payload...), true
		case started:
			part = append(part, c.payload...)
			if c.place == 4 {
				records, started = append(records, part), false
			}
		}
	}
}

// provenDamage says whether a log is damaged where it was durable once: a later chunk tells how far that was. Pebble looks for such a chunk too,
// but not in the same block, and takes the rest of a block for torn.
func provenDamage(data []byte, number uint32) bool {
	for at, bad := 0, -1; ; {
		c, ok := nextChunk(data, at, number)
		if !ok {
			return false
		}
		if bad < 0 && gap(at, c.at) {
			bad = at
		}
		if bad >= 0 && c.synced > uint64(bad) {
			return true
		}
		at = c.end
	}
}

// mendLogs replaces the write-ahead logs that are damaged by their sound records, each after a call of before, and returns the last one's name.
func mendLogs(fs vfs.FS, dir string, before func(name string) error) (mended string, err error) {
	names, err := fs.List(dir)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		digits, isLog := strings.CutSuffix(name, ".log")
		number, err := strconv.ParseUint(digits, 10, 64)
		if !isLog || err != nil {
			continue
		}
		path := fs.PathJoin(dir, name)
		data, err := readFile(fs, path)
		if err != nil {
			return "", err
		}
		if !provenDamage(data, uint32(number)) { //nolint:gosec // chunks hold its low 32 bits
			continue
		}
		if err := before(path); err != nil {
			return "", err
		}
		if err := mendLog(fs, path, uint32(number)); err != nil { //nolint:gosec // as above
			return "", fmt.Errorf("%s is damaged and cannot be mended: %w", path, err)
		}
		mended = path
	}
	return mended, nil
}

// replaying finds the number of the log that Pebble could not replay, in the details of its error.
var replaying = regexp.MustCompile(`replaying wal (\d+), offset`)

// damagedLog returns the write-ahead log that an error is about.
func damagedLog(fs vfs.FS, dir string, err error) (name string, number uint32, ok bool) {
	var m []string
	for ; err != nil && m == nil; err = errors.Unwrap(err) {
		m = replaying.FindStringSubmatch(fmt.Sprintf("%+v", err))
	}
	if m == nil {
		return "", 0, false
	}
	n, err := strconv.ParseUint(m[1], 10, 64)
	if err != nil {
		return "", 0, false
	}
	return fs.PathJoin(dir, fmt.Sprintf("%06d.log", n)), uint32(n), true //nolint:gosec // chunks hold its low 32 bits
}

// mendLog replaces a write-ahead log by its sound records. Each is a batch of its own; the rescue that follows makes whole what depends on those
// that are missing.
func mendLog(fs vfs.FS, name string, number uint32) error {
	data, err := readFile(fs, name)
	if err != nil {
		return err
	}
	var sound bytes.Buffer
	w := record.NewWriter(&sound)
	for _, r := range soundRecords(data, number) {
		if _, err := w.WriteRecord(r); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return writeFile(fs, name, sound.Bytes())
}
