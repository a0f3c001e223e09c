package jetstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// takeOver takes those of some partitions that no other receiver has, with what waits in them.
func (q *queue) takeOver(ctx context.Context, numbers []int) error {
	_, falls := q.mark.get()
	candidates := make([]*partition, 0, len(numbers))
	for _, n := range numbers {
		candidates = append(candidates, &partition{number: n, lanes: map[key]*lane{}})
	}
	got, errs := make([]bool, partitions), make([]error, partitions)
	inParallel(candidates, func(p *partition) { got[p.number], errs[p.number] = q.claim(ctx, p) })
	taken := map[int]*partition{}
	for _, p := range candidates {
		if got[p.number] {
			taken[p.number] = p
		}
	}
	// One that cannot be had holds up no other: this round's trouble is told, and the next one tries again.
	unclaimed := errors.Join(errs...)
	if errors.Is(unclaimed, buffer.ErrFull) {
		q.relieve(ctx, &q.claimRelief, nil)
	}
	if len(taken) == 0 {
		return unclaimed
	}
	// Should this fail, they have this receiver's name and are claimed again.
	if err := q.loadLanes(ctx, taken); err != nil {
		return errors.Join(unclaimed, err)
	}
	clear(errs)
	inParallel(slices.Collect(maps.Values(taken)), func(p *partition) { errs[p.number] = q.count(ctx, p) })
	for n, err := range errs {
		if err != nil {
			delete(taken, n)
		}
	}
	if len(taken) > 0 && !q.install(taken, falls) {
		return errors.New("the stream has fallen back meanwhile")
	}
	return errors.Join(unclaimed, errors.Join(errs...))
}

// claim writes this receiver's name into a partition's cursor, if no other lives that has it.
func (q *queue) claim(ctx context.Context, p *partition) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	m, err := q.last(ctx, q.names.cursor(p.number))
	var before cursor
	switch {
	case errors.Is(err, errNotFound):
		m = &stored{}
	case err != nil:
		return false, err
	case !m.isMarker():
		if before, err = decodeCursor(m.Data); err != nil {
			before, p.damaged = cursor{}, true // as if there were none: delivering again is allowed, and nobody could go on otherwise
		}
	}
	if before.owner != "" && before.owner != q.member {
		lives, err := q.lives(ctx, before.owner)
		if err == nil {
			q.setClaimed(p, false)
		}
		if lives || err != nil {
			return false, err
		}
	}
	q.setClaimed(p, true) // from here on, until it is installed or somebody else's
	want := before
	want.owner, want.epoch, want.write = q.member, before.epoch+1, 1
	p.seq, p.stored = m.Sequence, want
	seq, err := q.publish(ctx, expecting(q.names.cursor(p.number), "", m.Sequence, want.encode()))
	if errors.Is(err, errRefused) {
		return false, nil // another was faster, or an answer was lost: the next round tells
	}
	if err != nil {
		return false, err
	}
	p.seq = seq
	p.read = max(want.floor, 1) - 1
	p.ahead, p.aheadN = want.runs, want.above
	p.dead = int64(want.dead) //nolint:gosec // a count of events
	return true, nil
}

func (q *queue) setClaimed(p *partition, claimed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.claimed[p.number] = claimed
}

