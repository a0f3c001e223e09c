package buffertest

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
)

func testFidelity(t *testing.T, b *bench) {
	want := event.Event{
		ID: event.NewID("whole"), Type: "com.example.made", Source: "//example.com/apps/1", Subject: "ชื่อ 名 🙂",
		ContentType: event.ContentTypeBytes,
		Time:        time.Date(1999, 12, 31, 23, 59, 59, 999, time.UTC), Received: b.now().Add(123456789),
		Extensions: []event.Extension{{Name: "sellerid", Value: "1"}, {Name: "site", Value: ""}},
		Body:       []byte("{\"raw\": \xff\x00 not even text"),
	}
	given := want
	given.Body = append([]byte{}, want.Body...)
	b.append(given)
	clear(given.Body) // what was given belongs to the caller again

	d := b.next()
	want.Endpoint = Endpoint
	if diff := cmp.Diff(want, d.Event); diff != "" {
		t.Errorf("event changed (-want +got):\n%s", diff)
	}
	b.delivered(d)

	empty := b.event("")
	empty.Body = nil
	b.append(empty)
	if d := b.expect(empty, 1); len(d.Event.Body) != 0 || d.Event.Subject != "" {
		t.Errorf("empty event came out as %+v", d.Event)
	}
}

func testDuplicate(t *testing.T, b *bench) {
	e := b.event("a")
	b.append(e)
	b.advance(7*time.Hour - time.Second)
	again := e
	again.Body = []byte("another body, the same identity")
	got, err := b.queue.Append(t.Context(), []event.Event{again})
	if err != nil || got != (buffer.Appended{Duplicates: 1}) {
		t.Fatalf("Append of a repeat: %+v, %v", got, err)
	}
	b.delivered(b.expect(e, 1))
	b.nothingDue()
	b.wantStats(0, 0)
}

func testWindowEnds(_ *testing.T, b *bench) {
	e := b.event("a")
	b.append(e)
	b.delivered(b.expect(e, 1))
	b.advance(7 * time.Hour)
	b.append(e)
	b.delivered(b.expect(e, 1))
	b.advance(20 * time.Hour)
	b.place.Sweep(b.t, b.buf)
	b.append(e)
	b.delivered(b.expect(e, 1))
}

func testNoWindow(_ *testing.T, b *bench) {
	s := Settings()
	s.DeduplicationWindow = 0
	b.queue = b.serve(Endpoint, s)
	e := b.event("a")
	b.append(e)
	b.append(e)
	b.wantStats(2, 0)
}

func testDuplicateInBatch(t *testing.T, b *bench) {
	e, other := b.event("a"), b.event("a")
	got, err := b.queue.Append(t.Context(), []event.Event{e, other, e})
	if err != nil || got != (buffer.Appended{Stored: 2, Duplicates: 1}) {
		t.Fatalf("Append: %+v, %v", got, err)
	}
	b.delivered(b.expect(e, 1))
	b.delivered(b.expect(other, 1))
	b.nothingDue()
}

func testEndpointsApart(t *testing.T, b *bench) {
	e := b.event("a")
	b.append(e)
	other := b.serve("shop/other", Settings())
	got, err := other.Append(t.Context(), []event.Event{e})
	if err != nil || got.Stored != 1 {
		t.Fatalf("Append to another endpoint: %+v, %v", got, err)
	}
	d, err := other.Next(t.Context())
	if err != nil || d.Event.Endpoint != "shop/other" {
		t.Fatalf("Next of another endpoint: %+v, %v", d, err)
	}
	if err := other.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered}); err != nil {
		t.Fatal(err)
	}
	b.delivered(b.expect(e, 1))
}

func testConcurrentDuplicates(t *testing.T, b *bench) {
	e := b.event("a")
	var wg sync.WaitGroup
	results := make(chan buffer.Appended, 64)
	for range cap(results) {
		wg.Go(func() {
			got, err := b.queue.Append(t.Context(), []event.Event{e})
			if err != nil {
				t.Errorf("Append: %v", err)
			}
			results <- got
		})
	}
	wg.Wait()
	close(results)
	var sum buffer.Appended
	for r := range results {
		sum.Stored += r.Stored
		sum.Duplicates += r.Duplicates
	}
	if want := (buffer.Appended{Stored: 1, Duplicates: 63}); sum != want {
		t.Errorf("identical events: %+v, want %+v", sum, want)
	}
	b.wantStats(1, 0)
}

