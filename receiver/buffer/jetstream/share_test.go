package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/buffertest"
	"github.com/hookbay/hookbay/receiver/buffer/jetstream"
	"github.com/hookbay/hookbay/receiver/event"
)

const endpoint = buffertest.Endpoint

// patience is how long a very slow machine may take for what should take a second.
const patience = 5 * time.Minute

// within polls until something is so, for as long as a slow machine may take.
func within(t testing.TB, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	for !so() {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			t.Fatalf("not in time: %s", what)
		}
	}
}

// receiver is one of several that share a stream.
type receiver struct {
	*jetstream.Buffer
	queue buffer.Queue
	line  *wire
}

func join(t testing.TB, s *server.Server, o jetstream.Options) *receiver {
	t.Helper()
	r := &receiver{line: &wire{}}
	o.Connect = func() (*nats.Conn, error) {
		return nats.Connect(s.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1),
			nats.SetCustomDialer(r.line), nats.PingInterval(time.Hour))
	}
	r.Buffer = open(t, o)
	q, err := r.Queue(endpoint, buffertest.Settings())
	if err != nil {
		t.Fatal(err)
	}
	r.queue = q
	t.Cleanup(r.line.thaw) // before the buffer is closed
	return r
}

// wire makes connections that can stand still, as those of a process that is stopped do.
type wire struct {
	mu     sync.Mutex
	thawed chan struct{} // nil: they don't
	conns  []net.Conn
}

// Dial implements nats.CustomDialer.
func (w *wire) Dial(network, address string) (net.Conn, error) {
	w.wait()
	c, err := net.Dial(network, address)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, c)
	return &icyConn{Conn: c, wire: w}, nil
}

func (w *wire) wait() {
	w.mu.Lock()
	c := w.thawed
	w.mu.Unlock()
	if c != nil {
		<-c
	}
}

func (w *wire) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.thawed == nil {
		w.thawed = make(chan struct{})
	}
}

func (w *wire) thaw() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.thawed != nil {
		close(w.thawed)
		w.thawed = nil
	}
}

type icyConn struct {
	net.Conn
	wire *wire
}

func (c *icyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.wire.wait()
	return n, err
}

func (c *icyConn) Write(p []byte) (int, error) {
	c.wire.wait()
	return c.Conn.Write(p)
}

// numbered is event n of a subject.
func numbered(subject string, n int) event.Event {
	now := time.Now()
	return event.Event{
		ID: event.NewID(subject, fmt.Sprint(n)), Type: "t", Source: "//example.com", Subject: subject, Received: now, Time: now, Body: fmt.Append(nil, n),
	}
}

// append stores events.
func (r *receiver) append(t testing.TB, events ...event.Event) {
	t.Helper()
	if got, err := r.queue.Append(t.Context(), events); err != nil || got.Stored != len(events) {
		t.Fatalf("Append: %+v, %v", got, err)
	}
}

// next leases what is due.
func (r *receiver) next(t testing.TB) *buffer.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d, err := r.queue.Next(ctx)
	if err != nil {
		t.Fatalf("Next: %v", err)
	}
	return d
}

func (r *receiver) delivered(t testing.TB, d *buffer.Delivery) {
	t.Helper()
	if err := r.queue.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered}); err != nil {
		t.Fatalf("Settle: %v", err)
	}
}

// spread says whether every receiver has some of the partitions, and together they have all.
func spread(receivers ...*receiver) bool {
	sum := 0
	for _, r := range receivers {
		n := r.Owned(endpoint)
		if n == 0 {
			return false
		}
		sum += n
	}
	return sum == jetstream.Partitions
}

