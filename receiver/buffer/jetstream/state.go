package jetstream

import (
	"encoding/binary"
	"strings"
)

// run is consecutive events of a partition: all that it has from first to last.
type run struct{ first, last uint64 }

// cursor is the state of a partition as it is stored.
type cursor struct {
	owner string // the member that has the partition; empty: nobody
	epoch uint64 // grows with every owner
	write uint64 // grows with every write of an owner: it tells its own writes apart
	floor uint64 // every event below it is done
	above uint64 // how many events the runs have
	dead  uint64 // how many dead letters are kept
	runs  []run  // done, above the floor, ascending
}

func (c *cursor) encode() []byte {
	b := make([]byte, 0, 48+6*len(c.runs))
	b = append(b, recordVersion)
	b = appendString(b, c.owner)
	for _, v := range []uint64{c.epoch, c.write, c.floor, c.above, c.dead, uint64(len(c.runs))} {
		b = binary.AppendUvarint(b, v)
	}
	at := c.floor
	for _, r := range c.runs {
		b = binary.AppendUvarint(b, r.first-at)
		b = binary.AppendUvarint(b, r.last-r.first)
		at = r.last
	}
	return b
}

func decodeCursor(b []byte) (cursor, error) {
	r := decoder{rest: b}
	r.version()
	c := cursor{owner: r.string(), epoch: r.uvarint(), write: r.uvarint(), floor: r.uvarint(), above: r.uvarint(), dead: r.uvarint()}
	at := c.floor
	for range r.count() {
		first := at + r.uvarint()
		at = first + r.uvarint()
		c.runs = append(c.runs, run{first, at})
	}
	if !r.whole() {
		return cursor{}, errCorrupt
	}
	return c, nil
}

// chunk is followers of a lane that have a message of their own, by the first of them.
type chunk struct {
	first uint64
	count uint32
}

// kept is what is stored of a lane: its head, and how to find what follows it. The cursor counts all of it as done.
type kept struct {
	count    uint64 // how many events, the head included; zero: nothing is kept any longer
	seq      uint64 // the head
	attempts uint32
	due      int64 // when the head is, in Unix nanoseconds
	received int64 // when the head was, or one before it, likewise
	chunks   []chunk
	inline   []uint64 // followers, after those of the chunks
}

func (k *kept) encode() []byte {
	b := make([]byte, 0, 48+8*len(k.chunks)+4*len(k.inline))
	b = append(b, recordVersion)
	b = binary.AppendUvarint(b, k.count)
	b = binary.AppendUvarint(b, k.seq)
	b = binary.AppendUvarint(b, uint64(k.attempts))
	b = binary.AppendVarint(b, k.due)
	b = binary.AppendVarint(b, k.received)
	b = binary.AppendUvarint(b, uint64(len(k.chunks)))
	for _, c := range k.chunks {
		b = binary.AppendUvarint(b, c.first)
		b = binary.AppendUvarint(b, uint64(c.count))
	}
	return appendSequences(b, k.inline)
}

func decodeKept(b []byte) (kept, error) {
	r := decoder{rest: b}
	r.version()
	k := kept{count: r.uvarint(), seq: r.uvarint(), attempts: uint32(r.uvarint()), due: r.varint(), received: r.varint()} //nolint:gosec // it was a uint32
	for range r.count() {
		k.chunks = append(k.chunks, chunk{first: r.uvarint(), count: uint32(r.uvarint())}) //nolint:gosec // it was a uint32
	}
	k.inline = r.sequences()
	if !r.whole() {
		return kept{}, errCorrupt
	}
	return k, nil
}

// appendSequences writes ascending numbers.
func appendSequences(b []byte, seqs []uint64) []byte {
	b = binary.AppendUvarint(b, uint64(len(seqs)))
	var at uint64
	for _, s := range seqs {
		b = binary.AppendUvarint(b, s-at)
		at = s
	}
	return b
}

func (r *decoder) sequences() []uint64 {
	n := r.count()
	if n == 0 {
		return nil
	}
	seqs := make([]uint64, 0, n)
	var at uint64
	for range n {
		at += r.uvarint()
		seqs = append(seqs, at)
	}
	return seqs
}

// past is a dead letter: how it ended, and the event's record.
type past struct {
	at       int64 // in Unix nanoseconds
	attempts uint32
	reason   string
	record   []byte
}

// bounded is a reason that is not too long to be stored.
func bounded(reason string) string {
	return strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")
}

func (p *past) encode() []byte {
	b := make([]byte, 0, 32+len(p.reason)+len(p.record))
	b = append(b, recordVersion)
	b = binary.AppendVarint(b, p.at)
	b = binary.AppendUvarint(b, uint64(p.attempts))
	b = appendString(b, p.reason)
	return append(b, p.record...)
}

func decodePast(b []byte) (past, error) {
	r := decoder{rest: b}
	r.version()
	p := past{at: r.varint(), attempts: uint32(r.uvarint()), reason: r.string(), record: r.rest} //nolint:gosec // it was a uint32
	if r.bad {
		return past{}, errCorrupt
	}
	return p, nil
}
