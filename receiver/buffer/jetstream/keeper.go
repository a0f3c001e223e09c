package jetstream

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"slices"
	"time"
)

// lookInterval is how often the stream is looked at.
const lookInterval = 2 * time.Second

// keep is the keeper: it checks the stream, and takes and hands over partitions.
func (q *queue) keep(ctx context.Context) {
	if !q.awaitStream(ctx) {
		return
	}
	q.running.Go(q.beatOnAndOn)
	poke(q.beatNow)
	q.running.Go(q.listen)
	ticks := time.NewTicker(max(q.b.o.LeaseTime/5, 20*time.Millisecond))
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
		case <-q.kick:
		case <-ctx.Done():
			return
		}
		q.noteWaiting()
		if q.checkDue() {
			q.check(ctx)
		}
		q.rebalance(ctx)
	}
}

// awaitStream checks the stream until it is as it should be. It returns false if the queue is closed before.
func (q *queue) awaitStream(ctx context.Context) bool {
	q.awaitConnection(ctx)
	var pause backoff
	for {
		q.check(ctx)
		if q.usable() == nil {
			return true
		}
		if pause.wait(ctx) != nil {
			return false
		}
	}
}

// connectTime is how long a connection may be under way before that is told as trouble.
const connectTime = 2 * time.Second

// awaitConnection waits for the connection that is being made when a buffer is opened.
func (q *queue) awaitConnection(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	for pause := (backoff{}); q.b.connected() != nil && pause.wait(ctx) == nil; {
	}
}

// noteWaiting keeps in mind what waited: when the stream turns out to be gone, partitions may be lost already.
func (q *queue) noteWaiting() {
	q.mu.Lock()
	defer q.mu.Unlock()
	copy(q.waited[1:], q.waited[:])
	q.waited[0] = q.pending()
}

// checkDue says that it is time to look at the stream.
func (q *queue) checkDue() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.streamErr != nil || time.Since(q.lookedAt) > lookInterval
}

// usable says why the stream cannot be used.
func (q *queue) usable() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.streamErr
}

// rebalance takes and hands over partitions, as the members that live want it.
func (q *queue) rebalance(ctx context.Context) {
	q.mu.Lock()
	if !q.known || !q.leasing() || q.streamErr != nil {
		q.mu.Unlock()
		return
	}
	var take []int
	var leave []*partition
	for n, p := range q.parts {
		mine := q.best(n) == q.member
		switch {
		case p == nil && (mine || q.claimed[n]):
			take = append(take, n)
		case p != nil && !mine:
			q.leaving(p)
			if p.leased == 0 {
				leave = append(leave, p)
			}
		case p != nil:
			q.stay(p)
		}
	}
	q.renewReaders()
	q.mu.Unlock()
	inParallel(leave, func(p *partition) { _ = q.perform(p, &task{leave: true}) })
	if len(leave) > 0 {
		q.mu.Lock()
		q.handovers++
		q.renewReaders()
		q.mu.Unlock()
		poke(q.beatNow)
	}
	if len(take) > 0 {
		if err := q.takeOver(ctx, take); err != nil {
			q.trouble(fmt.Errorf("take partitions over: %w", err))
			return
		}
	}
	q.startOnce.Do(func() { close(q.started) })
}

// leaving ends the leasing of a partition. It is called with queue.mu held.
func (q *queue) leaving(p *partition) {
	if p.leaving {
		return
	}
	p.leaving = true
	q.withdraw(p)
}

// stay has a partition leased again whose better member went before the attempts that it waited for were over. It is called with queue.mu held.
func (q *queue) stay(p *partition) {
	if !p.leaving {
		return
	}
	p.leaving = false
	for _, ln := range p.lanes {
		switch h := ln.head; {
		case h == nil || h.leased || ln.settling:
		case h.due > 0:
			heap.Push(&q.waiting, h)
		default:
			q.fresh = append(q.fresh, h)
		}
	}
	slices.SortFunc(q.fresh, func(a, b *entry) int { return cmp.Compare(a.seq, b.seq) })
	q.signal()
}

// withdraw takes the heads of a partition from those that are to be leased. It is called with queue.mu held.
func (q *queue) withdraw(p *partition) {
	q.fresh = slices.DeleteFunc(q.fresh, func(e *entry) bool { return e.p == p })
	q.waiting.drop(p)
}

// lose forgets a partition. It is called with queue.mu held.
func (q *queue) lose(p *partition) {
	if p.lost {
		return
	}
	p.lost = true
	if q.parts[p.number] == p {
		q.parts[p.number] = nil
	}
	q.withdraw(p)
	q.held -= len(p.window)
	for _, e := range p.window {
		if !e.done {
			q.heldBytes -= len(e.record)
		}
	}
	for seq, a := range q.appended {
		if a.partition == p.number {
			delete(q.appended, seq)
		}
	}
	if rd := p.reader; rd != nil && rd.parts[p.number] == p {
		rd.stale = true
	}
	q.moved.Broadcast()
	poke(q.kick)
}

// renewReaders has readers read only what this receiver still has. It is called with queue.mu held.
func (q *queue) renewReaders() {
	for rd := range q.readers {
		if !rd.stale {
			continue
		}
		delete(q.readers, rd)
		rd.cancel()
		left := map[int]*partition{}
		for n, p := range rd.parts {
			if !p.lost {
				left[n] = p
			}
		}
		if len(left) > 0 {
			q.startReader(left, rd.position, rd.behind)
		}
	}
}
