package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// The steps by which room is made for a write that is refused for want of it, in this order, and again from the first.
const (
	dropDelivered  = iota // delivered events that are older than the window
	dropDead              // the oldest dead letters
	dropCopies            // the copies of events in the dead letters of the write itself
	dropIdentities        // delivered events that are younger than the window
	reliefSteps
)

// deadShare is which part of a stream's limit is made free at once by dropping dead letters.
const deadShare = 50

// relief is how far a write has come with these steps.
type relief struct {
	step  int
	seen  uint64 // how often room had been made before the write was tried last
	round int    // how often step dropIdentities was taken
}

// relieve takes the next step for a write that was refused, and returns what is to be written now. It needs no partition's line, so that whoever holds
// one gets on by himself, and nothing new in the stream.
func (q *queue) relieve(ctx context.Context, r *relief, messages []*nats.Msg) []*nats.Msg {
	q.relieving.Lock()
	defer q.relieving.Unlock()
	if seen := q.relieved.Load(); seen != r.seen {
		r.seen = seen
		return messages // another one has made room meanwhile
	}
	s, now := q.settings(), q.b.o.Now()
	step := r.step
	r.step = (r.step + 1) % reliefSteps
	var err error
	switch step {
	case dropDelivered:
		err = q.dropSettled(ctx, now.Add(-s.DeduplicationWindow-skew))
	case dropDead:
		err = q.dropOldestDead(ctx, messages)
	case dropCopies:
		return q.withoutCopies(messages, 0)
	case dropIdentities:
		r.round++
		keep := s.DeduplicationWindow >> min(r.round, 16)
		q.b.o.Log.Error("Stream is full, and identities are forgotten before the end of the deduplication window: raise maxBytes",
			"endpoint", q.name, "stream", q.names.stream, "remembered", keep)
		err = q.dropSettled(ctx, now.Add(-keep))
	}
	r.seen = q.relieved.Add(1)
	if err != nil {
		q.trouble(fmt.Errorf("make room in the full stream: %w", err))
	}
	return messages
}

// dropSettled drops the events that were appended before a time and are settled, as is durably known: those of all partitions, whoever has them. A
// partition's oldest event that is not settled never gets older.
func (q *queue) dropSettled(ctx context.Context, before time.Time) error {
	limit, err := q.firstAfter(ctx, before)
	if err != nil {
		return err
	}
	// The cursors come first, and then all heads that are as new: what a later cursor counts as done is kept with an older head or settled.
	cursors := map[int]*partition{}
	ps := make([]*partition, partitions)
	for n := range ps {
		ps[n] = &partition{number: n, lanes: map[key]*lane{}}
	}
	errs := make([]error, partitions)
	inParallel(ps, func(p *partition) {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		m, err := q.last(ctx, q.names.cursor(p.number))
		if err == nil {
			p.seq = m.Sequence
			p.stored, err = decodeCursor(m.Data)
		}
		errs[p.number] = err
	})
	for n, err := range errs {
		if err == nil {
			cursors[n] = ps[n]
		}
	}
	if len(cursors) == 0 {
		return nil
	}
	if err := q.loadLanes(ctx, cursors); err != nil {
		return err
	}
	var all []error
	for n, p := range cursors {
		below := min(limit, p.stored.floor)
		for _, ln := range p.lanes {
			below = min(below, ln.stored.seq)
		}
		all = append(all, q.purge(ctx, q.names.events(n), below))
	}
	return errors.Join(all...)
}

