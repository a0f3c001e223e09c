package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
)

const (
	// readyTarget is how many due heads are held in memory: enough that leasing rarely waits for the disk.
	readyTarget = 512
	// readyBytes bounds the records held with them, so that leasing need not read them again.
	readyBytes = 2 << 20
)

// queue is one endpoint's part of the buffer.
type queue struct {
	b      *Buffer
	name   string
	number uint32
	window window

	config atomic.Pointer[buffer.Settings]
	served atomic.Bool // somebody asked for it since the process began

	appendedTotal uint64        // owned by the committer once it runs
	pending       atomic.Int64  // appended durably, not settled
	dead          atomic.Int64  // kept
	tail          atomic.Uint64 // the last durable sequence number
	oldest        atomic.Uint64 // no pending event is below it

	line     line   // of settlements
	released uint64 // pending events below are covered by a range deletion; owned by the sweeper

	mu       sync.Mutex
	cursor   uint64           // as stored: pending events below it have their places in lanes on disk, those from it on have none
	admitted uint64           // first sequence number that is not in a lane yet
	fresh    []*lease         // what was admitted from cursor on, in order, but for settled events at its beginning
	unkept   int              // settlements since the cursor was stored
	scanned  uint64           // every timer up to this one is in memory
	nextDue  uint64           // when the next one is due; never: there is none
	ready    []*lease         // due heads, in order
	cached   int              // bytes of records in memory that are not leased
	lanes    map[uint64]*lane // the lanes of what is in memory
	settled  uint64           // counter as stored
	deadAll  uint64           // counter as stored
	wake     chan struct{}
	timer    *time.Timer
}

// openQueue reads what is stored of a queue. A zero sequence means that it is new.
func openQueue(b *Buffer, name string, meta queueMeta, sequence uint64) (*queue, error) {
	q := &queue{
		b: b, name: name, number: meta.Number, window: window{number: meta.Number},
		lanes: map[uint64]*lane{}, wake: make(chan struct{}, 1),
	}
	q.config.Store(&meta.Settings)
	q.timer = time.AfterFunc(time.Hour, q.signal)
	q.timer.Stop()
	if err := q.window.load(b.db); err != nil {
		return nil, err
	}
	var err error
	if q.appendedTotal, err = b.getUint64(prefix(kindAppended, q.number)); err != nil {
		return nil, err
	}
	if q.cursor, err = b.getUint64(prefix(kindCursor, q.number)); err != nil {
		return nil, err
	}
	q.admitted = q.cursor
	if q.settled, q.deadAll, err = q.loadSettled(); err != nil {
		return nil, err
	}
	q.pending.Store(int64(q.appendedTotal - q.settled)) //nolint:gosec // a count of events
	q.dead.Store(int64(q.deadAll))                      //nolint:gosec // a count of events
	q.tail.Store(sequence)
	return q, nil
}

func (q *queue) loadSettled() (settled, dead uint64, err error) {
	value, closer, err := q.b.db.Get(prefix(kindSettled, q.number))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	if len(value) != 16 {
		return 0, 0, errors.Join(errCorrupt, closer.Close())
	}
	return binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:]), closer.Close()
}

func (q *queue) settings() buffer.Settings { return *q.config.Load() }

func (q *queue) configure(s buffer.Settings) {
	q.config.Store(&s)
	q.served.Store(true)
	q.signal()
}

// signal wakes one Next that waits; it wakes the next one if there is more.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// durable is called by the committer, in order.
func (q *queue) durable(last, n uint64) {
	q.pending.Add(int64(n)) //nolint:gosec // a count of events
	q.tail.Store(last)
	q.signal()
}

