package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/hookbay/hookbay/receiver/buffer"
)

const (
	// hurryInterval is how often room is made while a stream is full.
	hurryInterval = 2 * time.Second
	// skew is by how much the clocks of receivers may differ: nothing is dropped earlier than that after its time is over.
	skew = time.Minute
	// deadPause is how long dead letters are at least left alone.
	deadPause = 10 * time.Minute
	// reasonNotServed is why an event of an endpoint that is gone becomes a dead letter.
	reasonNotServed = "the endpoint was removed before the event could be delivered"
)

// sweepAgainAndAgain drops what is no longer kept, every interval, and every few seconds while a stream is full.
func (b *Buffer) sweepAgainAndAgain() {
	ticks, hurry := time.NewTicker(b.o.SweepInterval), time.NewTicker(hurryInterval)
	defer ticks.Stop()
	defer hurry.Stop()
	for {
		all := false
		select {
		case <-ticks.C:
			all = true
		case <-hurry.C:
		case <-b.ctx.Done():
			return
		}
		for _, sweep := range b.sweeps(all) {
			if !sweep.busy.TryLock() {
				continue // the last one still waits for a write, which must not hold up those of others
			}
			b.running.Go(func() {
				defer sweep.busy.Unlock()
				if err := sweep.do(); err != nil && !b.isClosed() {
					b.o.Log.Warn("Sweep failed", "error", err)
				}
			})
		}
	}
}

// sweep is what is to be done at one time, and what nobody else does meanwhile.
type sweep struct {
	busy *sync.Mutex
	do   func() error
}

// sweeps are those that are due: of all queues, or only of those without room.
func (b *Buffer) sweeps(all bool) []sweep {
	var due []sweep
	for name, q := range b.served() {
		if all || q.full() {
			due = append(due, sweep{&q.sweeping, func() error {
				if err := q.sweep(b.ctx); err != nil {
					return fmt.Errorf("sweep %s: %w", name, err)
				}
				return nil
			}})
		}
	}
	if all && b.o.Alone {
		due = append(due, sweep{&b.sweeping, b.sweepOthers})
	}
	return due
}

