package jetstream_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/jetstream"
	"github.com/hookbay/hookbay/receiver/event"
)

// TestBacklog_stuckSubjects has many subjects stuck, with more events than are held in memory: others pass them, also after a restart, and they come
// out in order when their time has come.
func TestBacklog_stuckSubjects(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	var mu sync.Mutex
	clock := time.Now()
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return clock
	}
	o := jetstream.Options{Prefix: newPrefix(), Now: now}
	const subjects, each = 16, 150
	const total = subjects * each
	r := join(t, s, o)
	for i := range each {
		var batch []event.Event
		for k := range subjects {
			batch = append(batch, numbered(fmt.Sprint("stuck", k), i))
		}
		r.append(t, batch...)
		if i == 0 {
			for range subjects {
				if err := r.queue.Settle(t.Context(), r.next(t), buffer.Outcome{Verdict: buffer.Retry, RetryAt: now().Add(time.Hour)}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	pass := func(r *receiver, subject string) {
		t.Helper()
		r.append(t, numbered(subject, 0))
		if d := r.next(t); d.Event.Subject != subject {
			t.Fatalf("event %s of subject %s is handed out, want one of %s", d.Event.Body, d.Event.Subject, subject)
		} else {
			r.delivered(t, d)
		}
		if events, bytes := r.Held(endpoint); events > jetstream.MaxHeld || bytes > jetstream.MaxHeldBytes {
			t.Errorf("%d events of %d bytes are in memory", events, bytes)
		}
		if err := r.Consistent(endpoint); err != nil {
			t.Error(err)
		}
		if st := r.queue.Stats(); st.Pending != total {
			t.Errorf("%d events are pending, want %d", st.Pending, total)
		}
	}
	pass(r, "first")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = join(t, s, o)
	if st := r.queue.Stats(); st.Pending != total {
		t.Errorf("%d events are pending after a restart, want %d", st.Pending, total)
	}
	pass(r, "second")
	mu.Lock()
	clock = clock.Add(time.Hour)
	mu.Unlock()
	next := map[string]int{}
	for range total {
		d := r.next(t)
		if want := strconv.Itoa(next[d.Event.Subject]); string(d.Event.Body) != want {
			t.Fatalf("subject %s: event %s is handed out, want %s", d.Event.Subject, d.Event.Body, want)
		}
		if d.Attempt != 1 && next[d.Event.Subject] > 0 {
			t.Fatalf("subject %s: event %s comes at attempt %d", d.Event.Subject, d.Event.Body, d.Attempt)
		}
		next[d.Event.Subject]++
		r.delivered(t, d)
	}
	if st := r.queue.Stats(); st.Pending != 0 {
		t.Errorf("%d events are pending at the end", st.Pending)
	}
	if err := r.Consistent(endpoint); err != nil {
		t.Error(err)
	}
}

// However much is settled and spilled at one time, a server takes it.
func TestBacklog_widestWrite(t *testing.T) {
	if n := jetstream.WidestWrite(); n > jetstream.MaxBatch || n < jetstream.MaxBatch/2 {
		t.Errorf("a write has %d messages, want at most the %d that a server takes, and many", n, jetstream.MaxBatch)
	}
}
