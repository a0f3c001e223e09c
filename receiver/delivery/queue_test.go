package delivery

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
)

// memoryQueue is a buffer.Queue in memory, ordered by subject, that writes down what the dispatcher does with it.
type memoryQueue struct {
	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at every change
	items    []*memoryItem
	closed   bool
	log      []string          // "lease a1 #1", "delivered a1", …
	outcomes []buffer.Outcome  // of successful settles, in order
	onSettle func(n int) error // n counts calls from 1
	onNext   func(n int) error
	settles  int
	nexts    int
}

type memoryItem struct {
	event    event.Event
	attempts int
	due      time.Time
	leased   bool
	done     bool
}

func newMemoryQueue(events ...event.Event) *memoryQueue {
	q := &memoryQueue{changed: make(chan struct{})}
	for _, e := range events {
		q.items = append(q.items, &memoryItem{event: e})
	}
	return q
}

// sampleEvent is event n (from 1) of a subject. Its Type is both, for the log.
func sampleEvent(subject string, n int) event.Event {
	return event.Event{
		ID: event.NewID(subject, fmt.Sprint(n)), Endpoint: "shop/im", Type: fmt.Sprintf("%s%d", subject, n), Subject: "subject-" + subject,
		Received: time.Now(), Body: []byte("{}"),
	}
}

func (q *memoryQueue) change() {
	close(q.changed)
	q.changed = make(chan struct{})
}

func (q *memoryQueue) Next(ctx context.Context) (*buffer.Delivery, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.nexts++
	if q.onNext != nil {
		if err := q.onNext(q.nexts); err != nil {
			return nil, err
		}
	}
	for {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if q.closed {
			return nil, buffer.ErrClosed
		}
		item, wait := q.due()
		if item != nil {
			item.leased = true
			item.attempts++
			q.log = append(q.log, fmt.Sprintf("lease %s #%d", item.event.Type, item.attempts))
			return &buffer.Delivery{Event: item.event, Attempt: item.attempts, Lease: item}, nil
		}
		changed := q.changed
		q.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
		}
		timer.Stop()
		q.mu.Lock()
	}
}

// due returns the first event that may be handed out, else how long until one may be.
func (q *memoryQueue) due() (*memoryItem, time.Duration) {
	wait := time.Hour
	busy := map[string]bool{}
	for _, i := range q.items {
		if i.done || busy[i.event.Subject] {
			continue
		}
		busy[i.event.Subject] = true
		if i.leased {
			continue
		}
		left := time.Until(i.due)
		if left <= 0 {
			return i, 0
		}
		wait = min(wait, left)
	}
	return nil, wait
}

func (q *memoryQueue) Settle(ctx context.Context, d *buffer.Delivery, o buffer.Outcome) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if q.closed {
		return buffer.ErrClosed
	}
	q.settles++
	if q.onSettle != nil {
		if err := q.onSettle(q.settles); err != nil {
			return err
		}
	}
	i, ok := d.Lease.(*memoryItem)
	if !ok || !i.leased || i.done {
		return fmt.Errorf("event %s settled without a lease", i.event.Type)
	}
	i.leased = false
	switch o.Verdict {
	case buffer.Retry:
		i.due = o.RetryAt
		q.log = append(q.log, "retry "+i.event.Type)
	case buffer.Dead:
		i.done = true
		q.log = append(q.log, "dead "+i.event.Type)
	case buffer.Delivered:
		i.done = true
		q.log = append(q.log, "delivered "+i.event.Type)
	}
	q.outcomes = append(q.outcomes, o)
	q.change()
	return nil
}

func (q *memoryQueue) Release(d *buffer.Delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i, ok := d.Lease.(*memoryItem)
	if !ok {
		return
	}
	i.leased = false
	i.attempts--
	q.log = append(q.log, "release "+i.event.Type)
	q.change()
}

func (q *memoryQueue) add(e event.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items = append(q.items, &memoryItem{event: e})
	q.change()
}

// finished counts the events that are delivered or dead.
func (q *memoryQueue) finished() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, i := range q.items {
		if i.done {
			n++
		}
	}
	return n
}

func (q *memoryQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.change()
}

func (q *memoryQueue) history() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]string(nil), q.log...)
}

// counts returns how many outcomes were stored, and how often Settle and Next were called.
func (q *memoryQueue) counts() (outcomes, settles, nexts int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.outcomes), q.settles, q.nexts
}

func (q *memoryQueue) onlyOutcome(t *testing.T) buffer.Outcome {
	t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.outcomes) != 1 {
		t.Fatalf("got %d outcomes %v, want 1", len(q.outcomes), q.outcomes)
	}
	return q.outcomes[0]
}

func (q *memoryQueue) Append(context.Context, []event.Event) (buffer.Appended, error) {
	return buffer.Appended{}, buffer.ErrFull
}

func (q *memoryQueue) Stats() buffer.Stats { return buffer.Stats{} }

var _ buffer.Queue = (*memoryQueue)(nil)
