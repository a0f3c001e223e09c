package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
)

// overhead is roughly what a message takes beside its body: its subject, its headers and the server's own.
const overhead = 200

// addition is an event that is to be appended.
type addition struct {
	received  int64 // in Unix nanoseconds
	partition int
	identity  string // its subject, but for the last token
	subject   string
	expected  uint64 // the last sequence number of its identity
	record    []byte
	duplicate bool
}

// Append implements buffer.Queue. More than a thousand events are stored in parts, each all or none.
func (q *queue) Append(ctx context.Context, events []event.Event) (buffer.Appended, error) {
	if q.isClosed() {
		return buffer.Appended{}, buffer.ErrClosed
	}
	if len(events) == 0 {
		return buffer.Appended{}, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(q.ctx, cancel)()
	if err := q.awaitUsable(ctx); err != nil {
		return buffer.Appended{}, err
	}
	window := q.settings().DeduplicationWindow
	additions, size := q.prepare(events, window > 0)
	if err := q.tooLarge(additions); err != nil {
		return buffer.Appended{}, err
	}
	if q.full() || !q.fits(size) {
		return buffer.Appended{}, q.errFull()
	}
	result := make(chan outcome, 1)
	// The client may wait for a connection that takes nothing any more, whatever the context says.
	go func() {
		stored, err := q.addAll(ctx, additions, window)
		result <- outcome{stored, err}
	}()
	var o outcome
	select {
	case o = <-result:
	case <-ctx.Done():
		o.err = ctx.Err()
	}
	if o.err != nil {
		return buffer.Appended{}, q.explainAppend(ctx, o.err)
	}
	q.since.Add(int64(size))
	return buffer.Appended{Stored: o.stored, Duplicates: len(events) - o.stored}, nil
}

// outcome is what came of additions.
type outcome struct {
	stored int
	err    error
}

// addAll stores additions in as many parts as it takes.
func (q *queue) addAll(ctx context.Context, additions []*addition, window time.Duration) (stored int, err error) {
	for len(additions) > 0 {
		n := min(len(additions), maxBatch)
		more, err := q.add(ctx, additions[:n], window)
		if err != nil {
			return stored, err
		}
		stored += more
		additions = additions[n:]
	}
	return stored, nil
}

// awaitUsable waits until the stream was seen as it should be.
func (q *queue) awaitUsable(ctx context.Context) error {
	var pause backoff
	for {
		err := q.usable()
		if err == nil {
			return nil
		}
		if !errors.Is(err, errUnchecked) && !errors.Is(err, errAway) {
			return fmt.Errorf("stream %s: %w", q.names.stream, err)
		}
		if pause.wait(ctx) != nil {
			return q.explainAppend(ctx, fmt.Errorf("stream %s: %w", q.names.stream, err))
		}
	}
}

// explainAppend says why nothing was stored.
func (q *queue) explainAppend(ctx context.Context, err error) error {
	switch {
	case q.isClosed():
		return buffer.ErrClosed
	case errors.Is(err, buffer.ErrFull):
		q.bytes.Add(max(q.limit.Load()-q.bytes.Load(), 0)) // until it is looked at again
		return err
	case ctx.Err() == nil:
		return fmt.Errorf("store events in stream %s: %w", q.names.stream, err)
	}
	if away := q.b.connected(); away != nil {
		return fmt.Errorf("store events in stream %s: %w: %w", q.names.stream, ctx.Err(), away)
	}
	if errors.Is(err, ctx.Err()) {
		return fmt.Errorf("store events in stream %s: no acknowledgement in time: %w", q.names.stream, err)
	}
	return fmt.Errorf("store events in stream %s: %w: %w", q.names.stream, ctx.Err(), err)
}

// prepare makes additions of events, but for repeats within them.
func (q *queue) prepare(events []event.Event, unique bool) (additions []*addition, size int) {
	seen := map[string]bool{}
	for i := range events {
		e := &events[i]
		a := &addition{received: e.Received.UnixNano(), partition: partitionFor(e.Subject), record: encodeEvent(e)}
		a.identity = q.names.identity(a.partition, e.ID)
		if unique && len(events) > 1 {
			if seen[a.identity] {
				continue
			}
			seen[a.identity] = true
		}
		additions = append(additions, a)
		size += len(a.record) + overhead
	}
	return additions, size
}

// message is what is published of an addition: it is refused if there is an event of its identity that it does not expect.
func (a *addition) message(window time.Duration) *nats.Msg {
	if window == 0 {
		return message(a.subject, a.record)
	}
	return expecting(a.subject, a.identity+"*", a.expected, a.record)
}

// add stores additions, all or none, but for repeats, and returns how many it has stored.
func (q *queue) add(ctx context.Context, additions []*addition, window time.Duration) (int, error) {
	gen := generation(q.b.o.Now())
	for _, a := range additions {
		a.subject = a.identity + gen
	}
	var pause backoff
	for {
		var fresh []*addition
		var messages []*nats.Msg
		for _, a := range additions {
			if !a.duplicate {
				fresh, messages = append(fresh, a), append(messages, a.message(window))
			}
		}
		if len(fresh) == 0 {
			return 0, nil
		}
		seq, err := q.publish(ctx, messages...)
		if err == nil {
			q.added(fresh, seq)
			return len(fresh), nil
		}
		if ctx.Err() != nil || errors.Is(err, buffer.ErrFull) || errors.Is(err, buffer.ErrTooLarge) {
			return 0, err
		}
		// Refused, or without an answer: then it may be stored.
		mine, err2 := q.lookUp(ctx, fresh, window)
		if err2 != nil && ctx.Err() != nil {
			return 0, errors.Join(err, err2)
		}
		if err2 == nil && mine {
			return len(fresh), nil
		}
		if err := pause.wait(ctx); err != nil {
			return 0, errors.Join(err, err2)
		}
	}
}

// added notes that additions are stored, the last of them with this sequence number.
func (q *queue) added(additions []*addition, last uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, a := range additions {
		seq := last - uint64(len(additions)-1-i) //nolint:gosec // an index
		p := q.parts[a.partition]
		if p == nil || p.reader == nil || seq <= p.reader.position || len(q.appended) >= maxAppended {
			continue
		}
		q.appended[seq] = appended{partition: a.partition, received: a.received}
	}
}

// lookUp finds out which additions there is an event of already, and whether it is these very additions. What the leader has not may be under way.
func (q *queue) lookUp(ctx context.Context, additions []*addition, window time.Duration) (mine bool, err error) {
	now := q.b.o.Now()
	for _, a := range additions {
		filter := a.subject
		if window > 0 {
			filter = a.identity + "*"
		}
		m, err := q.last(ctx, filter)
		if errors.Is(err, errNotFound) {
			a.expected = 0
			continue
		}
		if err != nil {
			return false, err
		}
		if m.Subject == a.subject {
			mine = true // and so are all, since they are stored all or none
			continue
		}
		if at, ok := appendedAt(m.Subject); ok && now.Sub(at) >= window {
			a.expected = m.Sequence
			continue
		}
		a.duplicate = true
	}
	if mine {
		for _, a := range additions {
			a.duplicate = false
		}
	}
	return mine, nil
}
