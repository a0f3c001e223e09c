package buffertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
)

func testOrder(_ *testing.T, b *bench) {
	a := b.subject("a", 3)
	c := b.subject("c", 2)
	first := b.expect(a[0], 1)
	other := b.expect(c[0], 1) // a's second has to wait
	b.nothingDue()
	b.delivered(first)
	second := b.expect(a[1], 1)
	late := b.subject("a", 1) // behind a's third
	b.nothingDue()
	b.delivered(second)
	b.delivered(b.expect(a[2], 1))
	b.delivered(other)
	got := map[event.ID]*buffer.Delivery{}
	for range 2 {
		d := b.next()
		got[d.Event.ID] = d
	}
	if got[late[0].ID] == nil || got[c[1].ID] == nil {
		b.t.Fatalf("the last of each subject were not handed out")
	}
}

func testUnordered(_ *testing.T, b *bench) {
	s := Settings()
	s.Unordered = true
	b.queue = b.serve(Endpoint, s)
	a := b.subject("a", 3)
	first := b.expect(a[0], 1)
	b.retry(b.expect(a[1], 1), time.Minute)
	b.delivered(b.expect(a[2], 1))
	b.delivered(first)
	b.advance(time.Minute)
	b.delivered(b.expect(a[1], 2))
	b.wantStats(0, 0)
}

func testRetry(_ *testing.T, b *bench) {
	a := b.subject("a", 2)
	b.retry(b.expect(a[0], 1), time.Minute)
	b.nothingDue()
	late := b.subject("a", 1)
	b.advance(time.Minute - time.Nanosecond)
	b.nothingDue()
	b.advance(time.Nanosecond)
	b.retry(b.expect(a[0], 2), 0)
	b.advance(time.Nanosecond)
	b.delivered(b.expect(a[0], 3))
	b.delivered(b.expect(a[1], 1))
	b.delivered(b.expect(late[0], 1))
	b.wantStats(0, 0)
}

func testRetryAlone(_ *testing.T, b *bench) {
	stuck := b.subject("stuck", 50)
	b.retry(b.expect(stuck[0], 1), time.Hour)
	for i := range 30 {
		e := b.subject(fmt.Sprint(i%7), 1)
		b.delivered(b.expect(e[0], 1))
	}
	b.nothingDue()
	b.wantStats(50, 0)
	b.advance(time.Hour)
	b.delivered(b.expect(stuck[0], 2))
	for _, e := range stuck[1:] {
		b.delivered(b.expect(e, 1))
	}
}

// testNoStarvation keeps more subjects failing, and due again at once, than an engine holds in memory. A new event must come out all the same.
func testNoStarvation(_ *testing.T, b *bench) {
	const stuck = 1500
	events := make([]event.Event, stuck)
	for i := range events {
		events[i] = b.event(fmt.Sprint("stuck", i))
	}
	b.append(events...)
	for range stuck {
		b.retry(b.next(), time.Nanosecond)
		b.advance(time.Nanosecond)
	}
	fresh := b.event("fresh")
	b.append(fresh)
	for range 3 * stuck {
		d := b.next()
		if d.Event.ID == fresh.ID {
			return
		}
		b.advance(time.Nanosecond)
		b.retry(d, 0)
		b.advance(time.Nanosecond)
	}
	b.t.Errorf("a new event was not handed out in %d attempts at others", 3*stuck)
}

func testDead(_ *testing.T, b *bench) {
	a := b.subject("a", 2)
	b.settle(b.expect(a[0], 1), buffer.Outcome{Verdict: buffer.Dead, Reason: "target answered 410"})
	b.wantStats(1, 1)
	b.delivered(b.expect(a[1], 1))
	b.nothingDue()
	b.wantStats(0, 1)
}

func testRelease(_ *testing.T, b *bench) {
	a := b.subject("a", 2)
	d := b.expect(a[0], 1)
	b.queue.Release(d)
	b.delivered(b.expect(a[0], 1))
	b.delivered(b.expect(a[1], 1))
}

func testSettleTwice(t *testing.T, b *bench) {
	a := b.subject("a", 2)
	d := b.expect(a[0], 1)
	b.delivered(d)
	if err := b.queue.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered}); err == nil {
		t.Error("a second Settle of one delivery: want an error")
	}
	b.queue.Release(d)
	b.delivered(b.expect(a[1], 1))
	b.nothingDue()
	b.wantStats(0, 0)
}

func testRestart(_ *testing.T, b *bench) {
	a := b.subject("a", 4)
	c := b.subject("c", 1)
	b.delivered(b.expect(a[0], 1))
	leased := map[event.ID]bool{}
	for range 2 {
		leased[b.next().Event.ID] = true // a's second and c's first are under way when the process ends
	}
	if !leased[a[1].ID] || !leased[c[0].ID] {
		b.t.Fatal("want the heads of both subjects leased")
	}
	b.reopen()
	b.wantStats(4, 0)
	rest := map[string][]event.Event{"a": a[1:], "c": c}
	for range 4 {
		d := b.next()
		want := rest[d.Event.Subject]
		if len(want) == 0 || d.Event.ID != want[0].ID || d.Attempt != 1 {
			b.t.Fatalf("after a restart: event %s of %s, attempt %d", d.Event.Body, d.Event.Subject, d.Attempt)
		}
		rest[d.Event.Subject] = want[1:]
		b.delivered(d)
	}
	b.nothingDue()
	b.reopen()
	b.nothingDue()
	b.wantStats(0, 0)
}

