package disk

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/hookbay/hookbay/receiver/event"
)

// A record is an event as it is stored:
//
//	version  1 byte, 1
//	id       16 bytes
//	received, time: seconds (zig-zag varint) and nanoseconds (uvarint) each
//	type, source, subject, content type: length (uvarint) and bytes each
//	extensions: their number (uvarint), then name and value each as above
//	body     length and bytes
//	checksum 4 bytes, CRC-32C of the sequence number and all before
//
// The endpoint is the queue's and not in it.
const recordVersion = 1

// maxExtensions bounds what a decoder allocates for. No source has more than a handful.
const maxExtensions = 64

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errCorrupt says that a record is not what was written.
var errCorrupt = errors.New("stored record is corrupt")

// appendRecord appends the record without its checksum: that needs the sequence number, which is not known yet.
func appendRecord(dst []byte, e *event.Event) []byte {
	dst = append(dst, recordVersion)
	dst = append(dst, e.ID[:]...)
	dst = appendTime(dst, e.Received)
	dst = appendTime(dst, e.Time)
	dst = appendString(dst, e.Type)
	dst = appendString(dst, e.Source)
	dst = appendString(dst, e.Subject)
	dst = appendString(dst, e.ContentType)
	dst = binary.AppendUvarint(dst, uint64(len(e.Extensions)))
	for _, x := range e.Extensions {
		dst = appendString(dst, x.Name)
		dst = appendString(dst, x.Value)
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.Body)))
	return append(dst, e.Body...)
}

// seal appends the checksum that binds a record to its sequence number.
func seal(record []byte, seq uint64) []byte {
	return binary.LittleEndian.AppendUint32(record, checksum(record, seq))
}

func checksum(record []byte, seq uint64) uint32 {
	var s [8]byte
	binary.LittleEndian.PutUint64(s[:], seq)
	return crc32.Update(crc32.Checksum(s[:], castagnoli), castagnoli, record)
}

func appendTime(dst []byte, t time.Time) []byte {
	dst = binary.AppendVarint(dst, t.Unix())
	return binary.AppendUvarint(dst, uint64(t.Nanosecond())) //nolint:gosec // 0 to 999999999
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// decodeRecord reads a sealed record. The event's Body shares its memory.
func decodeRecord(sealed []byte, seq uint64) (event.Event, error) {
	r, err := open(sealed, seq)
	if err != nil {
		return event.Event{}, err
	}
	var e event.Event
	copy(e.ID[:], r.take(len(e.ID)))
	e.Received = r.time()
	e.Time = r.time()
	e.Type = r.string()
	e.Source = r.string()
	e.Subject = r.string()
	e.ContentType = r.string()
	n := r.uvarint()
	if n > maxExtensions {
		return event.Event{}, errCorrupt
	}
	for range n {
		e.Extensions = append(e.Extensions, event.Extension{Name: r.string(), Value: r.string()})
	}
	e.Body = r.bytes()
	if r.bad || len(r.rest) > 0 {
		return event.Event{}, errCorrupt
	}
	return e, nil
}

// recordSubject reads just the received time and the subject of a sealed record, without checking or copying the rest.
func recordSubject(sealed []byte) (received time.Time, subject []byte, err error) {
	if len(sealed) < 5 || sealed[0] != recordVersion {
		return time.Time{}, nil, errCorrupt
	}
	r := reader{rest: sealed[1 : len(sealed)-4]}
	r.take(len(event.ID{}))
	received = r.time()
	r.time()
	r.bytes()
	r.bytes()
	subject = r.bytes()
	if r.bad {
		return time.Time{}, nil, errCorrupt
	}
	return received, subject, nil
}

// open checks a sealed record and returns a reader of what follows its version.
func open(sealed []byte, seq uint64) (*reader, error) {
	if len(sealed) < 5 {
		return nil, errCorrupt
	}
	record, sum := sealed[:len(sealed)-4], binary.LittleEndian.Uint32(sealed[len(sealed)-4:])
	if record[0] != recordVersion || checksum(record, seq) != sum {
		return nil, errCorrupt
	}
	return &reader{rest: record[1:]}, nil
}

// reader takes fields off a record. It never reads beyond it: once something does not fit, it is bad and gives zeros.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.rest) {
		r.bad = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	return r.take(int(n)) //nolint:gosec // not more than the rest
}

func (r *reader) string() string { return string(r.bytes()) }

func (r *reader) time() time.Time {
	sec, nsec := r.varint(), r.uvarint()
	if nsec >= uint64(time.Second) {
		r.bad = true
		return time.Time{}
	}
	return time.Unix(sec, int64(nsec)).UTC() // below a second
}
