// Package buffertest is the conformance suite of buffer engines: what package buffer promises, as tests. Every engine passes it.
package buffertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
)

// Engine is what the suite needs of an engine.
type Engine struct {
	// New prepares an empty place for a buffer that reads its time from now.
	New func(t *testing.T, now func() time.Time) Place
}

// Place is where a buffer lives: it can be closed and opened again.
type Place struct {
	// Open opens the buffer that lives here. The suite closes it before it opens it again.
	Open func(t *testing.T) buffer.Buffer
	// Sweep drops what is no longer kept, at once.
	Sweep func(t *testing.T, b buffer.Buffer)
}

// Endpoint is the endpoint that the suite's events belong to unless a test says otherwise.
const Endpoint = "shop/orders"

// Settings are the settings that a queue of the suite has unless a test says otherwise.
func Settings() buffer.Settings {
	return buffer.Settings{
		DeduplicationWindow: 7 * time.Hour, Retention: time.Hour, DeadRetention: 14 * 24 * time.Hour, MaxAge: 24 * time.Hour,
	}
}

// Run runs the suite against an engine.
func Run(t *testing.T, engine Engine) {
	tests := map[string]func(*testing.T, *bench){
		"an event comes out as it went in":                              testFidelity,
		"events of a subject come one at a time and in order":           testOrder,
		"without ordering a leased event holds up no other":             testUnordered,
		"a repeat inside the window is stored once":                     testDuplicate,
		"a repeat after the window is a new event":                      testWindowEnds,
		"without a window repeats are stored":                           testNoWindow,
		"a batch with a repeat in it stores it once":                    testDuplicateInBatch,
		"the same event of two endpoints is two events":                 testEndpointsApart,
		"of identical events at one instant one is stored":              testConcurrentDuplicates,
		"a retry waits for its time and keeps its place":                testRetry,
		"a retry holds up no other subject":                             testRetryAlone,
		"many that fail again and again do not starve a new one":        testNoStarvation,
		"a dead letter is counted and lets its subject go on":           testDead,
		"a released event is due at once with the same attempt":         testRelease,
		"a delivery is settled once":                                    testSettleTwice,
		"a restart hands out what was not settled, in order":            testRestart,
		"a restart keeps attempts, identities and counters":             testRestartState,
		"retention ends for dead letters":                               testDeadRetention,
		"events of an endpoint that is gone are given up at last":       testNotServed,
		"a waiting Next ends with its context and with the buffer":      testNextEnds,
		"a Next that ends leaves the event to the others":               testNextLeaves,
		"a closed buffer takes nothing":                                 testClosed,
		"stats tell the backlog and its age":                            testStats,
		"a queue that had a long backlog in one subject drains":         testLongLane,
		"many producers and consumers lose, repeat and reorder nothing": testHammer,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &bench{t: t, clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
			b.place = engine.New(t, b.now)
			b.open()
			t.Cleanup(func() { b.close() })
			test(t, b)
		})
	}
}

// bench is a buffer under test and the vocabulary of the tests.
type bench struct {
	t     *testing.T
	place Place
	buf   buffer.Buffer
	queue buffer.Queue

	mu    sync.Mutex
	clock time.Time
	n     int
}

func (b *bench) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clock
}

func (b *bench) advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock = b.clock.Add(d)
}

func (b *bench) open() {
	b.t.Helper()
	b.buf = b.place.Open(b.t)
	b.queue = b.serve(Endpoint, Settings())
}

func (b *bench) serve(endpoint string, s buffer.Settings) buffer.Queue {
	b.t.Helper()
	q, err := b.buf.Queue(endpoint, s)
	if err != nil {
		b.t.Fatalf("Queue(%s): %v", endpoint, err)
	}
	return q
}

func (b *bench) close() {
	b.t.Helper()
	if err := b.buf.Close(); err != nil {
		b.t.Errorf("Close: %v", err)
	}
}

func (b *bench) reopen() {
	b.t.Helper()
	b.close()
	b.open()
}

// event makes an event of a subject; each call another one.
func (b *bench) event(subject string) event.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n++
	return event.Event{
		ID: event.NewID(fmt.Sprint(b.n)), Type: "com.example.made", Source: "//example.com", Subject: subject,
		ContentType: event.ContentTypeJSON, Time: b.clock, Received: b.clock, Body: fmt.Appendf(nil, `{"n":%d}`, b.n),
	}
}

// append stores events and returns them.
func (b *bench) append(events ...event.Event) []event.Event {
	b.t.Helper()
	got, err := b.queue.Append(b.t.Context(), events)
	if err != nil {
		b.t.Fatalf("Append: %v", err)
	}
	if got.Stored+got.Duplicates != len(events) {
		b.t.Fatalf("Append of %d events: %+v", len(events), got)
	}
	return events
}

// subject stores n events of a subject.
func (b *bench) subject(subject string, n int) []event.Event {
	b.t.Helper()
	var events []event.Event
	for range n {
		events = append(events, b.append(b.event(subject))...)
	}
	return events
}

// next leases the event that is due.
func (b *bench) next() *buffer.Delivery {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	defer cancel()
	d, err := b.queue.Next(ctx)
	if err != nil {
		b.t.Fatalf("Next: %v (stats %+v)", err, b.queue.Stats())
	}
	return d
}

// expect leases the event that is due and checks that it is this one.
func (b *bench) expect(want event.Event, attempt int) *buffer.Delivery {
	b.t.Helper()
	d := b.next()
	if d.Event.ID != want.ID || d.Attempt != attempt {
		b.t.Fatalf("Next: event %s of %s, attempt %d; want %s of %s, attempt %d",
			d.Event.Body, d.Event.Subject, d.Attempt, want.Body, want.Subject, attempt)
	}
	return d
}

// nothingDue checks that nothing is handed out. Too short a wait can only miss a fault, never see one that is not there.
func (b *bench) nothingDue() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Millisecond)
	defer cancel()
	d, err := b.queue.Next(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		b.t.Fatalf("Next: %+v, %v; want nothing to be due", d, err)
	}
}

func (b *bench) settle(d *buffer.Delivery, o buffer.Outcome) {
	b.t.Helper()
	if err := b.queue.Settle(b.t.Context(), d, o); err != nil {
		b.t.Fatalf("Settle: %v", err)
	}
}

func (b *bench) delivered(d *buffer.Delivery) {
	b.t.Helper()
	b.settle(d, buffer.Outcome{Verdict: buffer.Delivered})
}

func (b *bench) retry(d *buffer.Delivery, in time.Duration) {
	b.t.Helper()
	b.settle(d, buffer.Outcome{Verdict: buffer.Retry, RetryAt: b.now().Add(in)})
}

func (b *bench) wantStats(pending, dead int64) {
	b.t.Helper()
	if s := b.queue.Stats(); s.Pending != pending || s.Dead != dead {
		b.t.Fatalf("Stats: %+v, want %d pending and %d dead", s, pending, dead)
	}
}