// Sweep drops what is no longer kept: old delivered events with their identities, and old dead letters. Of streams that no receiver serves, it
// gives up what is older than their settings say if Options.Alone says so. The buffer does it by itself every Options.SweepInterval.
func (b *Buffer) Sweep() error {
	if b.isClosed() {
		return buffer.ErrClosed
	}
	due := b.sweeps(true)
	errs := make([]error, len(due))
	var running sync.WaitGroup
	for i, sweep := range due {
		running.Go(func() {
			sweep.busy.Lock()
			defer sweep.busy.Unlock()
			errs[i] = sweep.do()
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// sweep drops what is no longer kept of the partitions that this receiver has.
func (q *queue) sweep(ctx context.Context) error {
	if q.usable() != nil {
		return nil //nolint:nilerr // Ready says so, and there will be another time
	}
	s, now := q.settings(), q.b.o.Now()
	keep := max(s.Retention, s.DeduplicationWindow)
	if q.full() {
		keep = s.DeduplicationWindow // what is only kept to look at has to go first
	}
	owned := q.owned()
	if len(owned) == 0 {
		return nil
	}
	// What holds up a cursor is kept with its lane, and cursors of quiet partitions move on: whoever takes one over has little to read again.
	var errs []error
	moved := make([]error, partitions)
	inParallel(owned, func(p *partition) { moved[p.number] = ignoreLost(q.perform(p, &task{spill: q.stuckFor(p, now)})) })
	errs = append(errs, moved...)
	limit, err := q.firstAfter(ctx, now.Add(-keep-skew))
	errs = append(errs, err)
	if err == nil {
		for _, p := range owned {
			below := min(limit, q.oldestPending(p))
			if below <= p.purged {
				continue
			}
			if err := q.purge(ctx, q.names.events(p.number), below); err != nil {
				errs = append(errs, err)
				continue
			}
			p.purged = below
		}
	}
	for _, p := range owned {
		errs = append(errs, q.dropDead(ctx, p, now, s.DeadRetention))
	}
	q.mu.Lock()
	q.lookedAt = time.Time{}
	q.mu.Unlock()
	poke(q.kick)
	return errors.Join(errs...)
}

func ignoreLost(err error) error {
	if errors.Is(err, buffer.ErrLeaseLost) {
		return nil
	}
	return err
}

func (q *queue) owned() []*partition {
	q.mu.Lock()
	defer q.mu.Unlock()
	var ps []*partition
	for _, p := range q.parts {
		if p != nil && !p.lost && !p.leaving {
			ps = append(ps, p)
		}
	}
	return ps
}

// stuckFor says whether the first event that is not done holds up much behind it.
func (q *queue) stuckFor(p *partition, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(p.window) == 0 {
		return false
	}
	first := p.window[0]
	return !first.done && now.Sub(time.Unix(0, first.received)) > skew
}

// oldestPending is the sequence number of the oldest event that is not settled, as is durably known; nothing from it on may go.
func (q *queue) oldestPending(p *partition) uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	oldest := min(p.floor(), p.stored.floor)
	for _, ln := range p.lanes {
		if ln.stored.count > 0 {
			oldest = min(oldest, ln.stored.seq)
		}
		if ln.head != nil {
			oldest = min(oldest, ln.head.seq)
		}
	}
	if p.lost {
		return 0
	}
	return oldest
}

// firstAfter finds the first event that was appended after a time: by halves, since they are about in the order of time.
func (q *queue) firstAfter(ctx context.Context, at time.Time) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 4*requestTimeout)
	defer cancel()
	s, err := q.b.js.Stream(ctx, q.names.stream)
	if err != nil {
		return 0, err
	}
	low, high := s.CachedInfo().State.FirstSeq, s.CachedInfo().State.LastSeq+1
	for low < high {
		middle := low + (high-low)/2
		m, err := q.following(ctx, q.names.allEvents(), middle)
		if errors.Is(err, errNotFound) {
			high = middle
			continue
		}
		if err != nil {
			return 0, err
		}
		if appended, ok := appendedAt(m.Subject); ok && appended.Before(at) {
			low = m.Sequence + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

// purge drops the messages of a filter that are below a sequence number.
func (q *queue) purge(ctx context.Context, filter string, below uint64) error {
	if below <= 1 {
		return nil // zero would be all
	}
	ctx, cancel := context.WithTimeout(ctx, 2*requestTimeout)
	defer cancel()
	s, err := q.b.js.Stream(ctx, q.names.stream)
	if err != nil {
		return err
	}
	return s.Purge(ctx, natsjs.WithPurgeSubject(filter), natsjs.WithPurgeSequence(below))
}

// dropDead drops dead letters up to a time.
func (q *queue) dropDead(ctx context.Context, p *partition, now time.Time, retention time.Duration) error {
	before := q.deadOf(p)
	if before == 0 || now.Before(p.deadDue) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*requestTimeout)
	defer cancel()
	var below uint64
	var dropped int64
	left := false
	err := q.scan(ctx, q.names.deads(p.number), func(m *stored) bool {
		d, err := decodePast(m.Data)
		due := time.Unix(0, d.at).Add(retention)
		if left = err == nil && now.Before(due); left {
			p.deadDue = due
			if later := now.Add(deadPause); later.After(due) {
				p.deadDue = later
			}
			return false
		}
		below, dropped = m.Sequence+1, dropped+1
		return true
	})
	if err == nil {
		err = q.purge(ctx, q.names.deads(p.number), below)
	}
	if err != nil || dropped == 0 {
		return err
	}
	if !left {
		dropped = before // a crash may have left a count that is too high
	}
	q.countDropped(p, dropped)
	return ignoreLost(q.perform(p, &task{}))
}

func (q *queue) deadOf(p *partition) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return p.dead
}
