package disk

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// The functions here are called with queue.mu held: it orders all decisions about lanes, and what a decision changes on disk is applied to the
// database, as one batch, before it is released. None of them waits for a sync.

// never is when nothing is due.
const never = math.MaxUint64

// laneOf names a subject's lane. Two subjects that share one by chance are merely delivered one at a time.
func laneOf(subject []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(subject) // never fails
	return h.Sum64()
}

// fill brings heads that are due into memory: those that waited for their time, which are older, and as many new ones, so that
// however many fail again and again, new ones have their turn.
func (q *queue) fill() error {
	now := stamp(q.b.now())
	if q.nextDue <= now {
		if err := q.loadDue(now); err != nil {
			return err
		}
	}
	// One round of admissions may turn up nothing but followers of lanes that wait.
	for len(q.ready) < readyTarget && q.admitted <= q.tail.Load() {
		if err := q.admit(); err != nil {
			return err
		}
	}
	return nil
}

// arm sets the timer for the next head that is not in memory. A timer that has come already wakes somebody at once.
func (q *queue) arm(now uint64) {
	if q.nextDue < never {
		q.timer.Reset(time.Duration(min(q.nextDue-min(now, q.nextDue), uint64(time.Hour)))) // at most an hour
	}
}

// loadDue brings timers up to now into memory, as many as fit, and notes when the next one is due.
func (q *queue) loadDue(now uint64) error {
	it, err := q.b.db.NewIter(&pebble.IterOptions{
		LowerBound: seqKey(kindTimer, q.number, q.scanned+1),
		UpperBound: prefixEnd(prefix(kindTimer, q.number)),
	})
	if err != nil {
		return err
	}
	q.nextDue = never
	for ok := it.First(); ok; ok = it.Next() {
		due, _ := keyPart(it.Key(), 0)
		seq, keyOK := keyPart(it.Key(), 1)
		l, valueOK := decodeTimer(it.Value())
		if !keyOK || !valueOK {
			q.nextDue = 0
			return closeWith(it, errCorrupt)
		}
		// All timers of one instant are loaded together: scanned can't point between them.
		if due > now || (len(q.ready) >= readyTarget/2 && due > q.scanned) {
			q.nextDue = due
			break
		}
		l.due, l.seq = due, seq
		q.scanned = due
		q.ready = append(q.ready, l)
		if !l.ordered {
			continue
		}
		if ln := q.lanes[l.lane]; ln != nil {
			ln.parked = false
		} else {
			q.lanes[l.lane] = &lane{stored: true}
		}
	}
	if err := it.Close(); err != nil {
		q.nextDue = 0 // look again
		return err
	}
	if q.nextDue > now {
		q.scanned = max(q.scanned, now)
	}
	q.arm(now)
	return nil
}

// encodeTimer is a timer's value: attempts, and the lane if it has one.
func encodeTimer(l *lease) []byte {
	v := binary.BigEndian.AppendUint32(make([]byte, 0, 12), l.attempts)
	if l.ordered {
		v = binary.BigEndian.AppendUint64(v, l.lane)
	}
	return v
}

func decodeTimer(v []byte) (*lease, bool) {
	switch len(v) {
	case 4:
		return &lease{attempts: binary.BigEndian.Uint32(v), stored: true}, true
	case 12:
		return &lease{attempts: binary.BigEndian.Uint32(v), lane: binary.BigEndian.Uint64(v[4:]), ordered: true, stored: true}, true
	default:
		return nil, false
	}
}

