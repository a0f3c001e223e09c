package disk

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hookbay/hookbay/receiver/buffer"
)

const (
	// sweepChunk bounds one batch of a sweep that has to count what it drops.
	sweepChunk = 1000
	// hurryInterval is how often room is made while the disk is full.
	hurryInterval = time.Second
	// reasonNotServed is why an event of an endpoint that is gone becomes a dead letter.
	reasonNotServed = "the endpoint was removed before the event could be delivered"
)

// sweeper drops what is no longer kept. It runs in one goroutine: every interval, and every second while the disk is full.
type sweeper struct {
	b        *Buffer
	interval time.Duration
	wake     chan struct{}
	quit     chan struct{}
	running  sync.WaitGroup
}

func newSweeper(b *Buffer, interval time.Duration) *sweeper {
	return &sweeper{b: b, interval: interval, wake: make(chan struct{}, 1), quit: make(chan struct{})}
}

func (s *sweeper) start() {
	if s.interval < 0 {
		return
	}
	s.running.Go(s.run)
}

func (s *sweeper) stop() {
	close(s.quit)
	s.running.Wait()
}

// hurry asks for room, soon.
func (s *sweeper) hurry() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *sweeper) run() {
	ticks := time.NewTicker(s.interval)
	defer ticks.Stop()
	// The database's size is looked at more often than anything is swept: the limit in bytes depends on it.
	pulse := time.NewTicker(hurryInterval)
	defer pulse.Stop()
	// Not at once: endpoints that are configured have a minute to ask for their queues before their events count as given up.
	sweep := false
	for {
		if err := s.b.pulse(sweep); err != nil && !errors.Is(err, buffer.ErrClosed) {
			s.b.log.Error("Sweep failed", "error", err)
		}
		sweep = false
		select {
		case <-ticks.C:
			sweep = true
		case <-s.wake:
		case <-pulse.C:
		case <-s.quit:
			return
		}
	}
}

// pulse refreshes what is known of the space, sweeps if asked to, and makes room if there is too little.
func (b *Buffer) pulse(sweep bool) error {
	release, err := b.use()
	if err != nil {
		return err
	}
	defer release()
	b.space.refresh()
	for _, q := range b.allQueues() {
		err = errors.Join(err, q.window.warm(b.db, b.closed))
	}
	if sweep {
		err = errors.Join(err, b.sweep())
	}
	_ = b.space.room() // only to notice that there is little, or enough again
	if b.space.low() {
		err = errors.Join(err, b.makeRoom())
		b.space.refresh()
		_ = b.space.room()
	}
	return err
}

// Sweep drops what is no longer kept: old identities, old delivered events, old dead letters. The buffer does it by itself every
// Options.SweepInterval.
func (b *Buffer) Sweep() error { return b.pulse(true) }

func (b *Buffer) sweep() error {
	var errs []error
	for _, q := range b.allQueues() {
		errs = append(errs, q.sweep(b.now()))
	}
	return errors.Join(errs...)
}

func (q *queue) sweep(now time.Time) error {
	s := q.settings()
	var errs []error
	if first, dropped := q.window.expire(now, s.DeduplicationWindow); dropped {
		errs = append(errs, q.b.db.DeleteRange(prefix(kindIdentity, q.number), bucketPrefix(q.number, first), pebble.NoSync))
	}
	errs = append(errs, q.dropDelivered(stamp(now.Add(-s.Retention))))
	errs = append(errs, q.dropDead(stamp(now.Add(-s.DeadRetention))))
	if !q.served.Load() && s.MaxAge > 0 {
		errs = append(errs, q.giveUp(now.Add(-s.MaxAge)))
	}
	_, err := q.releaseSpace(sweepChunk)
	return errors.Join(append(errs, err)...)
}

// dropDelivered drops delivered events up to a time. One range deletion: whole files go without being read.
func (q *queue) dropDelivered(until uint64) error {
	from, to := prefix(kindDelivered, q.number), seqKey(kindDelivered, q.number, until)
	first, err := q.first(from, to)
	if err != nil || first == nil {
		return err
	}
	return q.b.db.DeleteRange(from, to, pebble.NoSync)
}

// first returns the first key in a range, nil if it is empty.
func (q *queue) first(from, to []byte) ([]byte, error) {
	it, err := q.b.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, err
	}
	var key []byte
	if it.First() {
		key = append(key, it.Key()...)
	}
	return key, it.Close()
}

// dropDead drops dead letters up to a time, and counts them.
func (q *queue) dropDead(until uint64) error {
	gone := effect{dead: -1}
	return q.chunks(prefix(kindDead, q.number), seqKey(kindDead, q.number, until), gone, func(batch *pebble.Batch, key, _ []byte) bool {
		must(batch.Delete(key, nil))
		return true
	})
}