// lives says whether a receiver is there. That it was not heard of is not enough: perhaps it is this one that cannot hear.
func (q *queue) lives(ctx context.Context, id string) (bool, error) {
	q.mu.Lock()
	known, alive, beat := q.members[id], q.alive(id), q.beatSeq
	q.mu.Unlock()
	if alive {
		return true, nil
	}
	// A leader that is cut off would not know of its heartbeats either: so a server is asked as well that has this receiver's last one.
	subject, own := q.names.member(id), q.names.member(q.member)
	for _, read := range []func() (*stored, error){
		func() (*stored, error) { return q.last(ctx, subject) },
		func() (*stored, error) { return q.lastSince(ctx, subject, own, beat) },
	} {
		m, err := insist(ctx, read)
		if errors.Is(err, errNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		if len(m.Data) > 0 && string(m.Data) != goodbye && m.Sequence != known.seq {
			q.hear(id, m.Sequence, string(m.Data))
			return true, nil
		}
	}
	return false, nil
}

// stallTime is for how long nothing may come of what waits, however much it is.
const stallTime = 2 * requestTimeout

var errStalled = errors.New("the server sends no more")

// loadLanes reads what is kept of the lanes of partitions. The cursors that were just written come after all of it.
func (q *queue) loadLanes(ctx context.Context, taken map[int]*partition) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(stallTime, func() { cancel(errStalled) })
	defer stalled.Stop()
	var filters []string
	if len(taken) == partitions {
		filters = []string{q.names.root + "h.>", q.names.root + "c.*"}
	} else {
		for n := range taken {
			filters = append(filters, q.names.heads(n), q.names.cursor(n))
		}
	}
	consumer, err := q.consume(ctx, natsjs.OrderedConsumerConfig{FilterSubjects: filters, DeliverPolicy: natsjs.DeliverLastPerSubjectPolicy})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages(natsjs.PullMaxMessages(pullMessages), pullExpiry, pullHeartbeat)
	if err != nil {
		return err
	}
	defer stopWith(ctx, messages)()
	loaded := 0
	for awaited := maps.Clone(taken); len(awaited) > 0; {
		m, err := messages.Next(natsjs.NextContext(ctx))
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return fmt.Errorf("read what waits: %d messages so far: %w", loaded, err)
		}
		stalled.Reset(stallTime)
		loaded++
		if isMarker(m.Headers()) {
			continue
		}
		n, ok := q.names.partitionOf(m.Subject())
		p := taken[n]
		if !ok || p == nil {
			continue
		}
		if m.Subject() == q.names.cursor(n) {
			if meta, err := m.Metadata(); err == nil && meta.Sequence.Stream >= p.seq {
				delete(awaited, n)
			}
			continue
		}
		if err := p.loadLane(m.Subject()[len(q.names.heads(n))-1:], m.Data()); err != nil {
			q.b.o.Log.Error("What is stored of a subject is damaged and its events are not delivered", "endpoint", q.name, "subject", m.Subject(), "error", err)
		}
	}
	return nil
}

// loadLane makes a lane of what is kept.
func (p *partition) loadLane(token string, data []byte) error {
	k, ok := parseKey(token)
	if !ok {
		return errCorrupt
	}
	s, err := decodeKept(data)
	if err != nil {
		return err
	}
	if s.count == 0 {
		delete(p.lanes, k)
		return nil
	}
	ln := &lane{key: k, stored: s}
	ln.head = &entry{p: p, lane: ln, seq: s.seq, attempts: s.attempts, due: s.due, received: s.received, done: true, kept: true}
	p.lanes[k] = ln
	return nil
}

// count finds out how many events of a partition are pending.
func (q *queue) count(ctx context.Context, p *partition) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	there, first, err := q.countFrom(ctx, p.number, p.stored.floor)
	if err != nil {
		return err
	}
	if p.stored.epoch == 1 && first != nil {
		if at, ok := appendedAt(first.Subject); ok && q.b.o.Now().Sub(at) > skew {
			log := q.b.o.Log.With("endpoint", q.name, "stream", q.names.stream, "subject", q.names.cursor(p.number), "events", there)
			if p.damaged {
				log.Error("Cursor of a partition is damaged, or was written by somebody else: all its events are delivered, again if they were before")
			} else {
				log.Error("Cursor of a partition is missing, which somebody has removed from the stream: all its events are delivered, again if they were before")
			}
		}
	}
	p.unread = max(there-int64(p.aheadN), 0) //nolint:gosec // a count of events
	p.pending = 0
	for _, ln := range p.lanes {
		p.pending += int64(ln.stored.count) //nolint:gosec // a count of events
	}
	return nil
}

// countFrom counts the events of a partition from a sequence number on, and returns the first of them.
func (q *queue) countFrom(ctx context.Context, number int, from uint64) (int64, *stored, error) {
	first, err := q.counted(ctx, q.names.events(number), from)
	if errors.Is(err, errNotFound) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	return int64(first.pending) + 1, first, nil //nolint:gosec // a count of messages
}

// install has the queue deliver from partitions that it has taken, unless the stream has fallen back since.
func (q *queue) install(taken map[int]*partition, falls uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, now := q.mark.get(); now != falls {
		return false
	}
	from, behind := ^uint64(0), uint64(0)
	for n, p := range taken {
		q.parts[n], q.claimed[n] = p, false
		from, behind = min(from, p.read), max(behind, p.read)
		if len(p.ahead) > 0 {
			behind = max(behind, p.ahead[len(p.ahead)-1].last)
		}
		for _, ln := range p.lanes {
			q.waiting = append(q.waiting, ln.head)
		}
	}
	q.waiting.drop(nil) // which makes it a heap again
	q.startReader(taken, from, behind)
	q.signal()
	return true
}
