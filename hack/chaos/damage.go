package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	logs "github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// damage crashes the receiver, harms one of its files while it is down, and starts it again. It must come up, or say which file is harmed:
// then the operator puts back a copy, and nothing at all may be lost.
func (s *story) damage(class string) error {
	l := s.live
	s.crashSoon(l, pick(s.random, 0, 100))
	whole := l.after
	harmed := whole.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: l.random})
	name, err := s.harm(harmed, class)
	if err != nil {
		return err
	}
	if name == "" {
		return s.again(l)
	}
	s.count(class, name)
	s.log.note("STORY harmed " + name)
	next := s.newLife(harmed)
	err = next.start()
	switch {
	case err == nil:
		s.enter(next)
		return nil
	case class == classTorn && s.model.damaged && errors.Is(err, errDied):
		return s.again(next) // the start found what an earlier step has damaged, and ended for the next one to save it
	case class == classTorn:
		return fmt.Errorf("life %d does not start on %s with a torn tail: %w", next.number, name, err)
	}
	s.count(effectRefuse, "")
	s.log.note("STORY refused: " + err.Error())
	if base := name[strings.LastIndexByte(name, '/')+1:]; !errors.Is(err, errDied) && !strings.Contains(err.Error(), base) {
		s.model.complain("%s is harmed, and the receiver does not say so: %v", name, err)
	}
	s.count(effectCopy, "")
	next.crash(100)
	return s.begin(s.newLife(whole))
}

// harm changes a file of a kind that the seed draws, and returns its name; empty: there was none.
func (s *story) harm(fs *vfs.MemFS, class string) (string, error) {
	kinds := []fileKind{fileWAL, fileTable, fileTable, fileManifest, fileOptions, fileMarker, fileBlob}
	switch class {
	case classTorn:
		kinds = []fileKind{fileWAL, fileManifest} // the files that grow
	case classCut:
		// A log that has lost its end, although that was synced, looks as after a power loss: nobody can tell.
		kinds = []fileKind{fileTable, fileTable, fileOptions, fileMarker, fileBlob}
	}
	dir := fs.PathJoin(dataDir, "buffer")
	names, err := fs.List(dir)
	if err != nil {
		return "", err
	}
	for _, i := range s.random.Perm(len(kinds)) {
		var some []string
		for _, n := range names {
			if kindOf(n) == kinds[i] {
				some = append(some, n)
			}
		}
		if len(some) == 0 {
			continue
		}
		name := fs.PathJoin(dir, pick(s.random, some...))
		if class == classTorn { // only the newest grows
			name = fs.PathJoin(dir, newest(some))
		}
		changed, err := s.rewrite(fs, name, class)
		if changed || err != nil {
			return name, err
		}
	}
	return "", nil
}

// newest is the name with the highest number.
func newest(names []string) string {
	last := names[0]
	for _, n := range names {
		if len(n) > len(last) || len(n) == len(last) && n > last {
			last = n
		}
	}
	return last
}

func (s *story) rewrite(fs *vfs.MemFS, name, class string) (bool, error) {
	f, err := fs.Open(name)
	if err != nil {
		return false, err
	}
	data, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return false, err
	}
	switch {
	case class == classTorn:
		// A write that the power cut off: its beginning, and whatever was on the disk before.
		tail := make([]byte, 1+s.random.IntN(200))
		for i := range tail {
			tail[i] = byte(s.random.Uint32()) & pick[byte](s.random, 0, 255) //nolint:gosec // noise
		}
		end := min(endOfRecords(data, name), len(data)) // behind which a log is filled with zeros, or with what it was before
		data = append(data[:end:end], append(tail, data[min(end+len(tail), len(data)):]...)...)
	case len(data) == 0:
		return false, nil
	case class == classCut:
		data = data[:s.random.IntN(len(data))]
	default:
		reach := len(data)
		if k := kindOf(name); k == fileWAL || k == fileManifest {
			if reach = lastRecord(data, name); reach == 0 { // which, damaged, looks as if it was torn
				return false, nil
			}
		}
		for range 1 + s.random.IntN(3) {
			data[s.random.IntN(reach)] ^= byte(1 + s.random.IntN(255)) //nolint:gosec // below 256
		}
	}
	out, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return false, err
	}
	if _, err := out.Write(data); err != nil {
		return false, err
	}
	dir, err := fs.OpenDir(fs.PathDir(name))
	if err != nil {
		return false, err
	}
	return true, errors.Join(out.Sync(), out.Close(), dir.Sync(), dir.Close())
}

// lastRecord returns before where damage must be noticed: the last record, and in a write-ahead log how far a record tells that it was durable.
func lastRecord(data []byte, name string) (at int) {
	n := numberOf(name)
	r := records(data, name)
	for {
		begins := int(r.Offset())
		next, err := r.Next()
		if err == nil {
			_, err = io.Copy(io.Discard, next)
		}
		if err != nil {
			break
		}
		at = begins
	}
	if n > 0 && at+19 < len(data) && data[at+6] > 8 { // a chunk that tells: see Pebble's record format
		return min(at, int(binary.LittleEndian.Uint64(data[at+11:]))) //nolint:gosec // an offset in a small file
	}
	if n > 0 {
		return 0
	}
	return at
}

// endOfRecords returns where the last record ends.
func endOfRecords(data []byte, name string) int {
	r := records(data, name)
	for {
		end := int(r.Offset())
		next, err := r.Next()
		if err == nil {
			_, err = io.Copy(io.Discard, next)
		}
		if err != nil {
			return end
		}
	}
}

// records reads a log or a manifest.
func records(data []byte, name string) *logs.Reader {
	return numbered(logs.NewReader, bytes.NewReader(data), numberOf(name))
}

// numberOf is a log's number; 0: it is a manifest, whose records have none.
func numberOf(name string) uint64 {
	number, _, _ := strings.Cut(name[strings.LastIndexByte(name, '/')+1:], ".")
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return 0
	}
	return n
}

// numbered calls a function with a number of a type that only Pebble can name.
func numbered[N ~uint64, R any](f func(io.Reader, N) R, r io.Reader, n uint64) R { return f(r, N(n)) }
