package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"
)

const (
	// pullMessages and pullBytes are how much is asked of the server at a time.
	pullMessages = 256
	pullBytes    = 4 << 20
	// maxAppended bounds what is remembered of events that were appended here and are not read yet, which only makes Stats exact.
	maxAppended = 4096
)

// A server that is gone without a word is noticed after two heartbeats, and another one is asked. nats.go's defaults are 15 s for a heartbeat.
const (
	pullExpiry    = natsjs.PullExpiry(5 * time.Second)
	pullHeartbeat = natsjs.PullHeartbeat(time.Second)
)

// reader reads the events of some partitions, those that were taken at one moment, in their order.
type reader struct {
	cancel   context.CancelFunc
	parts    map[int]*partition
	position uint64 // every event of them up to this one was read; guarded by queue.mu
	behind   uint64 // up to here, events of some partitions were done before they were taken
	pending  int64  // how many there are to be read, as last heard
	heard    bool
	stale    bool // it reads for partitions that are lost
}

// filters are the subjects of a reader's events.
func (q *queue) filters(parts map[int]*partition) []string {
	if len(parts) == partitions {
		return []string{q.names.allEvents()}
	}
	var f []string
	for n := range parts {
		f = append(f, q.names.events(n))
	}
	return f
}

// startReader is called with queue.mu held.
func (q *queue) startReader(parts map[int]*partition, position, behind uint64) {
	ctx, cancel := context.WithCancel(q.ctx)
	rd := &reader{cancel: cancel, parts: parts, position: position, behind: behind}
	for _, p := range parts {
		p.reader = rd
	}
	q.readers[rd] = true
	filters := q.filters(parts)
	q.running.Go(func() { q.read(ctx, rd, filters) })
}

// read is a reader's goroutine.
func (q *queue) read(ctx context.Context, rd *reader, filters []string) {
	var pause backoff
	for ctx.Err() == nil {
		err := q.readOn(ctx, rd, filters, &pause)
		if ctx.Err() != nil {
			return
		}
		q.trouble(fmt.Errorf("read events: %w", err))
		if pause.wait(ctx) != nil {
			return
		}
	}
}

// abandoned is after how long a server drops a consumer that nobody asks any more, as its receiver was killed or has lost its connection.
const abandoned = 30 * time.Second

// resets is how often nats.go makes a consumer anew by itself, before whoever reads hears of it.
const resets = 3

// stopWith stops reading when the context ends, or when what it returns is called: while nats.go makes a consumer anew, Next does not look at its
// context.
func stopWith(ctx context.Context, messages natsjs.MessagesContext) func() {
	ended := context.AfterFunc(ctx, messages.Stop)
	return func() {
		if ended() {
			messages.Stop()
		}
	}
}

// consume makes a consumer that reads messages in their order, once.
func (q *queue) consume(ctx context.Context, c natsjs.OrderedConsumerConfig) (natsjs.Consumer, error) {
	c.InactiveThreshold, c.MaxResetAttempts = abandoned, resets
	return q.b.js.OrderedConsumer(ctx, q.names.stream, c)
}

// readOn reads until something fails.
func (q *queue) readOn(ctx context.Context, rd *reader, filters []string, pause *backoff) error {
	q.mu.Lock()
	from := rd.position + 1
	q.mu.Unlock()
	consumer, err := q.consume(ctx, natsjs.OrderedConsumerConfig{
		FilterSubjects: filters, DeliverPolicy: natsjs.DeliverByStartSequencePolicy, OptStartSeq: from,
	})
	if err != nil {
		return err
	}
	limit := max(pullBytes, 2*int(q.b.nc.MaxPayload()))
	messages, err := consumer.Messages(natsjs.PullMaxMessagesWithBytesLimit(pullMessages, limit), pullExpiry, pullHeartbeat)
	if err != nil {
		return err
	}
	defer stopWith(ctx, messages)()
	for {
		m, err := messages.Next(natsjs.NextContext(ctx))
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		*pause = backoff{}
		if err := q.makeRoom(ctx); err != nil {
			return err
		}
		q.mark.raise(meta.Sequence.Stream)
		q.mu.Lock()
		if isMarker(m.Headers()) {
			rd.position = max(rd.position, meta.Sequence.Stream)
		} else {
			q.take(rd, m.Subject(), meta.Sequence.Stream, m.Data())
		}
		rd.pending, rd.heard = int64(meta.NumPending), true //nolint:gosec // a count of messages
		q.mu.Unlock()
	}
}

// makeRoom waits until one more event may be held in memory.
func (q *queue) makeRoom(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.moved.Broadcast()
	})
	defer stop()
	for q.held >= maxHeld || q.heldBytes >= maxHeldBytes {
		if err := ctx.Err(); err != nil {
			return err
		}
		ps := q.stuffed()
		if len(ps) == 0 {
			q.moved.Wait()
			continue
		}
		q.mu.Unlock()
		var errs []error
		for _, p := range ps {
			errs = append(errs, q.perform(p, &task{spill: true}))
		}
		q.mu.Lock()
		if errors.Join(errs...) != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// take gives an event that was read its place in a lane. It is called with queue.mu held.
func (q *queue) take(rd *reader, subject string, seq uint64, record []byte) {
	rd.position = max(rd.position, seq)
	delete(q.appended, seq)
	n, ok := q.names.partitionOf(subject)
	if !ok {
		return
	}
	p := rd.parts[n]
	if p == nil || p.lost || p.reader != rd || seq <= p.read {
		return
	}
	p.read = seq
	if p.doneAlready(seq) {
		if len(p.window) > 0 {
			p.window = append(p.window, &entry{seq: seq, done: true})
			q.held++
		}
		return
	}
	p.unread = max(p.unread-1, 0)
	p.pending++
	e := &entry{p: p, seq: seq, record: record}
	k := key{n: seq, alone: true}
	if received, of, err := glance(record); err == nil { // one that is damaged is found out when it is leased
		e.received = received.UnixNano()
		if !q.settings().Unordered {
			k = laneOf(of)
		}
	}
	p.window = append(p.window, e)
	q.held++
	q.heldBytes += len(record)
	e.lane = p.lanes[k]
	if e.lane != nil {
		e.lane.follow(e)
		return
	}
	e.lane = &lane{key: k, head: e}
	p.lanes[k] = e.lane
	if !p.leaving {
		q.fresh = append(q.fresh, e)
		q.signal()
	}
}
