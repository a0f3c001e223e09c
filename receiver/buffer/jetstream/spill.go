package jetstream

import "github.com/nats-io/nats.go"

const (
	// maxHeld and maxHeldBytes bound the events that a queue has read ahead, and those done among and behind them.
	maxHeld      = 2048
	maxHeldBytes = 16 << 20
	// maxSpill is how many lanes go to the stream in one write.
	maxSpill = 300
	// lasting is how many messages one more lane makes of a write at most, with the cursor.
	lasting = 3
	// maxInline is how many followers the message of a lane's head holds. More have a message of their own.
	maxInline = 64
)

// The functions of this file are called with queue.mu held.

// spill has lanes with followers in memory kept in the stream, so that what is stuck or slow holds up no other, and so the head of what the
// window begins with, behind which all that is done has to be remembered.
func (q *queue) spill(w *write) {
	n := 0
	if len(w.p.window) > 0 {
		for _, e := range w.p.window {
			if !e.done {
				q.spillLane(w, e.lane)
				n++
				break
			}
		}
	}
	for _, ln := range w.p.lanes {
		if n == maxSpill || len(w.messages)+len(w.dirty)+lasting > maxMessages {
			return
		}
		if ln.inMemory > 0 {
			q.spillLane(w, ln)
			n++
		}
	}
}

// spillLane has a lane's head and all its followers kept.
func (q *queue) spillLane(w *write, ln *lane) {
	if ln.settling || ln.head == nil {
		return // its next head is not known yet
	}
	w.dirty[ln.key] = ln
	if h := ln.head; !h.kept {
		h.kept, h.done = true, true
		q.heldBytes -= len(h.record)
		if !h.leased {
			h.record = nil
		}
		ln.stored = kept{count: 1, seq: h.seq, attempts: h.attempts, received: h.received}
	}
	if ln.inMemory == 0 {
		return
	}
	k := &ln.stored
	all := k.inline
	for e := ln.popFirst(); e != nil; e = ln.popFirst() {
		all = append(all, e.seq)
		k.count++
		e.done = true
		q.heldBytes -= len(e.record)
		e.record = nil
	}
	if len(all) <= maxInline {
		k.inline = all
		return
	}
	k.chunks = append(k.chunks, chunk{first: all[0], count: uint32(len(all))}) //nolint:gosec // at most maxHeld
	k.inline = nil
	if len(k.chunks) == 1 && ln.head.leased {
		ln.current = all // what follows has to be known when the lease ends
	}
	w.messages = append(w.messages, q.keepChunk(w.p, ln, all))
}

// keepChunk is the message of followers.
func (q *queue) keepChunk(p *partition, ln *lane, seqs []uint64) *nats.Msg {
	return message(q.names.followers(p.number, ln.key, seqs[0]), appendSequences([]byte{recordVersion}, seqs))
}

// decodeChunk reads followers.
func decodeChunk(b []byte) ([]uint64, error) {
	r := decoder{rest: b}
	r.version()
	seqs := r.sequences()
	if !r.whole() {
		return nil, errCorrupt
	}
	return seqs, nil
}

// stuffed returns the partitions of which enough can be spilled to be worth a write, when memory is full.
func (q *queue) stuffed() []*partition {
	var ps []*partition
	for _, p := range q.parts {
		if p == nil || p.lost {
			continue
		}
		followers, bytes := 0, 0
		for _, ln := range p.lanes {
			if ln.settling || ln.inMemory == 0 {
				continue
			}
			followers += ln.inMemory
			for e := ln.first; e != nil; e = e.behind {
				bytes += len(e.record)
			}
		}
		done := 0
		for _, e := range p.window {
			if e.done {
				done++
			}
		}
		const share = 64
		if followers >= maxHeld/share || bytes >= maxHeldBytes/share || done >= maxHeld/share {
			ps = append(ps, p)
		}
	}
	return ps
}
