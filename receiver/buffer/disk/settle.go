package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
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

// settle applies a change as one batch, waits until it is durable and only then lets the lane go on.
func (q *queue) settle(l *lease, c change) error {
	batch := q.b.db.NewBatch()
	if err := q.apply(batch, l, c); err != nil {
		return errors.Join(err, batch.Close())
	}
	if err := batch.SyncWait(); err != nil {
		return q.b.appender.fail(err)
	}
	if err := batch.Close(); err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	switch {
	case c.gone:
	case c.verdict == buffer.Dead:
		q.dead.Add(1)
		q.pending.Add(-1)
	case c.verdict == buffer.Delivered:
		q.pending.Add(-1)
	}
	q.proceed(l)
	return nil
}

// apply decides and applies, without waiting for the sync. On an error nothing is changed and the lease goes on.
func (q *queue) apply(batch *pebble.Batch, l *lease, c change) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l.ended {
		return errors.New("settle: this delivery is settled already")
	}
	must(batch.Delete(seqKey(kindTimer, q.number, l.due, l.seq), nil))
	var next *lease
	if c.verdict == buffer.Retry {
		q.retry(batch, l, c.retryAt)
	} else {
		var err error
		if next, err = q.end(batch, l, c); err != nil {
			return err
		}
	}
	if err := q.b.db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	l.ended = true
	if c.verdict == buffer.Retry {
		q.nextDue = min(q.nextDue, stampAfter(c.retryAt, q.scanned))
		q.arm(stamp(q.b.now()))
		if l.ordered {
			delete(q.lanes, l.lane) // its head waits on disk
		}
	} else if l.ordered {
		q.lanes[l.lane] = &lane{settling: l, next: next, followers: next != nil}
	}
	return nil
}

// stampAfter is a timer's due time: never one that counts as loaded.
func stampAfter(t time.Time, scanned uint64) uint64 { return max(stamp(t), scanned+1) }

// retry moves the timer of a head.
func (q *queue) retry(batch *pebble.Batch, l *lease, at time.Time) {
	again := &lease{seq: l.seq, attempts: l.attempts + 1, lane: l.lane, ordered: l.ordered, due: stampAfter(at, q.scanned)}
	must(batch.Set(seqKey(kindTimer, q.number, again.due, again.seq), encodeTimer(again), nil))
}

// end takes an event out of the pending ones, keeps it as a dead letter or for a while if it was delivered, and promotes its follower.
func (q *queue) end(batch *pebble.Batch, l *lease, c change) (next *lease, err error) {
	if l.ordered {
		lane := q.lanes[l.lane]
		if next, err = q.promote(batch, l, lane == nil || lane.followers); err != nil {
			return nil, err
		}
	}
	if c.gone {
		return next, nil
	}
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
	must(batch.Set(prefix(kindSettled, q.number), q.settledValue(), nil))
	return next, nil
}

func (q *queue) settledValue() []byte {
	return binary.BigEndian.AppendUint64(uint64Value(q.settled), q.deadAll)
}

// appendPast is the value of a delivered event or a dead letter: attempts, the reason (with its length), and the record with the checksum that
// binds it to its sequence number.
func appendPast(attempts uint32, reason string, record []byte) []byte {
	v := make([]byte, 0, 16+len(reason)+len(record))
	v = binary.BigEndian.AppendUint32(v, attempts)
	v = appendString(v, reason)
	return append(v, record...)
}

// proceed lets the lane go on behind a head whose settlement is durable: with the follower that was promoted, or an event that
// was admitted while the sync was awaited.
func (q *queue) proceed(l *lease) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !l.ordered {
		return
	}
	lane := q.lanes[l.lane]
	// What was to be tried again may have been leased and settled once more before the first settlement is durable: the lane is then the
	// second one's to let go on.
	if lane == nil || lane.settling != l {
		return
	}
	if lane.next == nil {
		delete(q.lanes, l.lane)
		return
	}
	q.ready = append(q.ready, lane.next)
	q.cached += len(lane.next.record)
	lane.settling, lane.next = nil, nil
	q.signal()
}
