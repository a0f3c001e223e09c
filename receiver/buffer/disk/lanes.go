package disk

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// The functions here are called with queue.mu held: it orders all decisions about lanes, and every decision is applied to the database, as one
// batch, before it is released. None of them waits for a sync.

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
	for len(q.ready) < readyTarget && q.cursor <= q.tail.Load() {
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
		if l.ordered {
			q.lanes[l.lane] = &lane{followers: true}
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
		return &lease{attempts: binary.BigEndian.Uint32(v)}, true
	case 12:
		return &lease{attempts: binary.BigEndian.Uint32(v), lane: binary.BigEndian.Uint64(v[4:]), ordered: true}, true
	default:
		return nil, false
	}
}

// admit moves durable events that are not in a lane yet into one, in one batch: to the head of an idle lane, or behind the head of a busy one.
func (q *queue) admit() error {
	end := q.tail.Load() + 1 // read once: the committer moves it on meanwhile, and what the iterator does not cover must not be passed over
	it, err := q.b.db.NewIter(&pebble.IterOptions{
		LowerBound: seqKey(kindPending, q.number, q.cursor),
		UpperBound: seqKey(kindPending, q.number, end),
	})
	if err != nil {
		return err
	}
	a := admission{q: q, batch: q.b.db.NewBatch(), heads: map[uint64]struct{}{}}
	cursor := end
	n, bytes := 0, 0
	for ok := it.First(); ok; ok = it.Next() {
		seq, _ := keyPart(it.Key(), 0)
		if n == readyTarget || bytes > readyBytes {
			cursor = seq
			break
		}
		n, bytes = n+1, bytes+len(it.Value())
		if err := a.event(seq, it.Value()); err != nil {
			return errors.Join(err, it.Close(), a.batch.Close())
		}
	}
	if err := it.Close(); err != nil {
		return errors.Join(err, a.batch.Close())
	}
	must(a.batch.Set(prefix(kindCursor, q.number), uint64Value(cursor), nil))
	if err := q.b.db.Apply(a.batch, pebble.NoSync); err != nil {
		return err
	}
	if err := a.batch.Close(); err != nil {
		return err
	}
	// Only now is memory changed: an error above leaves everything to be admitted again.
	q.cursor = cursor
	for _, l := range a.leases {
		q.hold(l)
	}
	for _, id := range a.followed {
		q.lanes[id].followers = true
	}
	return nil
}

// hold keeps a new head in memory: due now or, if its lane's last head is still being settled, right after.
func (q *queue) hold(l *lease) {
	if l.ordered {
		if busy := q.lanes[l.lane]; busy != nil {
			busy.next = l
			return
		}
		q.lanes[l.lane] = &lane{}
	}
	q.cached += len(l.record)
	q.ready = append(q.ready, l)
}

// admission is one batch of admit.
type admission struct {
	q        *queue
	batch    *pebble.Batch
	leases   []*lease            // new heads
	heads    map[uint64]struct{} // their lanes
	followed []uint64            // lanes with a head in memory, or in leases, that got a follower
	cached   int                 // bytes of the new heads' records
}

func (a *admission) event(seq uint64, record []byte) error {
	_, subject, err := recordSubject(record)
	// A damaged record has no lane that could be trusted: it is leased on its own, where it is found out.
	if err != nil || a.q.settings().Unordered {
		a.head(&lease{seq: seq}, record)
		return nil //nolint:nilerr // see above
	}
	id := laneOf(subject)
	inMemory, busy, err := a.busy(id)
	if err != nil {
		return err
	}
	if !busy {
		must(a.batch.Set(seqKey(kindHead, a.q.number, id), nil, nil))
		a.heads[id] = struct{}{}
		a.head(&lease{seq: seq, lane: id, ordered: true}, record)
		return nil
	}
	must(a.batch.Set(seqKey(kindFollower, a.q.number, id, seq), nil, nil))
	if inMemory {
		a.followed = append(a.followed, id)
	}
	return nil
}

// busy says whether a lane has a head: one of this batch, one in memory, or one that waits for its time on disk.
func (a *admission) busy(id uint64) (inMemory, busy bool, err error) {
	if _, ok := a.heads[id]; ok {
		return true, true, nil
	}
	if lane := a.q.lanes[id]; lane != nil {
		// A head that is being settled with none behind it has left the disk already.
		return true, lane.settling == nil || lane.next != nil, nil
	}
	_, closer, err := a.q.b.db.Get(seqKey(kindHead, a.q.number, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	return false, true, closer.Close()
}

// head adds a head that is due at once. Its timer is one that counts as loaded.
func (a *admission) head(l *lease, record []byte) {
	l.due = a.q.scanned
	if a.cached += len(record); a.q.cached+a.cached <= readyBytes {
		l.record = append([]byte(nil), record...)
	}
	must(a.batch.Set(seqKey(kindTimer, a.q.number, l.due, l.seq), encodeTimer(l), nil))
	a.leases = append(a.leases, l)
}

// promote makes the lane's first follower behind a settled head its head, due at once, or ends the lane. It returns the new head.
func (q *queue) promote(batch *pebble.Batch, settled *lease, followers bool) (*lease, error) {
	id := settled.lane
	if followers {
		it, err := q.b.db.NewIter(&pebble.IterOptions{
			// Followers are younger than their head; what was there before is gone and costs nothing to pass over.
			LowerBound: seqKey(kindFollower, q.number, id, settled.seq),
			UpperBound: prefixEnd(seqKey(kindFollower, q.number, id)),
		})
		if err != nil {
			return nil, err
		}
		found := it.First()
		var seq uint64
		if found {
			seq, found = keyPart(it.Key(), 1)
		}
		if err := it.Close(); err != nil {
			return nil, err
		}
		if found {
			l := &lease{seq: seq, due: q.scanned, lane: id, ordered: true}
			must(batch.Delete(seqKey(kindFollower, q.number, id, seq), nil))
			must(batch.Set(seqKey(kindTimer, q.number, l.due, seq), encodeTimer(l), nil))
			return l, nil
		}
	}
	must(batch.Delete(seqKey(kindHead, q.number, id), nil))
	return nil, nil //nolint:nilnil // the lane has ended
}
