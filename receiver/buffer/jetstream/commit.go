package jetstream

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hookbay/hookbay/receiver/buffer"
)

const (
	// maxGroup is how many settlements are one write at most: each is up to three messages.
	maxGroup = 256
	// maxMessages is how many messages one write is at most, with those of what is spilled: below maxBatch, of which a server refuses more for good.
	maxMessages = 900
	// maxGroupBytes bounds the dead letters among them.
	maxGroupBytes = 4 << 20
	// tombstone is how long the server keeps the message of a lane of which nothing is kept any longer. It means the same as none.
	tombstone = time.Minute
)

// task is something that changes a partition's state: a settlement, or one of the others.
type task struct {
	lease   *entry // of a settlement
	verdict buffer.Verdict
	retryAt time.Time
	reason  string

	spill bool // what fills the memory goes to the stream
	leave bool // the partition is handed over

	next  *entry // what is the head of the lane then, if it is kept
	again *entry // what waits, after a retry
	err   error
	turn  chan bool // true: its caller is to commit what waits; false: it is done
}

// line is where tasks of a partition wait. All that wait at one moment are one write, made by the caller of the first of them.
type line struct {
	mu    sync.Mutex
	tasks []*task
	taken bool // somebody commits
}

// join enters a task. It returns true if its caller is to commit at once; otherwise its turn tells.
func (n *line) join(t *task) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tasks = append(n.tasks, t)
	first := !n.taken
	n.taken = true
	return first
}

// take cuts off the next group: at least one.
func (n *line) take() []*task {
	n.mu.Lock()
	defer n.mu.Unlock()
	count, bytes := 0, 0
	for count < len(n.tasks) && (count == 0 || count < maxGroup && bytes < maxGroupBytes) {
		if t := n.tasks[count]; t.verdict == buffer.Dead {
			bytes += len(t.lease.record)
		}
		count++
	}
	group := n.tasks[:count:count]
	if n.tasks = n.tasks[count:]; len(n.tasks) == 0 {
		n.tasks = nil
	}
	return group
}

// pass has the first that waits commit next.
func (n *line) pass() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.taken = len(n.tasks) > 0; n.taken {
		n.tasks[0].turn <- true
	}
}

// perform applies a task to a partition, with those of others that wait, and returns when it is durable, or will never be.
func (q *queue) perform(p *partition, t *task) error {
	t.turn = make(chan bool, 1)
	if p.line.join(t) || <-t.turn {
		group := p.line.take() // its first is t
		q.commit(p, group)
		p.line.pass()
		for _, other := range group[1:] {
			other.turn <- false
		}
	}
	return t.err
}

// write is what a group of tasks changes in the stream: its messages are stored all or none.
type write struct {
	p        *partition
	dirty    map[key]*lane // lanes of which what is kept has changed
	messages []*nats.Msg
}

// commit decides, stores and lets the lanes go on.
func (q *queue) commit(p *partition, group []*task) {
	messages, want := q.decideAll(p, group)
	if messages == nil {
		return // every one has its error
	}
	seq, err := q.store(q.ctx, p, want, messages)
	q.mu.Lock()
	defer q.mu.Unlock()
	p.failing, p.failure = time.Time{}, nil
	if err != nil {
		if errors.Is(err, buffer.ErrLeaseLost) {
			q.lose(p)
		}
		for _, t := range group {
			t.err = errors.Join(t.err, err)
		}
		return
	}
	p.seq = seq
	for _, t := range group {
		if t.err == nil {
			q.proceed(p, t)
		}
	}
	if len(q.fresh) > 0 {
		q.signal()
	}
	q.moved.Broadcast()
}

// decideAll changes what is in memory and returns what is to be stored. A task that has an error changes nothing.
func (q *queue) decideAll(p *partition, group []*task) ([]*nats.Msg, cursor) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.lost {
		for _, t := range group {
			t.err = buffer.ErrLeaseLost
		}
		return nil, cursor{}
	}
	w := &write{p: p, dirty: map[key]*lane{}}
	use := false
	for _, t := range group {
		if t.lease != nil {
			t.err = q.decide(w, t)
		}
		use = use || t.err == nil
	}
	if !use {
		return nil, cursor{}
	}
	owner := p.stored.owner
	for _, t := range group {
		if t.spill {
			q.spill(w)
		}
		if t.leave {
			owner = ""
		}
	}
	for _, ln := range w.dirty {
		w.messages = append(w.messages, q.keepLane(p, ln))
	}
	q.held -= p.trim()
	want := p.snapshot()
	want.owner, want.write = owner, want.write+1
	p.stored = want
	return append(w.messages, expecting(q.names.cursor(p.number), "", p.seq, want.encode())), want
}

// keepLane is the message of what is kept of a lane.
func (q *queue) keepLane(p *partition, ln *lane) *nats.Msg {
	subject := q.names.head(p.number, ln.key)
	if ln.stored.count == 0 {
		return fading(subject, ln.stored.encode(), tombstone)
	}
	return message(subject, ln.stored.encode())
}

