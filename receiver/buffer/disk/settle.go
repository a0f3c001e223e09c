package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// change is what a settlement does.
type change struct {
	verdict buffer.Verdict
	retryAt time.Time
	reason  string
	gone    bool // the event is no longer pending: only its place in the lane is to be cleared
}

// settlement is one lease that is to end.
type settlement struct {
	lease *lease
	change
	err  error
	turn chan bool // true: its caller is to commit what waits; false: it is done
}

// line is where settlements wait. All that wait at one moment are one commit, made by the caller of the first of them.
type line struct {
	mu      sync.Mutex
	waiting []*settlement
	taken   bool      // somebody commits
	groups  gathering // who commits has it
}

func (n *line) length() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.waiting)
}

// join enters a settlement. It returns true if its caller is to commit at once; otherwise its turn tells.
func (n *line) join(s *settlement) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting = append(n.waiting, s)
	first := !n.taken
	n.taken = true
	return first
}

// take cuts off the next group: as many as are no larger than a commit of the appender, and at least one.
func (n *line) take() []*settlement {
	n.mu.Lock()
	defer n.mu.Unlock()
	count, bytes := 0, 0
	for count < len(n.waiting) && (count == 0 || bytes+len(n.waiting[count].lease.record) <= maxGroupBytes) {
		bytes += len(n.waiting[count].lease.record)
		count++
	}
	group := n.waiting[:count:count]
	n.groups.last = count
	if n.waiting = n.waiting[count:]; len(n.waiting) == 0 {
		n.waiting = nil
	}
	return group
}

// pass has the first that waits commit next.
func (n *line) pass() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.taken = len(n.waiting) > 0; n.taken {
		n.waiting[0].turn <- true
	}
}

// Settle implements buffer.Queue. It does not stop half-way when ctx ends: what came of the attempt is worth a wait for the disk.
func (q *queue) Settle(_ context.Context, d *buffer.Delivery, o buffer.Outcome) error {
	release, err := q.b.use()
	if err != nil {
		return err
	}
	defer release()
	l, ok := d.Lease.(*lease)
	if !ok {
		return errors.New("settle: not a delivery of this buffer")
	}
	return q.settle(l, change{verdict: o.Verdict, retryAt: o.RetryAt, reason: o.Reason})
}

// settle applies a change, with those of others that wait, as one batch, waits until it is durable and only then lets the lanes go on.
func (q *queue) settle(l *lease, c change) error {
	s := &settlement{lease: l, change: c, turn: make(chan bool, 1)}
	if q.line.join(s) || <-s.turn {
		q.line.groups.awaitAll(q.line.length)
		group := q.line.take() // its first is s
		q.commit(group)
		q.line.pass()
		for _, other := range group[1:] {
			other.turn <- false
		}
	}
	return s.err
}

// commit settles a group.
func (q *queue) commit(group []*settlement) {
	batch := q.b.db.NewBatch()
	err := q.apply(batch, group)
	if err == nil {
		err = batch.SyncWait()
	}
	if err != nil {
		err = q.b.appender.fail(err)
		for _, s := range group {
			s.err = errors.Join(s.err, err)
		}
		return
	}
	_ = batch.Close() // it is applied and durable
	q.proceed(group)
}

// apply decides and applies, without waiting for the sync. A settlement that has an error changes nothing, and its lease goes on.
func (q *queue) apply(batch *pebble.Batch, group []*settlement) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range group {
		if s.verdict != buffer.Retry {
			s.err = q.decide(batch, s)
		}
	}
	// A retry may put followers on disk, where a head that is settled in the same batch would not find them yet.
	for _, s := range group {
		if s.verdict == buffer.Retry {
			s.err = q.decide(batch, s)
		}
	}
	if q.unkept >= keepCursorEvery {
		q.keepCursor(batch)
	}
	if !batch.Empty() {
		must(batch.Set(prefix(kindSettled, q.number), settledValue(q.settled, q.deadAll), nil))
	}
	return q.b.db.ApplyNoSyncWait(batch, pebble.Sync)
}

