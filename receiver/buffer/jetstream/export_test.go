package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hookbay/hookbay/receiver/buffer"
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

// MaxBatch is how many messages a server takes as one.
const MaxBatch = maxBatch

// WidestWrite is how many messages a write has that settles and spills as much as can be at one time.
func WidestWrite() int {
	const lanes, followers = 2 * maxSpill, maxInline + 1
	b := &Buffer{o: Options{}.withDefaults(), ctx: context.Background()}
	q := newQueue(b, "shop/orders", buffer.Settings{})
	defer q.cancel()
	p := &partition{lanes: map[key]*lane{}}
	for n := range uint64(lanes) {
		ln := &lane{key: key{n: n}}
		ln.head = &entry{p: p, lane: ln, seq: n + 1}
		for i := range uint64(followers) {
			ln.follow(&entry{p: p, lane: ln, seq: (i+1)*lanes + n + 1})
		}
		p.lanes[ln.key] = ln
	}
	w := &write{p: p, dirty: map[key]*lane{}, messages: make([]*nats.Msg, 3*maxGroup)}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spill(w)
	return len(w.messages) + len(w.dirty) + 1 // the cursor
}

// Gone says whether a message of an endpoint's stream is known to be there no more.
func (b *Buffer) Gone(ctx context.Context, endpoint string, seq uint64) (bool, error) {
	_, err := b.served()[endpoint].at(ctx, seq)
	return errors.Is(err, errNotFound), err
}

// Failing has it that writes of an endpoint's partition fail for so long.
func (b *Buffer) Failing(endpoint string, since time.Duration, err error) {
	q := b.served()[endpoint]
	q.mu.Lock()
	p := q.parts[0]
	p.failing, p.failure = time.Now().Add(-since), err
	q.mu.Unlock()
}

// Trouble has it that something fails in the background, after a heartbeat that did not.
func (b *Buffer) Trouble(endpoint string, err error) {
	q := b.served()[endpoint]
	q.mu.Lock()
	q.lastErr = nil
	q.mu.Unlock()
	q.trouble(err)
}
