package jetstream

import (
	"container/heap"
	"context"
	"errors"
	"fmt"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// pop leases a head that is due, nil if there is none: new ones and those to be tried again in turns, so that however many fail again and again,
// new ones have their turn.
func (q *queue) pop() *entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.leasing() {
		return nil
	}
	e := q.first(q.b.o.Now().UnixNano())
	if e == nil {
		q.arm()
		return nil
	}
	e.leased = true
	e.p.leased++
	if len(q.fresh) > 0 {
		q.signal()
	} else {
		q.arm()
	}
	return e
}

func (q *queue) first(now int64) *entry {
	due := len(q.waiting) > 0 && q.waiting[0].due <= now
	q.turn = !q.turn
	if due && (q.turn || len(q.fresh) == 0) {
		e, _ := heap.Pop(&q.waiting).(*entry)
		return e
	}
	if len(q.fresh) == 0 {
		return nil
	}
	e := q.fresh[0]
	q.fresh[0] = nil
	if q.fresh = q.fresh[1:]; len(q.fresh) == 0 {
		q.fresh = nil
	}
	return e
}

// hand makes a delivery of a leased head, reading what is not in memory. It returns neither that nor an error if there was none to deliver.
func (q *queue) hand(ctx context.Context, e *entry) (*buffer.Delivery, error) {
	d := &buffer.Delivery{Lease: e, Attempt: int(e.attempts) + 1}
	err := q.complete(ctx, e)
	if err == nil && !q.mayHand(e.p) {
		err = buffer.ErrLeaseLost
	}
	if err == nil {
		d.Event, err = decodeEvent(e.record)
	}
	switch {
	case err == nil:
		d.Event.Endpoint = q.name
		return d, nil
	case errors.Is(err, errCorrupt):
		q.b.o.Log.Error("Stored event is damaged and becomes a dead letter", "endpoint", q.name, "sequence", e.seq)
		err = q.perform(e.p, &task{lease: e, verdict: buffer.Dead, reason: reasonCorrupt})
	case errors.Is(err, errNotFound):
		q.b.o.Log.Error("Event is no longer in the stream, which somebody else has removed it from or which has a maximum age, and is given up",
			"endpoint", q.name, "stream", q.names.stream, "sequence", e.seq)
		err = q.perform(e.p, &task{lease: e, verdict: buffer.Delivered})
	case errors.Is(err, buffer.ErrLeaseLost):
		q.Release(d)
	default:
		q.Release(d)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("read a stored event: %w", err)
	}
	if errors.Is(err, buffer.ErrLeaseLost) {
		err = nil
	}
	return nil, err
}

// mayHand says whether an event of a partition may be handed out still: reading it may have taken longer than the lease.
func (q *queue) mayHand(p *partition) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.leasing() && !p.lost && !p.leaving
}

// complete reads what is not in memory of a leased head: its record, and the names of its followers.
func (q *queue) complete(ctx context.Context, e *entry) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	q.mu.Lock()
	ln, need := e.lane, e.record == nil
	var followers string
	if ln.needsChunk() {
		followers = q.names.followers(e.p.number, ln.key, ln.stored.chunks[0].first)
	}
	q.mu.Unlock()
	if followers != "" {
		if err := q.loadChunk(ctx, e, followers); err != nil {
			return err
		}
	}
	if !need {
		return nil
	}
	m, err := insist(ctx, func() (*stored, error) { return q.at(ctx, e.seq) })
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if received, _, err := glance(m.Data); err == nil {
		e.received = received.UnixNano()
		if e.kept && ln.stored.seq == e.seq {
			ln.stored.received = e.received
		}
	}
	e.record = m.Data
	return nil
}

// loadChunk reads the followers that come after a head.
func (q *queue) loadChunk(ctx context.Context, e *entry, subject string) error {
	m, err := q.last(ctx, subject)
	if errors.Is(err, errNotFound) {
		// They may be in a write that is under way, or the server is one that is cut off. What is written now comes after them.
		if err := q.perform(e.p, &task{}); err != nil {
			return err
		}
		q.mu.Lock()
		cursor, seq := q.names.cursor(e.p.number), e.p.seq
		q.mu.Unlock()
		m, err = insist(ctx, func() (*stored, error) { return q.lastSince(ctx, subject, cursor, seq) })
	}
	if err != nil && !errors.Is(err, errNotFound) {
		return err
	}
	var seqs []uint64
	if err == nil {
		seqs, err = decodeChunk(m.Data)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	ln := e.lane
	for len(seqs) > 0 && seqs[0] <= e.seq {
		seqs = seqs[1:]
	}
	if ln.current = seqs; len(seqs) > 0 {
		return nil
	}
	// Somebody has meddled with the stream. What cannot be found must not hold up the rest.
	k := &ln.stored
	gone := min(uint64(k.chunks[0].count), k.count-1-uint64(len(k.inline)))
	k.chunks, k.count = k.chunks[1:], k.count-gone
	e.p.pending -= int64(gone) //nolint:gosec // a count of events
	q.b.o.Log.Error("Stored list of events that wait is damaged or missing, and they are not delivered", "endpoint", q.name, "subject", subject,
		"events", gone, "error", err)
	return nil
}