// decide puts one settlement into the batch and changes what is in memory.
func (q *queue) decide(batch *pebble.Batch, s *settlement) error {
	l := s.lease
	if l.ended {
		return errors.New("settle: this delivery is settled already")
	}
	if s.verdict == buffer.Retry {
		q.retry(batch, l, s.retryAt)
		return nil
	}
	if l.ordered {
		if err := q.promote(batch, l); err != nil {
			return fmt.Errorf("settle: %w", err)
		}
	}
	l.ended = true
	q.unkept++
	if l.stored {
		must(batch.Delete(seqKey(kindTimer, q.number, l.due, l.seq), nil))
	}
	if !s.gone {
		q.end(batch, l, s.change)
	}
	l.record = nil // it may stay among the fresh ones for a while
	return nil
}

// stampAfter is a timer's due time: never one that counts as loaded.
func stampAfter(t time.Time, scanned uint64) uint64 { return max(stamp(t), scanned+1) }

// retry has a head wait on disk.
func (q *queue) retry(batch *pebble.Batch, l *lease, at time.Time) {
	if !l.stored {
		q.place(batch)
	}
	l.ended = true
	again := &lease{seq: l.seq, attempts: l.attempts + 1, lane: l.lane, ordered: l.ordered, due: stampAfter(at, q.scanned)}
	must(batch.Delete(seqKey(kindTimer, q.number, l.due, l.seq), nil))
	must(batch.Set(seqKey(kindTimer, q.number, again.due, again.seq), encodeTimer(again), nil))
	q.nextDue = min(q.nextDue, again.due)
	q.arm(stamp(q.b.now()))
	if ln := q.lanes[l.lane]; l.ordered && ln != nil {
		if ln.parked = true; ln.first == nil {
			delete(q.lanes, l.lane)
		}
	}
}

// end takes an event out of the pending ones, and keeps it as a dead letter or, if it was delivered, for a while.
func (q *queue) end(batch *pebble.Batch, l *lease, c change) {
	// The size tells Pebble how much a compaction would give back.
	must(batch.DeleteSized(seqKey(kindPending, q.number, l.seq), uint32(len(l.record)), nil)) //nolint:gosec // a record is far below 4 GiB
	s, now := q.settings(), stamp(q.b.now())
	switch {
	case c.verdict == buffer.Dead:
		q.deadAll++
		must(batch.Set(seqKey(kindDead, q.number, now, l.seq), appendPast(l.attempts+1, c.reason, l.record), nil))
	case s.Retention > 0 && !q.b.space.low():
		must(batch.Set(seqKey(kindDelivered, q.number, now, l.seq), appendPast(l.attempts+1, "", l.record), nil))
	}
	q.settled++
}

// settledValue is the stored counters of settled events and of dead letters.
func settledValue(settled, dead uint64) []byte {
	return binary.BigEndian.AppendUint64(uint64Value(settled), dead)
}

// appendPast is the value of a delivered event or a dead letter: attempts, the reason (with its length), and the record with the checksum that
// binds it to its sequence number.
func appendPast(attempts uint32, reason string, record []byte) []byte {
	v := make([]byte, 0, 16+len(reason)+len(record))
	v = binary.BigEndian.AppendUint32(v, attempts)
	v = appendString(v, reason)
	return append(v, record...)
}

// proceed counts what is settled and lets lanes go on behind heads whose settlement is durable: with the follower that was promoted, or an
// event that was admitted while the sync was awaited.
func (q *queue) proceed(group []*settlement) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range group {
		if s.err != nil {
			continue
		}
		switch {
		case s.gone || s.verdict == buffer.Retry:
		case s.verdict == buffer.Dead:
			q.dead.Add(1)
			q.pending.Add(-1)
		default:
			q.pending.Add(-1)
		}
		q.release(s.lease)
	}
	if len(q.ready) > 0 {
		q.signal()
	}
}

// release lets a lane go on.
func (q *queue) release(l *lease) {
	ln := q.lanes[l.lane]
	// What was to be tried again may have been leased and settled once more before the first settlement is durable: the lane is then the
	// second one's to let go on.
	if !l.ordered || ln == nil || ln.settling != l {
		return
	}
	if ln.next == nil {
		delete(q.lanes, l.lane)
		return
	}
	q.ready = append(q.ready, ln.next)
	ln.settling, ln.next = nil, nil
}