// giveUp makes dead letters of the events received before a time. Their places in lanes stay and are passed over if the queue is ever served again.
func (q *queue) giveUp(before time.Time) error {
	now, until := stamp(q.b.now()), seqKey(kindPending, q.number, q.tail.Load()+1)
	return q.chunks(prefix(kindPending, q.number), until, effect{settled: 1, dead: 1}, func(batch *pebble.Batch, key, value []byte) bool {
		received, _, err := recordSubject(value)
		if err == nil && !received.Before(before) {
			return false
		}
		seq, _ := keyPart(key, 0)
		must(batch.Delete(key, nil))
		must(batch.Set(seqKey(kindDead, q.number, now, seq), appendPast(0, reasonNotServed, value), nil))
		return true
	})
}

// effect is by how much an event that is swept changes the counters.
type effect struct{ settled, dead int }

// chunks walks a range and applies what visit puts into the batches, with the counters, until visit returns false.
func (q *queue) chunks(from, to []byte, each effect, visit func(batch *pebble.Batch, key, value []byte) bool) error {
	for more := true; more; {
		var err error
		if from, more, err = q.chunk(from, to, each, visit); err != nil {
			return err
		}
	}
	return nil
}

// chunk is one batch of chunks. An error leaves the counters as they were, like what they count.
func (q *queue) chunk(from, to []byte, each effect, visit func(batch *pebble.Batch, key, value []byte) bool) (next []byte, more bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it, err := q.b.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, false, err
	}
	batch := q.b.db.NewBatch()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if n == sweepChunk {
			next, more = append(next, it.Key()...), true
			break
		}
		if !visit(batch, it.Key(), it.Value()) {
			break
		}
		n++
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return nil, false, errors.Join(err, batch.Close())
	}
	if n == 0 {
		return nil, false, batch.Close()
	}
	settled := q.settled + uint64(n*each.settled)            //nolint:gosec // not negative
	deadAll := uint64(int64(q.deadAll) + int64(n*each.dead)) //nolint:gosec // a count of events
	must(batch.Set(prefix(kindSettled, q.number), settledValue(settled, deadAll), nil))
	if err := q.b.db.Apply(batch, pebble.NoSync); err != nil {
		return nil, false, errors.Join(err, batch.Close())
	}
	q.settled, q.deadAll = settled, deadAll
	q.dead.Add(int64(n * each.dead))
	q.pending.Add(-int64(n * each.settled))
	return next, more, batch.Close()
}

// releaseSpace covers the settled events below the oldest pending one, which are deleted one by one, with a range deletion, if there are at
// least so many: what lies wholly in it is dropped without being read or written.
func (q *queue) releaseSpace(atLeast uint64) (released bool, err error) {
	// Read first: what is appended after this is beyond it, and stays.
	tail := q.tail.Load()
	_, oldest, err := q.firstPending()
	if err != nil {
		return false, err
	}
	if oldest == 0 {
		oldest = tail + 1
	}
	if oldest < q.released+atLeast {
		return false, nil
	}
	if err := q.b.db.DeleteRange(seqKey(kindPending, q.number, 0), seqKey(kindPending, q.number, oldest), pebble.NoSync); err != nil {
		return false, err
	}
	q.released = oldest
	return true, nil
}

// makeRoom drops delivered events, the older half first, and gives back the space of what is settled. It compacts only ranges in which
// nothing is left: anything else would need room to make room.
func (b *Buffer) makeRoom() error {
	for _, q := range b.allQueues() {
		dropped, err := q.dropOlderHalf()
		if err != nil {
			return err
		}
		released, err := q.releaseSpace(1)
		if err != nil {
			return err
		}
		if dropped == nil && !released {
			continue
		}
		if err := b.db.Flush(); err != nil {
			return err
		}
		if released {
			err = b.compact(prefix(kindPending, q.number), seqKey(kindPending, q.number, q.released))
		}
		if dropped != nil {
			err = errors.Join(err, b.compact(prefix(kindDelivered, q.number), dropped))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// compact works through a range, until it is done or the buffer is closed.
func (b *Buffer) compact(from, to []byte) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer b.guard()
		done <- b.db.Compact(ctx, from, to, false)
	}()
	select {
	case err := <-done:
		return err
	case <-b.closed:
		cancel()
		<-done //nolint:errcheck // that it was told to end
		return buffer.ErrClosed
	}
}

// dropOlderHalf drops the delivered events of the older half of the time that they span. It returns the end of what it dropped, nil if there
// was nothing.
func (q *queue) dropOlderHalf() (end []byte, err error) {
	p := prefix(kindDelivered, q.number)
	first, err := q.first(p, prefixEnd(p))
	if err != nil || first == nil {
		return nil, err
	}
	end = prefixEnd(p)
	since, _ := keyPart(first, 0)
	if now := stamp(q.b.now()); now > since {
		end = seqKey(kindDelivered, q.number, since+(now-since)/2+uint64(time.Second))
	}
	return end, q.b.db.DeleteRange(p, end, pebble.NoSync)
}
