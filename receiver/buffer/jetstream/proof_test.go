package jetstream_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/jetstream"
	"github.com/hookbay/hookbay/receiver/event"
)

func TestProof_missingMessageNeedsALaterOne(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	o := jetstream.Options{Prefix: newPrefix(), LeaseTime: 10 * time.Minute} // whose heartbeats are rare
	r := join(t, s, o)
	r.append(t, numbered("a", 0))
	stream := streamOf(t, s, o)
	there := lastOf(t, stream)
	for what, want := range map[uint64]bool{there: false, there + 1: false, there + 1000: false} {
		if gone, err := r.Gone(t.Context(), endpoint, what); gone != want {
			t.Errorf("message %d of %d is gone: %v, %v; want %v", what, there, gone, err, want)
		}
	}
	if err := stream.DeleteMsg(t.Context(), there); err != nil {
		t.Fatal(err)
	}
	if gone, err := r.Gone(t.Context(), endpoint, there); gone {
		t.Errorf("the last message, which was removed, counts as gone (%v): so it would if the server were behind", err)
	}
	r.append(t, numbered("a", 1))
	if gone, err := r.Gone(t.Context(), endpoint, there); !gone {
		t.Errorf("a message that was removed, with a later one behind it: %v, want it to be gone", err)
	}
}

func TestProof_eventThatWasRemovedIsGivenUp(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	o := jetstream.Options{Prefix: newPrefix(), LeaseTime: time.Second}
	r := join(t, s, o)
	r.append(t, numbered("a", 0))
	stream := streamOf(t, s, o)
	seq := lastOf(t, stream)
	r.append(t, numbered("a", 1))
	if err := r.queue.Settle(t.Context(), r.next(t), buffer.Outcome{Verdict: buffer.Retry, RetryAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), seq); err != nil {
		t.Fatal(err)
	}
	d := r.next(t)
	if string(d.Event.Body) != "1" {
		t.Errorf("event %s is handed out, want the one after the one that was removed", d.Event.Body)
	}
	r.delivered(t, d)
}

// A cursor that is gone, or that somebody has overwritten with what is none, is made anew: its events are delivered again, those of all others as ever.
func TestProof_spoiltCursorIsToldOf(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(t *testing.T, stream natsjs.Stream, js natsjs.JetStream, cursors string)
		want  string
	}{
		"removed": {func(t *testing.T, stream natsjs.Stream, _ natsjs.JetStream, cursors string) {
			if err := stream.Purge(t.Context(), natsjs.WithPurgeSubject(cursors+">")); err != nil {
				t.Fatal(err)
			}
		}, "Cursor of a partition is missing"},
		"overwritten": {func(t *testing.T, _ natsjs.Stream, js natsjs.JetStream, cursors string) {
			for n := range jetstream.Partitions {
				if _, err := js.Publish(t.Context(), fmt.Sprint(cursors, n), []byte("junk")); err != nil {
					t.Fatal(err)
				}
			}
		}, "Cursor of a partition is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			s := natsServer(t, t.TempDir(), -1)
			t.Cleanup(func() { stop(s) })
			var later atomic.Int64
			said := &said{}
			o := jetstream.Options{
				Prefix: newPrefix(), LeaseTime: time.Second, Log: slog.New(slog.NewTextHandler(said, nil)),
				Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) },
			}
			r := join(t, s, o)
			r.append(t, numbered("a", 0))
			r.delivered(t, r.next(t))
			later.Store(int64(2 * time.Minute))
			tc.spoil(t, streamOf(t, s, o), jetStream(t, s), o.Prefix+".shop.orders.c.")
			r.append(t, numbered("a", 1))
			for i := 0; i < 2; { // the second one, whose settlement finds that the cursor is gone, and then both
				d := r.next(t)
				if string(d.Event.Body) == fmt.Sprint(i) {
					i++
				}
				_ = r.queue.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered})
			}
			if !said.has(tc.want) {
				t.Errorf("the log does not say %q", tc.want)
			}
			r.append(t, numbered("b", 2))
			for settled := false; !settled; {
				d := r.next(t)
				err := r.queue.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered})
				settled = err == nil && string(d.Event.Body) == "2"
			}
		})
	}
}

// Whoever starts with a cursor that cannot be read delivers what there is, in all partitions.
func TestProof_startsWithASpoiltCursor(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	o := jetstream.Options{Prefix: newPrefix(), LeaseTime: time.Second}
	r := join(t, s, o)
	const subjects = 64
	for n := range subjects {
		r.append(t, numbered(fmt.Sprint(n), n))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := jetStream(t, s).Publish(t.Context(), o.Prefix+".shop.orders.c.5", []byte("junk")); err != nil {
		t.Fatal(err)
	}
	r = join(t, s, o)
	missing := map[string]bool{}
	for n := range subjects {
		missing[fmt.Sprint(n)] = true
	}
	for len(missing) > 0 {
		d := r.next(t)
		delete(missing, string(d.Event.Body))
		r.delivered(t, d)
	}
}

func TestTrouble_serverHasAnOlderCopy(t *testing.T) {
	dir, old := t.TempDir(), t.TempDir()
	s := natsServer(t, dir, -1)
	port := portOf(s)
	r := join(t, s, jetstream.Options{Prefix: newPrefix(), LeaseTime: time.Second})
	n := 0
	deliver := func(times int) {
		for range times {
			r.store(t, numbered(fmt.Sprint(n%5), n))
			n++
			r.delivered(t, r.next(t))
		}
	}
	deliver(20)
	stop(s)
	if err := os.CopyFS(old, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	s = natsServer(t, dir, port)
	ready := func() bool { return r.Ready() == nil }
	within(t, "the buffer is ready", ready)
	deliver(50)
	stop(s)
	s = natsServer(t, old, port)
	t.Cleanup(func() { stop(s) })
	within(t, "the buffer is ready again", ready)
	seen, want := map[string]bool{}, n+10
	for ; n < want; n++ {
		r.store(t, numbered(fmt.Sprint(n%5), n))
	}
	for missing := 10; missing > 0; {
		d := r.next(t)
		if err := r.queue.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered}); err != nil {
			continue // it was lost with its partition, and comes again
		}
		if body := string(d.Event.Body); !seen[body] && len(body) == 2 && body >= fmt.Sprint(want-10) {
			seen[body] = true
			missing--
		}
	}
	within(t, "nothing is pending", func() bool { return r.queue.Stats().Pending == 0 })
}

// store stores an event while the server comes and goes: what is sent to one that is about to start has no answer.
func (r *receiver) store(t testing.TB, e event.Event) {
	t.Helper()
	within(t, "an event is stored", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := r.queue.Append(ctx, []event.Event{e})
		return err == nil
	})
}

func streamOf(t testing.TB, s *server.Server, o jetstream.Options) natsjs.Stream {
	t.Helper()
	stream, err := jetStream(t, s).Stream(t.Context(), o.Prefix+"_shop_orders")
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func lastOf(t testing.TB, stream natsjs.Stream) uint64 {
	t.Helper()
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.LastSeq
}

// said is what was logged.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) has(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.text.String(), what)
}
