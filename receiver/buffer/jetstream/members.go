package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// beatAgain is after what time a heartbeat that failed is sent again.
const beatAgain = 100 * time.Millisecond

// goodbye is what a receiver's last heartbeat says.
const goodbye = "bye"

// member is another receiver, or this one.
type member struct {
	heard time.Time // by the clock of this receiver
	seq   uint64    // of the heartbeat
	word  string    // what it said: it changes when partitions were handed over
}

// start begins what a queue runs: the heart, the ear, the keeper.
func (q *queue) start() {
	ctx, cancel := context.WithCancel(q.ctx)
	kept := make(chan struct{})
	q.stopKeeper = func() {
		cancel()
		<-kept
	}
	q.running.Go(func() {
		defer close(kept)
		q.keep(ctx)
	})
}

// awaitStart waits a moment for the first partitions, if there is a connection.
func (q *queue) awaitStart() {
	if q.b.connected() != nil {
		return
	}
	timer := time.NewTimer(q.b.o.StartWait)
	defer timer.Stop()
	select {
	case <-q.started:
	case <-q.b.closed:
	case <-timer.C:
	}
}

// close hands the partitions over and ends what the queue runs. What is under way is not waited for.
func (q *queue) close() {
	ctx, cancel := context.WithTimeout(q.ctx, requestTimeout)
	defer cancel()
	q.stopKeeper()
	q.partWithAll(ctx)
	q.cancel()
	q.mu.Lock()
	for rd := range q.readers {
		rd.cancel()
	}
	q.moved.Broadcast()
	q.mu.Unlock()
	q.running.Wait()
	q.timer.Stop()
}

// partWithAll writes that nobody has the partitions, and says goodbye.
func (q *queue) partWithAll(ctx context.Context) {
	q.mu.Lock()
	var ps []*partition
	for _, p := range q.parts {
		if p != nil {
			p.leaving = true
			ps = append(ps, p)
		}
	}
	q.mu.Unlock()
	if q.b.connected() != nil {
		return // the leases end by themselves
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		inParallel(ps, func(p *partition) { _ = q.perform(p, &task{leave: true}) })
		_, _ = q.sendBeat(ctx, goodbye)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		q.cancel() // which ends it
		<-done
	}
}

// inParallel does something to each of some partitions.
func inParallel(ps []*partition, do func(*partition)) {
	done := make(chan struct{}, len(ps))
	for _, p := range ps {
		go func() {
			defer func() { done <- struct{}{} }()
			do(p)
		}()
	}
	for range ps {
		<-done
	}
}

// beatOnAndOn is the heart: it tells the others that this receiver lives.
func (q *queue) beatOnAndOn() {
	every := q.b.o.LeaseTime / 5
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-q.beatNow:
		case <-q.ctx.Done():
			return
		}
		ctx, cancel := context.WithTimeout(q.ctx, max(q.b.o.LeaseTime/2, 100*time.Millisecond))
		next := every
		if !q.beatOnce(ctx) {
			next = min(every, beatAgain)
		}
		cancel()
		timer.Reset(next)
	}
}

// beatOnce sends a heartbeat. After a pause in which others may have taken the partitions, it looks for that before anything is leased again.
func (q *queue) beatOnce(ctx context.Context) bool {
	q.mu.Lock()
	paused := !q.leasing()
	q.mu.Unlock()
	at := time.Now()
	seq, err := q.sendBeat(ctx, q.word())
	if err != nil {
		q.trouble(fmt.Errorf("tell the other receivers that this one lives: %w", err))
		if errors.Is(err, buffer.ErrFull) {
			q.relieve(q.ctx, &q.beatRelief, nil)
		}
		return false
	}
	if paused && q.lookForLosses(ctx) != nil {
		return false
	}
	q.mu.Lock()
	q.beat, q.beatSeq, q.lastErr = at, seq, nil
	q.mu.Unlock()
	if paused {
		q.signal()
		poke(q.kick)
	}
	return true
}

func (q *queue) sendBeat(ctx context.Context, word string) (uint64, error) {
	return q.publish(ctx, fading(q.names.member(q.member), []byte(word), max(4*q.b.o.LeaseTime, 10*time.Second)))
}

// word is what a heartbeat says: something else after each handover.
func (q *queue) word() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return strconv.FormatUint(q.handovers, 10)
}

