package jetstream

import (
	"errors"
	"fmt"
)

// Owned counts the partitions that a buffer has of an endpoint.
func (b *Buffer) Owned(endpoint string) int {
	q := b.served()[endpoint]
	if q == nil {
		return 0
	}
	return len(q.owned())
}

// Held counts the events that a buffer has in memory of an endpoint, and their bytes.
func (b *Buffer) Held(endpoint string) (events, bytes int) {
	q := b.served()[endpoint]
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held, q.heldBytes
}

// Consistent says what is wrong with the counters of an endpoint's queue.
func (b *Buffer) Consistent(endpoint string) error {
	q := b.served()[endpoint]
	q.mu.Lock()
	defer q.mu.Unlock()
	held, bytes := 0, 0
	for _, p := range q.parts {
		if p == nil {
			continue
		}
		held += len(p.window)
		for _, e := range p.window {
			if !e.done {
				bytes += len(e.record)
			}
		}
		if p.pending < 0 {
			return errors.New("a partition has fewer than no events pending")
		}
	}
	if held != q.held || bytes != q.heldBytes {
		return fmt.Errorf("in memory are %d events of %d bytes, and %d of %d are counted", held, bytes, q.held, q.heldBytes)
	}
	return nil
}

// Limits of what is read ahead.
const (
	MaxHeld      = maxHeld
	MaxHeldBytes = maxHeldBytes
	Partitions   = partitions
)
