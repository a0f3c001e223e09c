package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/buffertest"
	"github.com/hookbay/hookbay/receiver/buffer/jetstream"
	"github.com/hookbay/hookbay/receiver/event"
)

// jetStream is a client of a server that is not the buffer's.
func jetStream(t testing.TB, s *server.Server) natsjs.JetStream {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func portOf(s *server.Server) int { return s.Addr().(*net.TCPAddr).Port }

func TestTrouble_serverRestarts(t *testing.T) {
	dir := t.TempDir()
	s := natsServer(t, dir, -1)
	o := jetstream.Options{Prefix: newPrefix(), LeaseTime: time.Second}
	r := join(t, s, o)
	for i := range 50 {
		r.append(t, numbered(fmt.Sprint(i%5), i))
	}
	tried := r.next(t)
	if err := r.queue.Settle(t.Context(), tried, buffer.Outcome{Verdict: buffer.Retry, RetryAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	dead := r.next(t)
	for dead.Event.ID == tried.Event.ID {
		r.queue.Release(dead)
		dead = r.next(t)
	}
	if err := r.queue.Settle(t.Context(), dead, buffer.Outcome{Verdict: buffer.Dead, Reason: "target answered 410"}); err != nil {
		t.Fatal(err)
	}
	port := portOf(s)
	stop(s)
	s = natsServer(t, dir, port)
	t.Cleanup(func() { stop(s) })
	within(t, "the buffer is ready again", func() bool { return r.Ready() == nil })
	if got, err := r.queue.Append(t.Context(), []event.Event{tried.Event, dead.Event}); err != nil || got.Duplicates != 2 {
		t.Errorf("Append of repeats after the server restarted: %+v, %v", got, err)
	}
	last, attempts := map[string]string{}, 0
	for range 49 {
		d := r.next(t)
		if len(last[d.Event.Subject]) == len(d.Event.Body) && last[d.Event.Subject] > string(d.Event.Body) {
			t.Errorf("subject %s: event %s comes after %s", d.Event.Subject, d.Event.Body, last[d.Event.Subject])
		}
		last[d.Event.Subject] = string(d.Event.Body)
		if d.Event.ID == tried.Event.ID {
			attempts = d.Attempt
		}
		r.delivered(t, d)
	}
	if attempts != 2 {
		t.Errorf("the event that was tried before the restart comes at attempt %d, want 2", attempts)
	}
	if st := r.queue.Stats(); st.Pending != 0 || st.Dead != 1 {
		t.Errorf("stats at the end: %+v, want nothing pending and one dead letter", st)
	}
}

func TestTrouble_serverIsAway(t *testing.T) {
	dir := t.TempDir()
	s := natsServer(t, dir, -1)
	port := portOf(s)
	stop(s)
	const secret = "s3cret"
	b := open(t, jetstream.Options{Prefix: newPrefix(), LeaseTime: time.Second, Connect: func() (*nats.Conn, error) {
		return nats.Connect(fmt.Sprintf("nats://127.0.0.1:%d", port), nats.Token(secret), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
			nats.RetryOnFailedConnect(true), nats.ReconnectBufSize(-1))
	}})
	q, err := b.Queue(endpoint, buffertest.Settings())
	if err != nil {
		t.Fatalf("Queue while no server is there: %v", err)
	}
	failing := func(what string) {
		t.Helper()
		within(t, "Ready says that there is no server", func() bool { return b.Ready() != nil })
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := q.Append(ctx, []event.Event{numbered("a", 0)})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Append %s: %v, want the end of its time", what, err)
		}
		for _, err := range []error{err, b.Ready()} {
			if err == nil || !strings.Contains(err.Error(), "NATS") || strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v; want an error that tells of NATS and no secret", what, err)
			}
		}
	}
	failing("before there was a server")
	for range 2 {
		s = natsServer(t, dir, port)
		within(t, "the buffer is ready", func() bool { return b.Ready() == nil })
		if _, err := q.Append(t.Context(), []event.Event{numbered("a", 0)}); err != nil {
			t.Fatalf("Append with a server: %v", err)
		}
		stop(s)
		failing("after the server went")
	}
}

func TestTrouble_settlesThroughAnAbsence(t *testing.T) {
	dir := t.TempDir()
	s := natsServer(t, dir, -1)
	r := join(t, s, jetstream.Options{Prefix: newPrefix(), LeaseTime: time.Second})
	r.append(t, numbered("a", 0), numbered("a", 1), numbered("b", 0))
	first := r.next(t)
	other := r.next(t)
	port := portOf(s)
	stop(s)
	settled := make(chan error, 2)
	go func() {
		settled <- r.queue.Settle(t.Context(), first, buffer.Outcome{Verdict: buffer.Delivered})
	}()
	go func() {
		settled <- r.queue.Settle(t.Context(), other, buffer.Outcome{Verdict: buffer.Retry, RetryAt: time.Now()})
	}()
	s = natsServer(t, dir, port)
	t.Cleanup(func() { stop(s) })
	for range 2 {
		if err := <-settled; err != nil {
			t.Errorf("Settle while the server was away: %v", err)
		}
	}
	attempts := map[string]int{}
	for range 2 {
		d := r.next(t)
		attempts[d.Event.Subject+string(d.Event.Body)] = d.Attempt
		r.delivered(t, d)
	}
	if attempts["a1"]+attempts["b0"] != 3 {
		t.Errorf("attempts: %v; want a1's first and b0's second", attempts)
	}
}

func TestTrouble_full(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	var mu sync.Mutex
	clock := time.Now()
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return clock
	}
	r := join(t, s, jetstream.Options{Prefix: newPrefix(), MaxBytes: 2 << 20, Now: now})
	settings := buffertest.Settings()
	settings.DeduplicationWindow = 10 * time.Minute
	if _, err := r.Queue(endpoint, settings); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 10<<10)
	n := 0
	for {
		e := numbered("a", n)
		e.Body = body
		_, err := r.queue.Append(t.Context(), []event.Event{e})
		if errors.Is(err, buffer.ErrFull) {
			break
		}
		if err != nil || n > 400 {
			t.Fatalf("Append of event %d: %v, want ErrFull at last", n, err)
		}
		n++
	}
	if err := r.Ready(); !errors.Is(err, buffer.ErrFull) {
		t.Errorf("Ready of a full buffer: %v", err)
	}
	for i := range n { // settlements go on: a retry and a dead letter among them
		d := r.next(t)
		o := buffer.Outcome{Verdict: buffer.Delivered}
		if i == 1 && d.Attempt == 1 {
			o = buffer.Outcome{Verdict: buffer.Retry, RetryAt: now()}
		}
		if err := r.queue.Settle(t.Context(), d, o); err != nil {
			t.Fatalf("Settle in a full buffer: %v", err)
		}
	}
	r.delivered(t, r.next(t))
	mu.Lock()
	clock = clock.Add(12 * time.Minute) // beyond the window, and far from the end of the retention
	mu.Unlock()
	if err := r.Sweep(); err != nil {
		t.Fatal(err)
	}
	within(t, "there is room again", func() bool { return r.Ready() == nil })
	r.append(t, numbered("a", n))
}