// decide puts one settlement into a write.
func (q *queue) decide(w *write, t *task) error {
	e := t.lease
	if e.ended {
		return errors.New("settle: this delivery is settled already")
	}
	e.ended = true
	e.p.leased--
	ln := e.lane
	ln.settling = true
	if t.verdict == buffer.Retry {
		again := *e
		again.attempts, again.due, again.record = e.attempts+1, t.retryAt.UnixNano(), nil
		again.done, again.kept, again.leased, again.ended = true, true, false, false
		if !e.kept {
			ln.stored.count = 1
		}
		ln.stored.seq, ln.stored.attempts, ln.stored.due, ln.stored.received = e.seq, again.attempts, again.due, e.received
		q.finish(e)
		t.again = &again
		w.dirty[ln.key] = ln
		return nil
	}
	if t.verdict == buffer.Dead {
		dead := past{at: q.b.o.Now().UnixNano(), attempts: e.attempts + 1, reason: bounded(t.reason), record: e.record}
		w.messages = append(w.messages, message(q.names.dead(w.p.number, e.seq), dead.encode()))
		w.p.stored.dead++
	}
	if e.kept {
		if used := ln.popKept(); used != nil {
			w.messages = append(w.messages, fading(q.names.followers(w.p.number, ln.key, used.first), nil, tombstone))
		}
		if ln.stored.count > 0 {
			t.next = &entry{p: w.p, lane: ln, seq: ln.stored.seq, received: e.received, done: true, kept: true}
		}
		w.dirty[ln.key] = ln
	}
	q.finish(e)
	return nil
}

// finish marks an event as done.
func (q *queue) finish(e *entry) {
	if !e.done {
		e.done = true
		q.heldBytes -= len(e.record)
	}
	e.record = nil
}

// proceed is called when a task is durable.
func (q *queue) proceed(p *partition, t *task) {
	if t.leave {
		q.lose(p)
		return
	}
	if t.lease == nil || p.lost {
		return
	}
	ln := t.lease.lane
	ln.settling = false
	if p.leaving {
		poke(q.kick)
	}
	if t.verdict == buffer.Retry {
		ln.head, ln.current = t.again, nil // what it has in memory while it waits is little
		if !p.leaving {
			heap.Push(&q.waiting, t.again)
			q.arm()
		}
		return
	}
	p.pending--
	if t.verdict == buffer.Dead {
		p.dead++
	}
	next := t.next
	if next == nil {
		next = ln.popFirst()
	}
	if ln.head = next; next == nil {
		delete(p.lanes, ln.key)
		return
	}
	if !p.leaving {
		q.fresh = append(q.fresh, next)
	}
}

// store writes until it is durable, the buffer is closed, or another receiver turns out to have the partition.
func (q *queue) store(ctx context.Context, p *partition, want cursor, messages []*nats.Msg) (uint64, error) {
	var pause backoff
	room := relief{seen: q.relieved.Load()}
	for {
		if q.isLost(p) {
			return 0, buffer.ErrLeaseLost
		}
		seq, err := q.storeOnce(ctx, messages)
		if err == nil {
			return seq, nil
		}
		if errors.Is(err, errRefused) {
			if seq, err = q.whose(ctx, p, want); err == nil || errors.Is(err, buffer.ErrLeaseLost) {
				return seq, err
			}
		}
		q.notStored(p, err)
		switch {
		case errors.Is(err, buffer.ErrFull):
			messages = q.relieve(ctx, &room, messages)
		case errors.Is(err, buffer.ErrTooLarge): // the limits are lower than when the event was taken in
			messages = q.withoutCopies(messages, int(max(q.maxMessage.Load()-headroom, 0)))
		}
		if err := pause.wait(ctx); err != nil {
			return 0, buffer.ErrClosed
		}
	}
}

func (q *queue) isLost(p *partition) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return p.lost
}

func (q *queue) storeOnce(ctx context.Context, messages []*nats.Msg) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return q.publish(ctx, messages...)
}

// whose finds out who wrote a cursor that was not to be overwritten: this receiver, whose acknowledgement was lost, or another one.
func (q *queue) whose(ctx context.Context, p *partition, want cursor) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	m, err := q.last(ctx, q.names.cursor(p.number))
	if errors.Is(err, errNotFound) || err == nil && m.isMarker() {
		return 0, buffer.ErrLeaseLost // the stream is another one
	}
	if err != nil {
		return 0, err
	}
	got, err := decodeCursor(m.Data)
	switch {
	case err != nil:
		return 0, buffer.ErrLeaseLost // not even this receiver's any more: it is taken anew
	case got.epoch == want.epoch && got.write == want.write:
		return m.Sequence, nil
	case got.epoch > want.epoch || m.Sequence > p.seq:
		return 0, buffer.ErrLeaseLost
	case m.Sequence < p.seq:
		return 0, q.proveFall(ctx, p)
	default:
		return 0, errBusy // a write is under way
	}
}