// Next implements buffer.Queue.
func (q *queue) Next(ctx context.Context) (*buffer.Delivery, error) {
	for {
		if err := ctx.Err(); err != nil {
			q.signal() // it may just have been woken: then it is another's turn
			return nil, err
		}
		d, err := q.lease()
		if d != nil || err != nil {
			return d, err
		}
		select {
		case <-q.wake:
		case <-q.b.closed:
			return nil, buffer.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// lease takes the first due head, or returns nil and has the timer set for the next one.
func (q *queue) lease() (*buffer.Delivery, error) {
	release, err := q.b.use()
	if err != nil {
		return nil, err
	}
	defer release()
	for {
		l, err := q.pop()
		if l == nil || err != nil {
			return nil, err
		}
		e, err := q.read(l)
		switch {
		case err == nil:
			e.Endpoint = q.name
			return &buffer.Delivery{Event: e, Attempt: int(l.attempts) + 1, Lease: l}, nil
		case errors.Is(err, pebble.ErrNotFound):
			// Its queue was not served for so long that the event was given up.
			err = q.settle(l, change{gone: true})
		case errors.Is(err, errCorrupt):
			q.b.log.Error("Stored event is corrupt and becomes a dead letter", "endpoint", q.name, "sequence", l.seq)
			err = q.settle(l, change{verdict: buffer.Dead, reason: errCorrupt.Error()})
		default:
			q.Release(&buffer.Delivery{Lease: l})
			return nil, fmt.Errorf("read a stored event: %w", err)
		}
		if err != nil {
			return nil, err
		}
	}
}

// pop takes the first ready head out of memory, after filling up if there is none.
func (q *queue) pop() (*lease, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.ready) == 0 {
		if err := q.fill(); err != nil {
			return nil, err
		}
	}
	if len(q.ready) == 0 {
		return nil, nil //nolint:nilnil // nothing is due
	}
	l := q.ready[0]
	q.ready[0] = nil
	q.ready = q.ready[1:]
	q.cached -= len(l.record)
	if len(q.ready) > 0 || q.admitted <= q.tail.Load() || q.nextDue <= stamp(q.b.now()) {
		q.signal()
	}
	return l, nil
}

// read returns a leased event.
func (q *queue) read(l *lease) (event.Event, error) {
	if l.record != nil {
		return decodeRecord(l.record, l.seq)
	}
	value, closer, err := q.b.db.Get(seqKey(kindPending, q.number, l.seq))
	if err != nil {
		return event.Event{}, err
	}
	l.record = append([]byte(nil), value...)
	if err := closer.Close(); err != nil {
		return event.Event{}, err
	}
	return decodeRecord(l.record, l.seq)
}

// Release implements buffer.Queue.
func (q *queue) Release(d *buffer.Delivery) {
	l, ok := d.Lease.(*lease)
	q.mu.Lock()
	defer q.mu.Unlock()
	if !ok || l.ended {
		return
	}
	q.cached += len(l.record)
	q.ready = append([]*lease{l}, q.ready...)
	q.signal()
}

// Stats implements buffer.Queue.
func (q *queue) Stats() buffer.Stats {
	s := buffer.Stats{Pending: max(q.pending.Load(), 0), Dead: max(q.dead.Load(), 0)}
	if s.Pending == 0 {
		return s
	}
	release, err := q.b.use()
	if err != nil {
		return s
	}
	defer release()
	if received, seq, err := q.firstPending(); err == nil && seq > 0 {
		s.Oldest = received
	}
	return s
}

// firstPending finds the oldest pending event; seq is 0 if there is none. It begins where the last call ended, since numbers only grow.
func (q *queue) firstPending() (received time.Time, seq uint64, err error) {
	it, err := q.b.db.NewIter(&pebble.IterOptions{
		LowerBound: seqKey(kindPending, q.number, q.oldest.Load()),
		UpperBound: prefixEnd(prefix(kindPending, q.number)),
	})
	if err != nil {
		return time.Time{}, 0, err
	}
	if it.First() {
		seq, _ = keyPart(it.Key(), 0)
		if received, _, err = recordSubject(it.Value()); err != nil {
			return time.Time{}, 0, closeWith(it, err)
		}
		q.oldest.Store(seq)
	}
	return received, seq, it.Close()
}

var _ buffer.Queue = (*queue)(nil)
