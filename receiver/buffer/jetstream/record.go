package jetstream

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/hookbay/hookbay/receiver/event"
)

// A record is an event as it is stored:
//
//	version  1 byte, 1
//	id       16 bytes
//	received, time: seconds (zig-zag varint) and nanoseconds (uvarint) each
//	subject, type, source, content type: length (uvarint) and bytes each
//	extensions: their number (uvarint), then name and value each as above
//	body     length and bytes
//
// The endpoint is the stream's and not in it. The server keeps a checksum of each message.
const recordVersion = 1

// maxExtensions bounds what a decoder allocates for. No source has more than a handful.
const maxExtensions = 64

// errCorrupt says that something stored is not what was written.
var errCorrupt = errors.New("stored record is corrupt")

// encodeEvent returns an event's record.
func encodeEvent(e *event.Event) []byte {
	b := make([]byte, 0, 96+len(e.Type)+len(e.Source)+len(e.Subject)+len(e.ContentType)+len(e.Body))
	b = append(b, recordVersion)
	b = append(b, e.ID[:]...)
	b = appendTime(b, e.Received)
	b = appendTime(b, e.Time)
	b = appendString(b, e.Subject)
	b = appendString(b, e.Type)
	b = appendString(b, e.Source)
	b = appendString(b, e.ContentType)
	b = binary.AppendUvarint(b, uint64(len(e.Extensions)))
	for _, x := range e.Extensions {
		b = appendString(b, x.Name)
		b = appendString(b, x.Value)
	}
	b = binary.AppendUvarint(b, uint64(len(e.Body)))
	return append(b, e.Body...)
}

// decodeEvent reads a record. The event's Body shares its memory.
func decodeEvent(record []byte) (event.Event, error) {
	r := decoder{rest: record}
	r.version()
	var e event.Event
	copy(e.ID[:], r.take(len(e.ID)))
	e.Received = r.time()
	e.Time = r.time()
	e.Subject = r.string()
	e.Type = r.string()
	e.Source = r.string()
	e.ContentType = r.string()
	n := r.uvarint()
	if n > maxExtensions {
		return event.Event{}, errCorrupt
	}
	for range n {
		e.Extensions = append(e.Extensions, event.Extension{Name: r.string(), Value: r.string()})
	}
	e.Body = r.bytes()
	if !r.whole() {
		return event.Event{}, errCorrupt
	}
	return e, nil
}

// glance reads just the received time and the subject of a record.
func glance(record []byte) (received time.Time, subject string, err error) {
	r := decoder{rest: record}
	r.version()
	r.take(len(event.ID{}))
	received = r.time()
	r.time()
	subject = r.string()
	if r.bad {
		return time.Time{}, "", errCorrupt
	}
	return received, subject, nil
}

func appendTime(b []byte, t time.Time) []byte {
	b = binary.AppendVarint(b, t.Unix())
	return binary.AppendUvarint(b, uint64(t.Nanosecond())) //nolint:gosec // 0 to 999999999
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decoder takes fields off what is stored. It never reads beyond it: once something does not fit, it is bad and gives zeros.
type decoder struct {
	rest []byte
	bad  bool
}

func (r *decoder) version() {
	if v := r.take(1); r.bad || v[0] != recordVersion {
		r.bad = true
	}
}

// whole says that all fields fitted and nothing is left.
func (r *decoder) whole() bool { return !r.bad && len(r.rest) == 0 }

func (r *decoder) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.rest) {
		r.bad = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if r.bad || n <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// count reads how many things follow, each of at least one byte.
func (r *decoder) count() int {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.bad = true
		return 0
	}
	return int(n) //nolint:gosec // not more than the rest
}

func (r *decoder) varint() int64 {
	v, n := binary.Varint(r.rest)
	if r.bad || n <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *decoder) bytes() []byte { return r.take(r.count()) }

func (r *decoder) string() string { return string(r.bytes()) }

func (r *decoder) time() time.Time {
	sec, nsec := r.varint(), r.uvarint()
	if nsec >= uint64(time.Second) {
		r.bad = true
		return time.Time{}
	}
	return time.Unix(sec, int64(nsec)).UTC() // below a second
}