// dropOldestDead drops dead letters of the partitions that this receiver has, or if it has none, of any.
func (q *queue) dropOldestDead(ctx context.Context, messages []*nats.Msg) error {
	need := q.limit.Load() / deadShare
	for _, m := range messages {
		need += int64(len(m.Data)) + overhead
	}
	owned := map[int]*partition{}
	for _, p := range q.owned() {
		owned[p.number] = p
	}
	below, dropped := map[int]uint64{}, map[int]int64{}
	ctx, cancel := context.WithTimeout(ctx, 4*requestTimeout)
	defer cancel()
	err := q.scan(ctx, q.names.root+"d.>", func(m *stored) bool {
		n, ok := q.names.partitionOf(m.Subject)
		if !ok || len(owned) > 0 && owned[n] == nil {
			return true
		}
		below[n], dropped[n] = m.Sequence+1, dropped[n]+1
		need -= int64(len(m.Data)) + overhead
		return need > 0
	})
	if err != nil {
		return err
	}
	var errs []error
	var sum int64
	for n, seq := range below {
		if err := q.purge(ctx, q.names.deads(n), seq); err != nil {
			errs = append(errs, err)
			continue
		}
		sum += dropped[n]
		if p := owned[n]; p != nil {
			q.countDropped(p, dropped[n])
		}
	}
	if sum > 0 {
		q.b.o.Log.Error("Stream is full, and dead letters are dropped before the end of their retention: raise maxBytes",
			"endpoint", q.name, "stream", q.names.stream, "dropped", sum)
	}
	return errors.Join(errs...)
}

// countDropped notes that dead letters are gone. The next cursor says so.
func (q *queue) countDropped(p *partition, n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p.dead = max(p.dead-n, 0)
	p.stored.dead -= min(uint64(max(n, 0)), p.stored.dead)
}

// withoutCopies replaces dead letters that are larger than a limit by such as only tell of the event, which is in the stream as long as its identity.
func (q *queue) withoutCopies(messages []*nats.Msg, limit int) []*nats.Msg {
	for i, m := range messages {
		if !q.names.isDead(m.Subject) || len(m.Data) <= limit {
			continue
		}
		d, err := decodePast(m.Data)
		if err != nil || len(d.record) == 0 {
			continue
		}
		id := "unknown"
		if e, err := decodeEvent(d.record); err == nil {
			id = e.ID.String()
		}
		q.b.o.Log.Error("Dead letter is kept without its event, for which there is no room in the stream", "endpoint", q.name, "stream", q.names.stream,
			"id", id, "reason", d.reason)
		d.record = nil
		messages[i] = message(m.Subject, d.encode())
	}
	return messages
}

const (
	// silence is for how long a write may fail before Ready tells of it.
	silence = 30 * time.Second
	// tellAgain is after what time the same trouble is logged again.
	tellAgain = time.Minute
)

// notStored notes that a write of a partition's state failed.
func (q *queue) notStored(p *partition, err error) {
	q.mu.Lock()
	if p.failing.IsZero() {
		p.failing = time.Now()
	}
	p.failure = err
	q.mu.Unlock()
	q.trouble(fmt.Errorf("store what came of deliveries: %w", err))
}

// stuck says why what came of deliveries could not be stored for long. It is called with queue.mu held.
func (q *queue) stuck() error {
	for _, p := range q.parts {
		if p != nil && !p.failing.IsZero() && time.Since(p.failing) > silence {
			return fmt.Errorf("what came of deliveries could not be stored since %s: %w", p.failing.UTC().Format(time.RFC3339), p.failure)
		}
	}
	return nil
}

// maxReason bounds why an event is dead, in bytes.
const maxReason = 512

// headroom is what a message may need beside an event's record, with its headers and what a dead letter has more.
const headroom = 2048 + maxReason

// minMessage is how large the messages of a stream must be allowed to be at least.
const minMessage = 64 << 10

// tooLarge says which event has no place in a message, or would have none as a dead letter.
func (q *queue) tooLarge(additions []*addition) error {
	limit := q.maxMessage.Load()
	if limit <= 0 {
		return nil
	}
	for _, a := range additions {
		if size := int64(len(a.record)) + headroom; size > limit {
			return fmt.Errorf("%w: it takes %d bytes and a message of stream %s may have %d: raise max_payload of the NATS servers, and max_msg_size of the stream if it has one",
				buffer.ErrTooLarge, size, q.names.stream, limit)
		}
	}
	return nil
}
