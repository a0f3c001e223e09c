package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/buffertest"
	"github.com/hookbay/hookbay/receiver/buffer/jetstream"
	"github.com/hookbay/hookbay/receiver/event"
)

// long is a settings' window that outlasts a test.
func long() buffer.Settings {
	s := buffertest.Settings()
	s.DeduplicationWindow = 10 * time.Minute
	return s
}

// fill appends events until there is no room.
func (r *receiver) fill(t *testing.T) (n int) {
	t.Helper()
	if _, err := r.Queue(endpoint, long()); err != nil {
		t.Fatal(err)
	}
	for ; n < 400; n++ {
		e := numbered(fmt.Sprint("s", n%50), n)
		e.Body = make([]byte, 10<<10)
		_, err := r.queue.Append(t.Context(), []event.Event{e})
		if errors.Is(err, buffer.ErrFull) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the stream has room for everything")
	return 0
}

// dead has the next event become a dead letter.
func (r *receiver) dead(t *testing.T, reason string) {
	t.Helper()
	if err := r.queue.Settle(t.Context(), r.next(t), buffer.Outcome{Verdict: buffer.Dead, Reason: reason}); err != nil {
		t.Fatalf("Settle as dead: %v", err)
	}
}

// In a full stream, settlements go on, although there is room for few dead letters and nothing is old enough to go.
func TestFull_allBecomeDeadLetters(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	var later atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	r := join(t, s, jetstream.Options{Prefix: newPrefix(), LeaseTime: 10 * time.Second, MaxBytes: 2 << 20, Now: now})
	for range r.fill(t) {
		r.dead(t, "target answered 410")
	}
	if st := r.queue.Stats(); st.Pending != 0 || st.Dead == 0 {
		t.Errorf("stats: %+v, want nothing pending and dead letters", st)
	}
	if err := r.Consistent(endpoint); err != nil {
		t.Error(err)
	}
	later.Store(int64(30 * 24 * time.Hour))
	if err := r.Sweep(); err != nil {
		t.Fatal(err)
	}
	within(t, "there is room again", func() bool { return r.Ready() == nil })
	r.append(t, numbered("a", 1))
	r.delivered(t, r.next(t))
	if st := r.queue.Stats(); st.Dead != 0 {
		t.Errorf("stats at the end: %+v, want no dead letters", st)
	}
}

// A stream without room for as much as a heartbeat heals when receivers come back.
func TestFull_restart(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	o := jetstream.Options{Prefix: newPrefix(), LeaseTime: 2 * time.Second, MaxBytes: 2 << 20}
	r := join(t, s, o)
	n := r.fill(t)
	for range 10 {
		r.dead(t, "target answered 410")
	}
	r.line.freeze() // it is killed
	js := jetStream(t, s)
	stream, err := js.Stream(t.Context(), o.Prefix+"_shop_orders")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), natsjs.WithPurgeSubject(o.Prefix+".shop.orders.m.*")); err != nil { // as if some time had passed
		t.Fatal(err)
	}
	for _, size := range []int{10 << 10, 1 << 10, 100, 1, 0} { // the rest of the room is dead letters
		for {
			letter := make([]byte, size)
			if _, err := js.Publish(t.Context(), fmt.Sprint(o.Prefix, ".shop.orders.d.5.", newPrefix()), letter); err != nil {
				break
			}
		}
	}
	again := join(t, s, o)
	within(t, "it has all partitions", func() bool { return again.Owned(endpoint) == jetstream.Partitions })
	for range n - 10 {
		again.delivered(t, again.next(t))
	}
	if st := again.queue.Stats(); st.Pending != 0 {
		t.Errorf("stats: %+v, want nothing pending", st)
	}
}

