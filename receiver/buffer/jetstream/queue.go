package jetstream

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// reasonCorrupt is why an event that cannot be read becomes a dead letter.
const reasonCorrupt = "the stored event is damaged"

// queue is one endpoint's events: a stream, and the partitions of it that this receiver has.
type queue struct {
	b      *Buffer
	name   string
	names  names
	member string // names this queue among the receivers of its stream

	config atomic.Pointer[buffer.Settings]
	bytes  atomic.Int64 // what the stream takes, as last heard
	limit  atomic.Int64 // what it may take; zero: all
	since  atomic.Int64 // appended since bytes was heard

	maxMessage  atomic.Int64 // how large a message may be; zero: not known
	sweeping    sync.Mutex   // held by whoever sweeps
	relieving   sync.Mutex   // held by whoever makes room in a full stream
	relieved    atomic.Uint64
	beatRelief  relief // of the heart
	claimRelief relief // of the keeper

	ctx        context.Context //nolint:containedctx // it ends what the queue runs, when it is closed
	cancel     context.CancelFunc
	running    sync.WaitGroup
	started    chan struct{} // closed when the first round of taking partitions is over
	startOnce  sync.Once
	kick       chan struct{} // wakes the keeper
	stopKeeper func()
	beatNow    chan struct{} // wakes the heart

	mu          sync.Mutex
	moved       sync.Cond // memory may be free, or a lease has ended
	parts       [partitions]*partition
	readers     map[*reader]bool
	fresh       []*entry // heads that are due, in order
	waiting     waiting  // heads that wait for their time
	turn        bool     // whose: false, the fresh ones'
	appended    map[uint64]appended
	held        int // entries of all windows
	heldBytes   int
	beat        time.Time // when the heart beat last, as the stream has taken it
	beatSeq     uint64    // that heartbeat
	members     map[string]member
	known       bool      // the members that there were at the start are known
	streamErr   error     // why the stream cannot be used
	notDeclared error     // what of it is not as declared, though it can be used
	declaredAt  time.Time // when it was last made as declared
	lookedAt    time.Time // when it was looked at last
	made        time.Time // when the stream was made
	waited      [4]int64  // how many events waited here, at the last ticks of the keeper
	lastErr     error     // what failed last in the background, nil again after a beat
	told        string    // the trouble that was logged last
	toldAt      time.Time // and when
	handovers   uint64
	// claimed are partitions whose cursors may name this receiver although it does not have them: nobody else takes them while it lives, so it does, whoever is best.
	claimed [partitions]bool

	mark  mark
	wake  chan struct{}
	timer *time.Timer
}

// appended is an event that was appended here and is not read yet.
type appended struct {
	partition int
	received  int64
}

func newQueue(b *Buffer, endpoint string, s buffer.Settings) *queue {
	var id [8]byte
	_, _ = rand.Read(id[:]) // it never fails
	q := &queue{
		member: hex.EncodeToString(id[:]),
		b:      b, name: endpoint, names: namesOf(b.o.Prefix, endpoint, b.o.Stream),
		started: make(chan struct{}), kick: make(chan struct{}, 1), beatNow: make(chan struct{}, 1),
		readers: map[*reader]bool{}, appended: map[uint64]appended{}, members: map[string]member{},
		wake: make(chan struct{}, 1), streamErr: errUnchecked,
	}
	q.moved.L = &q.mu
	q.config.Store(&s)
	q.ctx, q.cancel = context.WithCancel(b.ctx)
	q.timer = time.AfterFunc(time.Hour, q.signal)
	q.timer.Stop()
	return q
}

func (q *queue) settings() buffer.Settings { return *q.config.Load() }

// configure gives the queue other settings, and has the stream remember them.
func (q *queue) configure(s buffer.Settings) {
	if q.settings() == s {
		return
	}
	q.config.Store(&s)
	q.declareSoon()
	poke(q.kick)
}

// poke wakes whoever waits on a channel of one.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// signal wakes one Next that waits; it wakes the next one if there is more.
func (q *queue) signal() { poke(q.wake) }