// admit takes durable events that are not in a lane yet into one, in memory: as the head of an idle lane, or behind the head of a busy one.
func (q *queue) admit() error {
	if q.low(); len(q.fresh) >= freshTarget {
		if err := q.makePlaces(); err != nil {
			return err
		}
	}
	end := q.tail.Load() + 1 // read once: the committer moves it on meanwhile, and what the iterator does not cover must not be passed over
	it, err := q.b.db.NewIter(&pebble.IterOptions{
		LowerBound: seqKey(kindPending, q.number, q.admitted),
		UpperBound: seqKey(kindPending, q.number, end),
	})
	if err != nil {
		return err
	}
	n, bytes := 0, 0
	for ok := it.First(); ok; ok = it.Next() {
		seq, _ := keyPart(it.Key(), 0)
		if n == readyTarget || bytes > readyBytes {
			end = seq
			break
		}
		n, bytes = n+1, bytes+len(it.Value())
		if err := q.take(seq, it.Value()); err != nil {
			return closeWith(it, err)
		}
		q.admitted = seq + 1 // what went before an error is admitted
	}
	if err := it.Close(); err != nil {
		return err
	}
	q.admitted = end
	return nil
}

// take admits one event.
func (q *queue) take(seq uint64, record []byte) error {
	_, subject, err := recordSubject(record)
	l := &lease{seq: seq}
	// A damaged record has no lane that could be trusted: it is leased on its own, where it is found out.
	if err == nil && !q.settings().Unordered {
		l.lane, l.ordered = laneOf(subject), true
	}
	ln, err := q.busy(l)
	if err != nil {
		return err
	}
	if q.cached+len(record) <= readyBytes {
		l.record = append([]byte(nil), record...)
		q.cached += len(l.record)
	}
	q.fresh = append(q.fresh, l)
	switch {
	case ln == nil:
		if l.ordered {
			q.lanes[l.lane] = &lane{}
		}
		q.ready = append(q.ready, l)
	case ln.settling != nil && ln.next == nil: // its last head has left it and is not durably gone yet
		ln.next = l
	default:
		ln.follow(l)
	}
	return nil
}

// busy returns the lane of a new event if it has a head: one in memory, or one that waits for its time on disk.
func (q *queue) busy(l *lease) (*lane, error) {
	if !l.ordered {
		return nil, nil //nolint:nilnil // see above
	}
	// Every head on disk has a timer. When no timer is left to load, all heads are in memory.
	if ln := q.lanes[l.lane]; ln != nil || q.nextDue == never {
		return ln, nil
	}
	_, closer, err := q.b.db.Get(seqKey(kindHead, q.number, l.lane))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil //nolint:nilnil // see above
	}
	if err != nil {
		return nil, err
	}
	ln := &lane{parked: true, stored: true}
	q.lanes[l.lane] = ln
	return ln, closer.Close()
}

// promote makes what comes behind a settled head the next one: the lane's first follower on disk, else in memory. If there is none the lane ends
// when the settlement is durable.
func (q *queue) promote(batch *pebble.Batch, settled *lease) error {
	ln := q.lanes[settled.lane]
	if ln == nil {
		return nil
	}
	var next *lease
	if ln.stored {
		seq, found, err := q.firstFollower(settled)
		if err != nil {
			return err
		}
		if ln.stored = found; found {
			next = &lease{seq: seq, due: q.scanned, lane: settled.lane, ordered: true, stored: true}
			must(batch.Delete(seqKey(kindFollower, q.number, next.lane, seq), nil))
			must(batch.Set(seqKey(kindTimer, q.number, next.due, seq), encodeTimer(next), nil))
		}
	}
	if next == nil && settled.stored {
		must(batch.Delete(seqKey(kindHead, q.number, settled.lane), nil))
	}
	if next == nil && ln.first != nil {
		next = ln.first
		ln.advance()
	}
	ln.settling, ln.next = settled, next
	return nil
}

// firstFollower finds the first follower of a head on disk.
func (q *queue) firstFollower(head *lease) (seq uint64, found bool, err error) {
	it, err := q.b.db.NewIter(&pebble.IterOptions{
		// Followers are younger than their head; what was there before is gone and costs nothing to pass over.
		LowerBound: seqKey(kindFollower, q.number, head.lane, head.seq),
		UpperBound: prefixEnd(seqKey(kindFollower, q.number, head.lane)),
	})
	if err != nil {
		return 0, false, err
	}
	if found = it.First(); found {
		seq, found = keyPart(it.Key(), 1)
	}
	return seq, found, it.Close()
}