func TestShare_partitionsSpreadAndComeBack(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	// A lease that outlives the test: what moves is handed over.
	o := jetstream.Options{Prefix: newPrefix(), LeaseTime: 10 * time.Minute}
	a := join(t, s, o)
	if got := a.Owned(endpoint); got != jetstream.Partitions {
		t.Fatalf("the first receiver has %d partitions, want all", got)
	}
	b := join(t, s, o)
	within(t, "two receivers share the partitions", func() bool { return spread(a, b) })
	c := join(t, s, o)
	within(t, "three receivers share the partitions", func() bool { return spread(a, b, c) })
	for _, r := range []*receiver{b, a} {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	within(t, "the last receiver has all partitions", func() bool { return c.Owned(endpoint) == jetstream.Partitions })
}

func TestShare_handoverWaitsForAttempts(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	o := jetstream.Options{Prefix: newPrefix(), LeaseTime: 10 * time.Minute}
	a := join(t, s, o)
	const subjects = 64
	leased := map[string]*buffer.Delivery{}
	for i := range subjects {
		a.append(t, numbered(fmt.Sprint(i), 0), numbered(fmt.Sprint(i), 1))
	}
	for range subjects {
		d := a.next(t)
		leased[d.Event.Subject] = d
	}
	b := join(t, s, o)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if d, err := b.queue.Next(ctx); err == nil && string(d.Event.Body) != "0" {
		t.Fatalf("event %s of subject %s is handed out by a second receiver while the first one has the one before", d.Event.Body, d.Event.Subject)
	}
	for _, d := range leased {
		a.delivered(t, d)
	}
	within(t, "the receivers share the partitions", func() bool { return spread(a, b) })
	got := make(chan *buffer.Delivery, subjects)
	both, stopBoth := context.WithTimeout(t.Context(), patience)
	defer stopBoth()
	for _, r := range []*receiver{a, b} {
		go func() {
			for {
				d, err := r.queue.Next(both)
				if err != nil {
					return
				}
				if err := r.queue.Settle(both, d, buffer.Outcome{Verdict: buffer.Delivered}); err != nil {
					t.Errorf("Settle: %v", err)
				}
				got <- d
			}
		}()
	}
	seen := map[string]bool{}
	for range subjects {
		select {
		case d := <-got:
			if string(d.Event.Body) != "1" || seen[d.Event.Subject] {
				t.Errorf("event %s of subject %s is handed out once more", d.Event.Body, d.Event.Subject)
			}
			seen[d.Event.Subject] = true
		case <-both.Done():
			t.Fatalf("%d of %d events are handed out after the handover", len(seen), subjects)
		}
	}
	within(t, "nothing is pending", func() bool { return a.queue.Stats().Pending+b.queue.Stats().Pending == 0 })
}

func TestShare_takeoverFromOneThatVanished(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	o := jetstream.Options{Prefix: newPrefix(), LeaseTime: time.Second}
	a := join(t, s, o)
	a.append(t, numbered("x", 0), numbered("x", 1), numbered("y", 0))
	a.delivered(t, a.next(t)) // x0
	first := a.next(t)
	second := a.next(t)
	retried := first
	if second.Event.Subject == "x" {
		retried = second
	}
	if err := a.queue.Settle(t.Context(), retried, buffer.Outcome{Verdict: buffer.Retry, RetryAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	b := join(t, s, o)
	a.line.freeze() // as if its machine were gone
	within(t, "the other receiver has all partitions", func() bool { return b.Owned(endpoint) == jetstream.Partitions })
	attempts := map[string]int{}
	for range 2 {
		d := b.next(t)
		attempts[d.Event.Subject+string(d.Event.Body)] = d.Attempt
		b.delivered(t, d)
	}
	if attempts["x1"] != 2 || attempts["y0"] != 1 {
		t.Errorf("attempts after the takeover: %v; want x1 at its second and y0 at its first", attempts)
	}
	if st := b.queue.Stats(); st.Pending != 0 {
		t.Errorf("after all was delivered: %+v", st)
	}
}

func TestShare_pausedOwnerLosesItsLeases(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	o := jetstream.Options{Prefix: newPrefix(), LeaseTime: time.Second}
	a := join(t, s, o)
	for i := range 40 {
		a.append(t, numbered(fmt.Sprint(i), 0), numbered(fmt.Sprint(i), 1))
	}
	held := []*buffer.Delivery{a.next(t), a.next(t), a.next(t)}
	b := join(t, s, o)
	a.line.freeze()
	within(t, "the other receiver has all partitions", func() bool { return b.Owned(endpoint) == jetstream.Partitions })
	// The paused one wakes up with three attempts under way, and Next waiting.
	stale := make(chan *buffer.Delivery, 1)
	nextCtx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		d, _ := a.queue.Next(nextCtx)
		stale <- d
	}()
	for range 3 {
		b.delivered(t, b.next(t))
	}
	b.line.freeze() // nothing is handed back to the first one meanwhile
	a.line.thaw()
	for i, verdict := range []buffer.Verdict{buffer.Delivered, buffer.Retry, buffer.Dead} {
		err := a.queue.Settle(t.Context(), held[i], buffer.Outcome{Verdict: verdict, RetryAt: time.Now(), Reason: "gone"})
		if !errors.Is(err, buffer.ErrLeaseLost) {
			t.Errorf("Settle of a lost lease with verdict %d: %v, want ErrLeaseLost", verdict, err)
		}
	}
	b.line.thaw()
	cancel()
	if d := <-stale; d != nil {
		t.Logf("the first receiver has partitions again and hands out %s of %s", d.Event.Body, d.Event.Subject)
		a.queue.Release(d)
	}
}

// Receivers of one endpoint do not give up the events of another whose receivers are away for longer than the events' age.
func TestShare_otherEndpointIsAway(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	var later atomic.Int64
	o := jetstream.Options{Prefix: newPrefix(), LeaseTime: time.Second, Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }}
	away := join(t, s, o)
	away.append(t, numbered("a", 0), numbered("b", 0))
	away.queue.Release(away.next(t))
	if err := away.Close(); err != nil {
		t.Fatal(err)
	}
	later.Store(int64(buffertest.Settings().MaxAge + time.Hour))
	o.Connect = connect(s.ClientURL())
	other := open(t, o)
	if _, err := other.Queue("shop/other", buffertest.Settings()); err != nil {
		t.Fatal(err)
	}
	if err := other.Sweep(); err != nil {
		t.Fatal(err)
	}
	back := join(t, s, o)
	if st := back.queue.Stats(); st.Pending != 2 || st.Dead != 0 {
		t.Errorf("stats of the endpoint whose receivers are back: %+v, want 2 pending", st)
	}
}
