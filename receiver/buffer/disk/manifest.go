package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The entries that a record of a manifest begins with, each a tag and a number, but for the first, which is a name.
const (
	tagComparer   = 1
	tagMinLog     = 2 // the first log that is not in the tables
	tagNextFile   = 3
	tagLast       = 4 // the last number of an entry that may be in the tables
	tagPrevLog    = 9
	tagDropTable  = 106
	tagBackTable  = 105
	firstEntry    = 10 // Pebble numbers entries from here on
	batchHeader   = 12
	batchSequence = 8
)

// lostEnd says whether a manifest ends before what was in it when the logs were written: entries are numbered without gaps, and the first log
// that it says is not in the tables goes on where those end. If it begins later, tables are missing from the manifest, or a log is. Nothing
// that a crash leaves does, since a log goes when a record of the manifest that says so is durable.
func lostEnd(fs vfs.FS, dir string) error {
	db, err := pebble.Peek(dir, fs)
	if err != nil || !db.Exists {
		return err
	}
	data, err := readFile(fs, db.ManifestFilename)
	if err != nil {
		return nil //nolint:nilerr // opening it says so
	}
	minLog, last, ok := endOfManifest(data)
	if !ok {
		return nil
	}
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	var logs []uint64
	for _, name := range names {
		digits, isLog := strings.CutSuffix(name, ".log")
		if n, err := strconv.ParseUint(digits, 10, 64); isLog && err == nil && n >= minLog {
			logs = append(logs, n)
		}
	}
	slices.Sort(logs)
	for _, n := range logs {
		name := fs.PathJoin(dir, fmt.Sprintf("%06d.log", n))
		data, err := readFile(fs, name)
		if err != nil {
			return nil //nolint:nilerr // opening it says so
		}
		first, ok := chunkAt(data, 0, uint32(n)) //nolint:gosec // chunks hold its low 32 bits
		if !ok || len(first.payload) < batchHeader {
			continue // nothing was written to it yet
		}
		if seq := binary.LittleEndian.Uint64(first.payload[:batchSequence]); seq > max(last+1, firstEntry) {
			return fmt.Errorf("%s has lost its end, or a log is missing: it knows what was stored up to entry %d, and %s begins at %d: %s",
				db.ManifestFilename, last, name, seq, withoutCopy)
		}
		return nil
	}
	return nil
}

// endOfManifest returns what the last records of a manifest say of the logs. False: it cannot be told.
func endOfManifest(data []byte) (minLog, last uint64, ok bool) {
	r := record.NewReader(bytes.NewReader(data), 0)
	for {
		next, err := r.Next()
		if err != nil {
			return minLog, last, ok
		}
		edit, err := io.ReadAll(next)
		if err != nil {
			return minLog, last, ok
		}
		log, seq, err := beginOfEdit(edit)
		if err != nil {
			return 0, 0, false
		}
		minLog, last, ok = max(minLog, log), max(last, seq), true
	}
}

// beginOfEdit reads what a record of a manifest begins with.
func beginOfEdit(edit []byte) (minLog, last uint64, err error) {
	r := bytes.NewReader(edit)
	for {
		tag, err := binary.ReadUvarint(r)
		if errors.Is(err, io.EOF) {
			return minLog, last, nil
		}
		if err != nil {
			return 0, 0, err
		}
		switch tag {
		case tagComparer, tagMinLog, tagNextFile, tagLast, tagPrevLog, tagDropTable, tagBackTable:
		default:
			return minLog, last, nil
		}
		n, err := binary.ReadUvarint(r)
		if err != nil {
			return 0, 0, err
		}
		switch tag {
		case tagComparer:
			_, err = io.CopyN(io.Discard, r, int64(min(n, uint64(len(edit))))) //nolint:gosec // bounded
		case tagMinLog:
			minLog = n
		case tagLast:
			last = n
		case tagBackTable:
			_, err = binary.ReadUvarint(r) // its size
		}
		if err != nil {
			return 0, 0, err
		}
	}
}