func TestTrouble_batchIsStoredWholeOrNot(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	r := join(t, s, jetstream.Options{Prefix: newPrefix(), MaxBytes: 1 << 20})
	var batch []event.Event
	for i := range 200 {
		e := numbered(fmt.Sprint(i%7), i)
		e.Body = make([]byte, 10<<10)
		batch = append(batch, e)
	}
	if _, err := r.queue.Append(t.Context(), batch); !errors.Is(err, buffer.ErrFull) {
		t.Errorf("Append of more than fits: %v, want ErrFull", err)
	}
	if st := r.queue.Stats(); st.Pending != 0 {
		t.Errorf("after an Append that failed: %+v", st)
	}
	within(t, "there is room", func() bool { return r.Ready() == nil })
	// One event that the server does not take is none.
	small := []event.Event{numbered("a", 0), numbered("b", 0), numbered("c", 0)}
	small[2].Body = make([]byte, 2<<20)
	if _, err := r.queue.Append(t.Context(), small); err == nil {
		t.Error("Append of an event beyond the server's limit: want an error")
	}
	if got, err := r.queue.Append(t.Context(), small[:2]); err != nil || got.Stored != 2 {
		t.Errorf("Append of the others: %+v, %v; want both stored now", got, err)
	}
}

func TestTrouble_repeatsThroughTwoReceivers(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	o := jetstream.Options{Prefix: newPrefix()}
	a, b := join(t, s, o), join(t, s, o)
	within(t, "the receivers share the partitions", func() bool { return spread(a, b) })
	var mu sync.Mutex
	var sum buffer.Appended
	var wg sync.WaitGroup
	const events, times = 20, 8
	for i := range events {
		for n := range times {
			r := []*receiver{a, b}[n%2]
			wg.Go(func() {
				batch := []event.Event{numbered("a", i)}
				if n%3 == 0 {
					batch = append(batch, numbered("b", i))
				}
				got, err := r.queue.Append(t.Context(), batch)
				if err != nil {
					t.Errorf("Append: %v", err)
				}
				mu.Lock()
				defer mu.Unlock()
				sum.Stored += got.Stored
				sum.Duplicates += got.Duplicates
			})
		}
	}
	wg.Wait()
	if sum.Stored != 2*events || sum.Stored+sum.Duplicates != events*(times+3) {
		t.Errorf("appended %+v, want %d stored", sum, 2*events)
	}
	within(t, "each is pending once", func() bool { return a.queue.Stats().Pending+b.queue.Stats().Pending == 2*events })
}