// largest appends the largest event that is taken.
func (r *receiver) largest(t *testing.T, limit int) {
	t.Helper()
	fits := func(size int) bool {
		e := numbered("big", 0)
		e.Body = make([]byte, size)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := r.queue.Append(ctx, []event.Event{e})
		if err != nil && (!errors.Is(err, buffer.ErrTooLarge) || !strings.Contains(err.Error(), "max_payload")) {
			t.Fatalf("Append of %d bytes: %v, want ErrTooLarge and what to change", size, err)
		}
		return err == nil
	}
	size := limit
	for ; !fits(size); size -= 64 {
		if size < limit/2 {
			t.Fatalf("an event of %d bytes is too large already", size)
		}
	}
}

// What is taken in fits as a dead letter, whatever the reason.
func TestFull_largestEventAsDeadLetter(t *testing.T) {
	tests := map[string]struct{ payload, message int }{
		"the server's limit": {payload: 100 << 10},
		"the stream's limit": {payload: 1 << 20, message: 64 << 10},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := smallServer(t, t.TempDir(), int32(tc.payload), -1)
			t.Cleanup(func() { stop(s) })
			config := found()
			config.MaxMsgSize = int32(tc.message)
			if _, err := jetStream(t, s).CreateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			r := join(t, s, jetstream.Options{Stream: "mine"})
			limit := tc.payload
			if tc.message > 0 {
				limit = tc.message
			}
			r.largest(t, limit)
			r.dead(t, strings.Repeat("target answered 422, ", 1000))
			if st := r.queue.Stats(); st.Pending != 0 || st.Dead != 1 {
				t.Errorf("stats: %+v, want one dead letter", st)
			}
		})
	}
}

// Limits that are lowered while an event waits do not hold it up.
func TestFull_deadLetterBeyondALoweredLimit(t *testing.T) {
	dir := t.TempDir()
	s := smallServer(t, dir, 200<<10, -1)
	r := join(t, s, jetstream.Options{Prefix: newPrefix()})
	r.largest(t, 200<<10)
	d := r.next(t)
	port := portOf(s)
	stop(s)
	s = smallServer(t, dir, 100<<10, port)
	t.Cleanup(func() { stop(s) })
	if err := r.queue.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Dead, Reason: "target answered 422"}); err != nil {
		t.Fatal(err)
	}
	if st := r.queue.Stats(); st.Pending != 0 || st.Dead != 1 {
		t.Errorf("stats: %+v, want one dead letter", st)
	}
}

func TestFull_readyTellsOfWhatIsNotStored(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	r := join(t, s, jetstream.Options{Prefix: newPrefix()})
	within(t, "it has all partitions", func() bool { return r.Owned(endpoint) == jetstream.Partitions })
	failure := errors.New("some failure")
	r.Failing(endpoint, time.Second, failure)
	if err := r.Ready(); err != nil {
		t.Errorf("Ready while a write fails for a second: %v", err)
	}
	r.Failing(endpoint, time.Minute, failure)
	if err := r.Ready(); !errors.Is(err, failure) {
		t.Errorf("Ready while a write fails for a minute: %v", err)
	}
	r.append(t, numbered("a", 0), numbered("b", 0))
	r.delivered(t, r.next(t))
	r.delivered(t, r.next(t))
	if err := r.Sweep(); err != nil { // which writes all partitions
		t.Fatal(err)
	}
	if err := r.Ready(); err != nil {
		t.Errorf("Ready after a write: %v", err)
	}
}

// counter counts lines of a log.
type counter struct{ lines atomic.Int64 }

func (c *counter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "Buffer is in trouble") {
		c.lines.Add(1)
	}
	return len(p), nil
}

func TestFull_troubleIsToldOnce(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	var told counter
	r := join(t, s, jetstream.Options{Prefix: newPrefix(), Log: slog.New(slog.NewTextHandler(&told, nil))})
	for range 10 {
		r.Trouble(endpoint, errors.New("some failure"))
	}
	r.Trouble(endpoint, errors.New("another"))
	if n := told.lines.Load(); n != 2 {
		t.Errorf("the log tells %d times of two troubles", n)
	}
}
