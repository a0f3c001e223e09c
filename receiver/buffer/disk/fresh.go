package disk

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// freshTarget bounds how many admitted events have their places in memory only, settled ones in between included.
	freshTarget = 2048
	// keepCursorEvery is how many settlements the stored cursor may lag behind: a start passes over as many.
	keepCursorEvery = 512
)

// lease is an event in memory. A head is what buffer.Delivery.Lease holds.
type lease struct {
	seq      uint64
	due      uint64 // of its timer, if it is stored
	attempts uint32
	ordered  bool // false: it has no lane
	stored   bool // it is a head on disk; else it is fresh: on disk it has no place in any lane
	follows  bool // it waits in memory behind its lane's head, and is fresh
	ended    bool
	lane     uint64
	behind   *lease // the next follower of its lane
	record   []byte // sealed; nil: to be read
}

// lane is a subject of which something is in memory.
type lane struct {
	stored      bool   // some followers may wait on disk, all older than those in memory
	parked      bool   // its head is not in memory: it waits for its time on disk
	settling    *lease // the head, when it is settled and the sync is awaited
	next        *lease // what is the head after that
	first, last *lease // the followers in memory
}

// follow puts a new event at the end of a lane.
func (ln *lane) follow(l *lease) {
	l.follows = true
	if ln.last == nil {
		ln.first, ln.last = l, l
		return
	}
	ln.last.behind, ln.last = l, l
}

// advance takes the first follower in memory off the lane.
func (ln *lane) advance() {
	l := ln.first
	if ln.first = l.behind; ln.first == nil {
		ln.last = nil
	}
	l.follows, l.behind = false, nil
}

// place gives every fresh event its place on disk, in a batch that is to be applied before queue.mu is released. An event that is not settled
// at its first attempt needs one, since its attempts and its time must be kept, and then so do all before it, because the cursor tells those
// that have one from those that have none. So does what would take too much memory. It happens to an event once at most.
func (q *queue) place(batch *pebble.Batch) {
	for _, l := range q.fresh {
		switch {
		case l.ended:
		case l.follows:
			must(batch.Set(seqKey(kindFollower, q.number, l.lane, l.seq), nil, nil))
			q.forget(l)
		default:
			l.stored, l.due = true, q.scanned // a timer that counts as loaded
			if l.ordered {
				must(batch.Set(seqKey(kindHead, q.number, l.lane), nil, nil))
			}
			must(batch.Set(seqKey(kindTimer, q.number, l.due, l.seq), encodeTimer(l), nil))
		}
	}
	clear(q.fresh)
	q.fresh = q.fresh[:0]
	q.keepCursor(batch)
}

// forget drops a follower that is on disk from memory, and its lane's other followers with it: they are about to be there too.
func (q *queue) forget(l *lease) {
	q.cached -= len(l.record)
	ln := q.lanes[l.lane]
	if ln == nil {
		return
	}
	ln.first, ln.last, ln.stored = nil, nil, true
	if ln.parked {
		delete(q.lanes, l.lane) // nothing of it is left in memory
	}
}

// makePlaces is place in a batch of its own.
func (q *queue) makePlaces() error {
	batch := q.b.db.NewBatch()
	q.place(batch)
	if err := q.b.db.Apply(batch, pebble.NoSync); err != nil {
		return q.b.appender.fail(err)
	}
	return batch.Close()
}

// low is the first sequence number of an event that may have no place on disk.
func (q *queue) low() uint64 {
	n := 0
	for n < len(q.fresh) && q.fresh[n].ended {
		q.fresh[n] = nil
		n++
	}
	if q.fresh = q.fresh[n:]; len(q.fresh) > 0 {
		return q.fresh[0].seq
	}
	return q.admitted
}

// keepCursor stores the cursor in a batch that is to be applied before queue.mu is released.
func (q *queue) keepCursor(batch *pebble.Batch) {
	q.cursor, q.unkept = q.low(), 0
	must(batch.Set(prefix(kindCursor, q.number), uint64Value(q.cursor), nil))
}

// leaveCursor stores the cursor for the next start, which would otherwise pass over what was settled behind it.
func (q *queue) leaveCursor() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.low() == q.cursor || q.b.appender.failure() != nil {
		return
	}
	batch := q.b.db.NewBatch()
	q.keepCursor(batch)
	_ = errors.Join(q.b.db.Apply(batch, pebble.NoSync), batch.Close()) // nothing depends on it
}