func testRestartState(t *testing.T, b *bench) {
	a := b.subject("a", 2)
	b.retry(b.expect(a[0], 1), time.Minute)
	dead := b.subject("dead", 1)
	b.settle(b.expect(dead[0], 1), buffer.Outcome{Verdict: buffer.Dead, Reason: "target answered 410"})
	b.reopen()
	b.wantStats(2, 1)
	b.nothingDue()
	got, err := b.queue.Append(t.Context(), []event.Event{a[0], dead[0]})
	if err != nil || got.Duplicates != 2 {
		t.Fatalf("Append of repeats after a restart: %+v, %v", got, err)
	}
	later := b.subject("a", 1)
	b.nothingDue()
	b.advance(time.Minute)
	b.delivered(b.expect(a[0], 2))
	b.delivered(b.expect(a[1], 1))
	b.delivered(b.expect(later[0], 1))
	b.wantStats(0, 1)
}

func testDeadRetention(_ *testing.T, b *bench) {
	b.subject("a", 3)
	for range 3 {
		b.settle(b.next(), buffer.Outcome{Verdict: buffer.Dead, Reason: "target answered 410"})
		b.advance(time.Hour)
	}
	b.advance(14*24*time.Hour - 2*time.Hour + time.Second)
	b.place.Sweep(b.t, b.buf)
	b.wantStats(0, 1)
	b.reopen()
	b.wantStats(0, 1)
	b.advance(time.Hour)
	b.place.Sweep(b.t, b.buf)
	b.wantStats(0, 0)
}

func testNotServed(_ *testing.T, b *bench) {
	gone := b.serve("shop/gone", Settings())
	events := []event.Event{b.event("a"), b.event("a"), b.event("b")}
	if _, err := gone.Append(b.t.Context(), events); err != nil {
		b.t.Fatal(err)
	}
	d, err := gone.Next(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := gone.Settle(b.t.Context(), d, buffer.Outcome{Verdict: buffer.Retry, RetryAt: b.now().Add(time.Minute)}); err != nil {
		b.t.Fatal(err)
	}
	b.reopen() // which serves only the suite's usual endpoint
	b.advance(24*time.Hour - time.Second)
	b.place.Sweep(b.t, b.buf)
	b.advance(2 * time.Second)
	if got := b.buf.Queues(); len(got) != 1 || got[0] != "shop/gone" {
		b.t.Fatalf("queues before the age is reached: %v", got)
	}
	// Looking is not serving: they are given up nevertheless.
	if s, ok := b.buf.Peek("shop/gone"); !ok || s.Pending != 3 || s.Dead != 0 || !s.Oldest.Equal(events[0].Received) {
		b.t.Fatalf("Peek: %+v, %t; want 3 pending since %v", s, ok, events[0].Received)
	}
	b.place.Sweep(b.t, b.buf)
	b.queue = b.serve("shop/gone", Settings())
	b.wantStats(0, 3)
	b.nothingDue()
	fresh := b.subject("a", 1)
	b.delivered(b.expect(fresh[0], 1))
}

func testLongLane(_ *testing.T, b *bench) {
	const n = 3000
	var events []event.Event
	for range n {
		events = append(events, b.event("a"))
	}
	b.append(events...)
	other := b.event("b")
	b.append(other)
	b.retry(b.expect(events[0], 1), time.Minute)
	b.delivered(b.expect(other, 1))
	b.advance(time.Minute)
	b.delivered(b.expect(events[0], 2))
	for _, e := range events[1:100] {
		b.delivered(b.expect(e, 1))
	}
	b.reopen()
	for _, e := range events[100:200] {
		b.delivered(b.expect(e, 1))
	}
	b.wantStats(n-200, 0)
}

// testHammer has producers of numbered events and consumers that deliver, fail, give back and give up at random; a model checks each hand-out.
func testHammer(t *testing.T, b *bench) {
	const producers, each, consumers = 8, 100, 8
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	m := &model{t: t, next: map[string]int{}, left: producers * each, done: stop}
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for n := range each {
				e := event.Event{ID: event.NewID(fmt.Sprint(p, n)), Type: "t", Subject: fmt.Sprint(p), Received: b.now(), Time: b.now(), Body: fmt.Append(nil, n)}
				if _, err := b.queue.Append(ctx, []event.Event{e}); err != nil {
					t.Errorf("Append: %v", err)
				}
			}
		})
	}
	for c := range consumers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(c), 1)) //nolint:gosec // a seeded test
			for {
				d, err := b.queue.Next(ctx)
				if err != nil {
					return
				}
				m.attempt(d)
				switch random.IntN(5) {
				case 0:
					b.advance(time.Millisecond)
					m.end(d, false)
					b.retry(d, 0)
				case 1:
					m.end(d, false)
					b.queue.Release(d)
				default:
					m.end(d, true)
					b.delivered(d)
				}
				b.advance(time.Nanosecond)
			}
		})
	}
	wg.Wait()
	b.wantStats(0, 0)
}

// model knows what may be handed out.
type model struct {
	t    *testing.T
	mu   sync.Mutex
	next map[string]int
	held sync.Map
	left int
	done func()
}

func (m *model) attempt(d *buffer.Delivery) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.held.LoadOrStore(d.Event.Subject, true); taken {
		m.t.Errorf("two events of subject %s are handed out at once", d.Event.Subject)
	}
	if want := fmt.Sprint(m.next[d.Event.Subject]); string(d.Event.Body) != want {
		m.t.Errorf("subject %s: event %s is handed out, want %s", d.Event.Subject, d.Event.Body, want)
	}
}

// end is called before the lease ends: another consumer may have the next one right after.
func (m *model) end(d *buffer.Delivery, delivered bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held.Delete(d.Event.Subject)
	if delivered {
		m.next[d.Event.Subject]++
		if m.left--; m.left == 0 {
			m.done() // the last settlement goes on; the consumers that wait can go
		}
	}
}