// lookForLosses drops the partitions that another receiver has taken.
func (q *queue) lookForLosses(ctx context.Context) error {
	q.mu.Lock()
	var ps []*partition
	for _, p := range q.parts {
		if p != nil {
			ps = append(ps, p)
		}
	}
	q.mu.Unlock()
	errs := make([]error, partitions)
	inParallel(ps, func(p *partition) {
		m, err := q.last(ctx, q.names.cursor(p.number))
		if err != nil {
			errs[p.number] = err
			return
		}
		if m.isMarker() {
			return // the next write is refused
		}
		c, err := decodeCursor(m.Data)
		if err != nil {
			errs[p.number] = err
			return
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		if c.epoch > p.stored.epoch {
			q.lose(p)
		}
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// leasing says whether this receiver may hand out events: only while no other can think that it is gone. It is called with queue.mu held.
func (q *queue) leasing() bool { return time.Since(q.beat) < q.b.o.LeaseTime*4/5 }

// listen is the ear: it hears the heartbeats of all.
func (q *queue) listen() {
	var pause backoff
	for q.ctx.Err() == nil {
		if err := q.listenOn(); err != nil && q.ctx.Err() == nil {
			q.trouble(fmt.Errorf("hear the other receivers: %w", err))
		}
		if pause.wait(q.ctx) != nil {
			return
		}
	}
}

func (q *queue) listenOn() error {
	consumer, err := q.consume(q.ctx, natsjs.OrderedConsumerConfig{
		FilterSubjects: []string{q.names.members()}, DeliverPolicy: natsjs.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages(natsjs.PullMaxMessages(pullMessages), pullExpiry, pullHeartbeat)
	if err != nil {
		return err
	}
	defer stopWith(q.ctx, messages)()
	for {
		m, err := messages.Next(natsjs.NextContext(q.ctx))
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if isMarker(m.Headers()) {
			continue
		}
		q.hear(m.Subject()[len(q.names.member("")):], meta.Sequence.Stream, string(m.Data()))
	}
}

// hear notes a heartbeat. One's own comes after those of all that were there before.
func (q *queue) hear(id string, seq uint64, word string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	before, there := q.members[id]
	if word == goodbye {
		delete(q.members, id)
	} else {
		q.members[id] = member{heard: time.Now(), seq: seq, word: word}
	}
	if id == q.member && !q.known && !q.isClosed() {
		q.known = true
		poke(q.kick)
	}
	if !there || before.word != word {
		poke(q.kick)
	}
}

// alive is called with queue.mu held.
func (q *queue) alive(id string) bool {
	m, there := q.members[id]
	return there && time.Since(m.heard) < q.b.o.LeaseTime
}

// best is which live member a partition belongs to: rendezvous hashing, so that a change moves as few as can be. It is called with queue.mu held.
func (q *queue) best(partition int) string {
	best, most := q.member, hashOf(q.member, strconv.Itoa(partition))
	for id := range q.members {
		if id == q.member || !q.alive(id) {
			continue
		}
		if h := hashOf(id, strconv.Itoa(partition)); h > most || h == most && id > best {
			best, most = id, h
		}
	}
	return best
}

// trouble notes what fails in the background, until the heart beats again.
func (q *queue) trouble(err error) {
	if q.isClosed() || errors.Is(err, context.Canceled) {
		return
	}
	q.mu.Lock()
	tell := q.lastErr == nil && (err.Error() != q.told || time.Since(q.toldAt) > tellAgain)
	q.lastErr = err
	if tell {
		q.told, q.toldAt = err.Error(), time.Now()
	}
	q.mu.Unlock()
	if tell {
		q.b.o.Log.Warn("Buffer is in trouble", "endpoint", q.name, "stream", q.names.stream, "error", err)
	}
}

// ready says why nothing can be stored.
func (q *queue) ready() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.streamErr != nil:
		return fmt.Errorf("stream %s: %w", q.names.stream, q.streamErr)
	case !q.leasing() && q.lastErr != nil:
		return fmt.Errorf("stream %s: %w", q.names.stream, q.lastErr)
	case q.stuck() != nil:
		return fmt.Errorf("stream %s: %w", q.names.stream, q.stuck())
	case q.full():
		return fmt.Errorf("stream %s: %w", q.names.stream, q.errFull())
	}
	return nil
}

// full says whether the stream has no room for events: the rest is for what settlements need.
func (q *queue) full() bool {
	limit := q.limit.Load()
	return limit > 0 && q.bytes.Load()+q.since.Load() > limit-limit/10
}

// fits says whether so many bytes leave settlements something of that rest.
func (q *queue) fits(size int) bool {
	limit := q.limit.Load()
	return limit <= 0 || q.bytes.Load()+q.since.Load()+int64(size) <= limit-limit/20
}

func (q *queue) errFull() error {
	return fmt.Errorf("%w: %d of %d bytes are taken: raise maxBytes, or see why events are not delivered", buffer.ErrFull, q.bytes.Load()+q.since.Load(), q.limit.Load())
}