// arm sets the timer for the head that is due next. It is called with queue.mu held.
func (q *queue) arm() {
	if len(q.waiting) == 0 {
		return
	}
	wait := time.Duration(max(q.waiting[0].due-q.b.o.Now().UnixNano(), 0))
	if wait == 0 {
		q.signal()
		return
	}
	q.timer.Reset(min(wait, time.Hour))
}

// Next implements buffer.Queue.
func (q *queue) Next(ctx context.Context) (*buffer.Delivery, error) {
	for {
		if err := ctx.Err(); err != nil {
			q.signal() // it may just have been woken: then it is another's turn
			return nil, err
		}
		if q.isClosed() {
			return nil, buffer.ErrClosed
		}
		if e := q.pop(); e != nil {
			d, err := q.hand(ctx, e)
			if d != nil || err != nil {
				return d, err
			}
			continue
		}
		select {
		case <-q.wake:
		case <-q.ctx.Done():
			return nil, buffer.ErrClosed
		case <-q.b.closed:
			return nil, buffer.ErrClosed
		case <-ctx.Done():
		}
	}
}

func (q *queue) isClosed() bool { return q.ctx.Err() != nil || q.b.isClosed() }

// Settle implements buffer.Queue. It does not stop half-way when ctx ends: what came of the attempt is worth a wait. It returns
// buffer.ErrLeaseLost if another receiver has taken the partition meanwhile, and delivers the event again.
func (q *queue) Settle(_ context.Context, d *buffer.Delivery, o buffer.Outcome) error {
	if q.isClosed() {
		return buffer.ErrClosed
	}
	e, ok := d.Lease.(*entry)
	if !ok {
		return errors.New("settle: not a delivery of this buffer")
	}
	return q.perform(e.p, &task{lease: e, verdict: o.Verdict, retryAt: o.RetryAt, reason: o.Reason})
}

// Release implements buffer.Queue.
func (q *queue) Release(d *buffer.Delivery) {
	e, ok := d.Lease.(*entry)
	if !ok {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.ended || !e.leased {
		return
	}
	again := *e // the handle is void from now on
	e.ended = true
	again.leased = false
	e.p.leased--
	q.moved.Broadcast()
	if e.p.lost {
		return
	}
	q.replace(e, &again)
	if e.p.leaving {
		poke(q.kick)
		return
	}
	q.fresh = append([]*entry{&again}, q.fresh...)
	q.signal()
}

// replace puts a copy in the place of a head.
func (q *queue) replace(e, again *entry) {
	if e.lane.head == e {
		e.lane.head = again
	}
	if e.done {
		return
	}
	for i, other := range e.p.window {
		if other == e {
			e.p.window[i] = again
			return
		}
	}
}

// Stats implements buffer.Queue: what the partitions hold that this receiver has.
func (q *queue) Stats() buffer.Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := buffer.Stats{Pending: q.pending()}
	oldest := int64(math.MaxInt64)
	for _, p := range q.parts {
		if p == nil {
			continue
		}
		s.Dead += p.dead
		for _, e := range p.window {
			if !e.done {
				oldest = min(oldest, e.received)
				break
			}
		}
		for _, ln := range p.lanes {
			if ln.stored.count > 0 {
				oldest = min(oldest, ln.stored.received)
			}
		}
	}
	for _, a := range q.appended {
		oldest = min(oldest, a.received)
	}
	if s.Pending > 0 && oldest < math.MaxInt64 {
		s.Oldest = time.Unix(0, oldest).UTC()
	}
	return s
}

// pending counts what waits here. It is called with queue.mu held.
func (q *queue) pending() int64 {
	n := q.unread()
	for _, p := range q.parts {
		if p != nil {
			n += p.pending
		}
	}
	return n
}

// unread counts the events that are to be read yet. What others append is known when a reader hears of it.
func (q *queue) unread() int64 {
	var n int64
	for rd := range q.readers {
		var there, done int64
		for _, p := range rd.parts {
			if !p.lost {
				there += p.unread
				done += int64(p.aheadN) //nolint:gosec // a count of events
			}
		}
		if rd.heard && rd.position >= rd.behind {
			there = max(rd.pending-done, 0)
		}
		n += there
	}
	return max(n, int64(len(q.appended)))
}

var _ buffer.Queue = (*queue)(nil)