func testNextEnds(t *testing.T, b *bench) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { _, err := b.queue.Next(ctx); ended <- err }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Next after its context ended: %v", err)
	}
	go func() { _, err := b.queue.Next(t.Context()); ended <- err }()
	b.close()
	if err := <-ended; !errors.Is(err, buffer.ErrClosed) {
		t.Errorf("Next after Close: %v", err)
	}
}

// testNextLeaves has one of two waiting calls end at the moment that an event is appended: the other gets it.
func testNextLeaves(t *testing.T, b *bench) {
	type result struct {
		d   *buffer.Delivery
		err error
	}
	for range 300 {
		leaving, leave := context.WithCancel(t.Context())
		staying, stop := context.WithTimeout(t.Context(), 10*time.Second)
		left, stayed := make(chan result, 1), make(chan result, 1)
		for ctx, got := range map[context.Context]chan result{leaving: left, staying: stayed} {
			go func() { d, err := b.queue.Next(ctx); got <- result{d, err} }()
		}
		go func() {
			for b.queue.Stats().Pending == 0 && staying.Err() == nil {
				runtime.Gosched()
			}
			leave()
		}()
		b.subject("a", 1)
		first := <-left
		if first.d == nil {
			first = <-stayed
			stop()
		} else {
			stop()
			<-stayed
		}
		if first.d == nil {
			t.Fatalf("the event was handed out to nobody: %v", first.err)
		}
		b.delivered(first.d)
	}
}

func testClosed(t *testing.T, b *bench) {
	b.subject("a", 1)
	d := b.next()
	b.close()
	if err := b.buf.Ready(); !errors.Is(err, buffer.ErrClosed) {
		t.Errorf("Ready: %v", err)
	}
	if _, err := b.queue.Append(t.Context(), []event.Event{b.event("a")}); !errors.Is(err, buffer.ErrClosed) {
		t.Errorf("Append: %v", err)
	}
	if _, err := b.queue.Next(t.Context()); !errors.Is(err, buffer.ErrClosed) {
		t.Errorf("Next: %v", err)
	}
	if err := b.queue.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered}); !errors.Is(err, buffer.ErrClosed) {
		t.Errorf("Settle: %v", err)
	}
	if _, err := b.buf.Queue("shop/late", Settings()); !errors.Is(err, buffer.ErrClosed) {
		t.Errorf("Queue: %v", err)
	}
	b.queue.Release(d)
	_ = b.queue.Stats()
	_ = b.buf.Bytes()
}

func testStats(t *testing.T, b *bench) {
	b.wantStats(0, 0)
	first := b.event("a")
	b.append(first)
	b.advance(time.Minute)
	b.subject("b", 2)
	b.wantStats(3, 0)
	if s := b.queue.Stats(); !s.Oldest.Equal(first.Received) {
		t.Errorf("oldest: %v, want %v", s.Oldest, first.Received)
	}
	b.delivered(b.expect(first, 1))
	b.wantStats(2, 0)
	if s := b.queue.Stats(); !s.Oldest.Equal(b.now()) {
		t.Errorf("oldest after the first was delivered: %v, want %v", s.Oldest, b.now())
	}
	if got := b.buf.Queues(); !cmp.Equal(got, []string{Endpoint}) {
		t.Errorf("queues that hold something: %v", got)
	}
	if s, ok := b.buf.Peek(Endpoint); !ok || s.Pending != 2 || s.Dead != 0 || !s.Oldest.Equal(b.now()) {
		t.Errorf("Peek: %+v, %t; want what the queue's Stats are", s, ok)
	}
	if s, ok := b.buf.Peek("shop/never"); ok {
		t.Errorf("Peek of an endpoint that never had a queue: %+v", s)
	}
	if got := b.buf.Queues(); len(got) != 1 {
		t.Errorf("Peek made a queue: %v", got)
	}
	if b.buf.Bytes() <= 0 {
		t.Error("Bytes: want some")
	}
	if err := b.buf.Ready(); err != nil {
		t.Errorf("Ready: %v", err)
	}
}
