package jetstream

import (
	"context"
	"errors"
	"sync"
)

// The numbers of a stream only grow. If they fall, the servers have lost what they had acknowledged: one has come back with an older copy of its
// files, or without what it had not synced to its disk. Then what this receiver has read and written is not what the stream has, and new events
// have numbers that it believes to be done. So all partitions are lost, and taken again with what the stream has of them.

// mark is how far the stream is known to go.
type mark struct {
	mu    sync.Mutex
	seq   uint64
	falls uint64 // how often it turned out to end before
}

func (m *mark) get() (seq, falls uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seq, m.falls
}

// raise notes that the stream has a message.
func (m *mark) raise(seq uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seq = max(m.seq, seq)
}

// stored notes that messages are stored that were sent when the stream was known to go to a number. It returns false if they should have come after that.
func (m *mark) stored(first, last, before, falls uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.falls != falls:
		return true // what there was before does not matter any more
	case first <= before:
		m.seq, m.falls = last, falls+1
		return false
	default:
		m.seq = max(m.seq, last)
		return true
	}
}

// fall notes that the stream was found to have less than was known.
func (m *mark) fall() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seq, m.falls = 0, m.falls+1
}

// fallen loses all partitions.
func (q *queue) fallen() {
	q.b.o.Log.Error("Servers have lost what they had acknowledged: settled events may be delivered again, and some that were accepted may be gone",
		"endpoint", q.name, "stream", q.names.stream)
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range q.parts {
		if p != nil {
			q.lose(p)
		}
	}
}

// proveFall finds out whether a cursor that was stored is gone from the stream, or was just read from a server that is cut off: by a write, and by what a
// server has that has that.
func (q *queue) proveFall(ctx context.Context, p *partition) error {
	_, falls := q.mark.get()
	seq, err := q.sendBeat(ctx, q.word())
	if err != nil {
		return err
	}
	m, err := q.lastSince(ctx, q.names.cursor(p.number), q.names.member(q.member), seq)
	if err != nil && !errors.Is(err, errNotFound) {
		return err
	}
	q.mu.Lock()
	known := p.seq
	q.mu.Unlock()
	if err == nil && m.Sequence >= known {
		return errBusy
	}
	if _, now := q.mark.get(); now == falls {
		q.mark.fall()
		q.fallen()
	}
	return errBusy // it is lost now
}
