package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/event"
)

// targetFunc is a target.Target.
type targetFunc func(ctx context.Context, e *event.Event, attempt int) target.Result

func (f targetFunc) Send(ctx context.Context, e *event.Event, attempt int) target.Result {
	return f(ctx, e, attempt)
}

func (targetFunc) Close() {}

var (
	accepted = target.Result{Class: target.Delivered, Outcome: target.Outcome2xx, Detail: "target answered 200 OK"}
	busy     = target.Result{Class: target.Retryable, Outcome: target.Outcome5xx, Detail: "target answered 503 Service Unavailable"}
	gone     = target.Result{Class: target.Rejected, Outcome: target.Outcome4xx, Detail: "target answered 410 Gone"}
)

// answering is a target that always gives the same answer.
func answering(r target.Result) targetFunc {
	return func(context.Context, *event.Event, int) target.Result { return r }
}

// running is a Dispatcher in the test's synctest bubble: time is virtual, so waits of minutes are exact and cost nothing.
type running struct {
	*Dispatcher
	stop    context.CancelFunc
	stopped chan struct{}
}

func run(t *testing.T, o Options) *running {
	t.Helper()
	if o.Endpoint == "" {
		o.Endpoint = "shop/im"
	}
	if o.Log == nil {
		o.Log = newLogRecorder().logger()
	}
	if o.Rand == nil {
		o.Rand = func() float64 { return 0 }
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{Dispatcher: New(o), stop: cancel, stopped: make(chan struct{})}
	go func() {
		defer close(r.stopped)
		r.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-r.stopped
	})
	return r
}

func (r *running) hasStopped() bool {
	select {
	case <-r.stopped:
		return true
	default:
		return false
	}
}

// pass lets virtual time pass, and everything happen that is due by then.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	sleep(t.Context(), d)
	synctest.Wait()
}

func (r *running) started() int {
	r.crew.mu.Lock()
	defer r.crew.mu.Unlock()
	return r.crew.workers
}

func TestDispatcher_order(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemoryQueue(sampleEvent("a", 1), sampleEvent("a", 2), sampleEvent("b", 1), sampleEvent("b", 2))
		run(t, Options{Queue: q, Target: targetFunc(func(_ context.Context, e *event.Event, attempt int) target.Result {
			if e.Type == "a1" && attempt <= 2 {
				return busy
			}
			return accepted
		})})
		synctest.Wait()
		if got := q.history(); !slices.Contains(got, "delivered b2") || slices.Contains(got, "lease a2 #1") {
			t.Errorf("while a1 waits for its retry: got %v, want b2 delivered and a2 not leased", got)
		}
		pass(t, time.Minute)
		onlyA := slices.DeleteFunc(q.history(), func(s string) bool { return strings.Contains(s, "b") })
		want := []string{"lease a1 #1", "retry a1", "lease a1 #2", "retry a1", "lease a1 #3", "delivered a1", "lease a2 #1", "delivered a2"}
		if diff := cmp.Diff(want, onlyA); diff != "" {
			t.Errorf("subject a (-want +got):\n%s", diff)
		}
	})
}

func TestDispatcher_maxInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []event.Event
		for i := range 20 {
			events = append(events, sampleEvent(string(rune('a'+i)), 1))
		}
		q := newMemoryQueue(events...)
		var now, most atomic.Int64
		free := make(chan struct{})
		d := run(t, Options{Queue: q, Policy: Policy{MaxInFlight: 5}, Target: targetFunc(func(context.Context, *event.Event, int) target.Result {
			most.Store(max(most.Load(), now.Add(1)))
			<-free
			now.Add(-1)
			return accepted
		})})
		synctest.Wait()
		if got := now.Load(); got != 5 {
			t.Errorf("got %d attempts under way, want 5", got)
		}
		close(free)
		synctest.Wait()
		if got := most.Load(); got != 5 {
			t.Errorf("got at most %d attempts at once, want 5", got)
		}
		if got, _, _ := q.counts(); got != 20 {
			t.Errorf("got %d outcomes, want 20", got)
		}
		if got := d.started(); got != 6 {
			t.Errorf("got %d workers, want 6: five that sent and one that waited", got)
		}
	})
}

// slowQueue settles nothing before its disk is closed.
type slowQueue struct {
	*memoryQueue
	disk chan struct{}
}

func (q slowQueue) Settle(ctx context.Context, d *buffer.Delivery, o buffer.Outcome) error {
	<-q.disk
	return q.memoryQueue.Settle(ctx, d, o)
}

func TestDispatcher_whatIsBeingSettledTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemoryQueue(sampleEvent("a", 1), sampleEvent("b", 1), sampleEvent("c", 1))
		disk := make(chan struct{})
		var sent atomic.Int64
		run(t, Options{Queue: slowQueue{q, disk}, Policy: Policy{MaxInFlight: 1}, Target: targetFunc(func(context.Context, *event.Event, int) target.Result {
			sent.Add(1)
			return accepted
		})})
		synctest.Wait()
		if got := sent.Load(); got != 2 {
			t.Errorf("got %d attempts while the disk hangs, want 2: the second need not wait for it, and more must not pile up", got)
		}
		close(disk)
		synctest.Wait()
		if got, _, _ := q.counts(); got != 3 {
			t.Errorf("got %d outcomes, want 3", got)
		}
	})
}

func TestDispatcher_poolGrowsOnDemandOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []event.Event
		for i := range 50 {
			events = append(events, sampleEvent("a", i))
		}
		q := newMemoryQueue(events...)
		d := run(t, Options{Queue: q, Target: answering(accepted)})
		synctest.Wait()
		// One is at work, one waits, and one more may start while the first is between Settle and Next.
		if got, _, _ := q.counts(); got != 50 || d.started() > 3 {
			t.Errorf("got %d outcomes by %d workers, want 50 by 2 or 3", got, d.started())
		}
	})
}

func TestDispatcher_poolShrinksAfterABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []event.Event
		for i := range 20 {
			events = append(events, sampleEvent(string(rune('a'+i)), 1))
		}
		q := newMemoryQueue(events...)
		slow := targetFunc(func(ctx context.Context, e *event.Event, _ int) target.Result {
			if e.Type != "z1" {
				sleep(ctx, time.Second)
			}
			return accepted
		})
		d := run(t, Options{Queue: q, Policy: Policy{MaxInFlight: 64}, Target: slow})
		pass(t, 2*time.Second)
		if got := d.started(); got != 21 {
			t.Fatalf("got %d workers, want 21: twenty that sent and one that waited", got)
		}
		for range 3 * int(crewRest/time.Second) {
			pass(t, time.Second)
			for range 3 {
				q.add(sampleEvent("z", 1))
			}
		}
		pass(t, time.Second)
		if got := d.started(); got > 3 {
			t.Errorf("got %d workers after a while with an event at a time, want 2 or 3", got)
		}
		if got, _, _ := q.counts(); got != 110 {
			t.Errorf("got %d outcomes, want 110", got)
		}
		// Another burst finds as many workers as it needs.
		for i := range 20 {
			q.add(sampleEvent(string(rune('a'+i)), 2))
		}
		pass(t, time.Second)
		if got, _, _ := q.counts(); got != 130 {
			t.Errorf("got %d outcomes a second later, want 130: all at once", got)
		}
	})
}

func TestDispatcher_outcomes(t *testing.T) {
	const age = 2 * time.Hour
	tests := map[string]struct {
		result      target.Result
		maxAge      time.Duration
		wantVerdict buffer.Verdict
		wantWait    time.Duration
		wantReason  string
	}{
		"delivered": {result: accepted, wantVerdict: buffer.Delivered},
		"delivered though it is too old to be tried again": {result: accepted, maxAge: time.Hour, wantVerdict: buffer.Delivered},
		"rejected":                          {result: gone, wantVerdict: buffer.Dead, wantReason: "target answered 410 Gone"},
		"failed":                            {result: busy, wantVerdict: buffer.Retry, wantWait: 500 * time.Millisecond},
		"failed exactly at the largest age": {result: busy, maxAge: age, wantVerdict: buffer.Retry, wantWait: 500 * time.Millisecond},
		"failed and too old": {
			result: busy, maxAge: age - 1, wantVerdict: buffer.Dead,
			wantReason: "still failing after 1h59m59.999999999s: target answered 503 Service Unavailable",
		},
		"failed and asked for time": {
			result:      target.Result{Class: target.Retryable, Outcome: target.Outcome4xx, RetryAfter: 90 * time.Second},
			wantVerdict: buffer.Retry, wantWait: 90 * time.Second,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := sampleEvent("a", 1)
				e.Received = time.Now().Add(-age)
				q := newMemoryQueue(e)
				run(t, Options{Queue: q, Target: answering(tc.result), Policy: Policy{MaxAge: tc.maxAge}})
				synctest.Wait()
				want := buffer.Outcome{Verdict: tc.wantVerdict, Reason: tc.wantReason}
				if tc.wantVerdict == buffer.Retry {
					want.RetryAt = time.Now().Add(tc.wantWait)
				}
				if diff := cmp.Diff(want, q.onlyOutcome(t)); diff != "" {
					t.Errorf("outcome (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestDispatcher_backoffGrowsWithAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemoryQueue(sampleEvent("a", 1))
		start := time.Now()
		var at []time.Duration
		d := run(t, Options{
			Queue: q, Policy: Policy{InitialInterval: time.Second, MaxInterval: 6 * time.Second},
			Target: targetFunc(func(context.Context, *event.Event, int) target.Result {
				at = append(at, time.Since(start))
				return busy
			}),
		})
		pass(t, 12*time.Second)
		d.stop()
		<-d.stopped
		want := []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 3500 * time.Millisecond, 6500 * time.Millisecond, 9500 * time.Millisecond}
		if diff := cmp.Diff(want, at); diff != "" {
			t.Errorf("times of attempts, least jitter (-want +got):\n%s", diff)
		}
	})
}

func TestDispatcher_stopLetsAttemptsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemoryQueue(sampleEvent("a", 1), sampleEvent("a", 2))
		d := run(t, Options{Queue: q, Target: targetFunc(func(ctx context.Context, _ *event.Event, _ int) target.Result {
			if sleep(ctx, 9*time.Second) {
				return accepted
			}
			return busy
		})})
		synctest.Wait()
		d.stop()
		synctest.Wait()
		if d.hasStopped() {
			t.Fatal("Run returned while an attempt was under way")
		}
		<-d.stopped
		if diff := cmp.Diff([]string{"lease a1 #1", "delivered a1"}, q.history()); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
	})
}

func TestDispatcher_stopCancelsWhatOutlivesTheDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemoryQueue(sampleEvent("a", 1))
		d := run(t, Options{Queue: q, DrainTime: 3 * time.Second, Target: targetFunc(func(ctx context.Context, _ *event.Event, _ int) target.Result {
			<-ctx.Done()
			return target.Result{Class: target.Retryable, Outcome: target.OutcomeCancelled}
		})})
		synctest.Wait()
		d.stop()
		stop := time.Now()
		<-d.stopped
		if got := time.Since(stop); got != 3*time.Second {
			t.Errorf("Run returned after %v, want the drain time of 3s", got)
		}
		if diff := cmp.Diff([]string{"lease a1 #1", "release a1"}, q.history()); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
	})
}

func TestDispatcher_stopKeepsAnAnswerThatCameInTime(t *testing.T) {
	for name, tc := range map[string]struct {
		result target.Result
		want   string
	}{
		"delivered": {accepted, "delivered a1"},
		"rejected":  {gone, "dead a1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newMemoryQueue(sampleEvent("a", 1))
				d := run(t, Options{Queue: q, DrainTime: -1, Target: targetFunc(func(ctx context.Context, _ *event.Event, _ int) target.Result {
					<-ctx.Done() // the answer crosses the cancellation
					return tc.result
				})})
				synctest.Wait()
				d.stop()
				<-d.stopped
				if diff := cmp.Diff([]string{"lease a1 #1", tc.want}, q.history()); diff != "" {
					t.Errorf("history (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestDispatcher_settlesUntilTheOutcomeIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemoryQueue(sampleEvent("a", 1))
		q.onSettle = func(n int) error {
			if n <= 4 {
				return errors.New("disk is busy")
			}
			return nil
		}
		sent := 0
		d := run(t, Options{Queue: q, DrainTime: -1, Target: targetFunc(func(context.Context, *event.Event, int) target.Result {
			sent++
			return accepted
		})})
		synctest.Wait()
		d.stop() // neither the stop nor the end of the drain makes it give up
		<-d.stopped
		if diff := cmp.Diff([]string{"lease a1 #1", "delivered a1"}, q.history()); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
		if _, settles, _ := q.counts(); sent != 1 || settles != 5 {
			t.Errorf("got %d attempts and %d settles, want 1 and 5", sent, settles)
		}
	})
}

func TestDispatcher_forgetsWhatAnotherReceiverHasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemoryQueue(sampleEvent("a", 1), sampleEvent("b", 1))
		q.onSettle = func(n int) error {
			if n == 1 {
				return fmt.Errorf("settle: %w", buffer.ErrLeaseLost)
			}
			return nil
		}
		m := NewMetrics(nil)
		run(t, Options{Endpoint: "shop/im", Queue: q, Metrics: m, Policy: Policy{MaxInFlight: 1}, Target: answering(accepted)})
		synctest.Wait()
		if diff := cmp.Diff([]string{"lease a1 #1", "lease b1 #1", "delivered b1"}, q.history()); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
		if got := testutil.ToFloat64(m.lost.WithLabelValues("shop/im")); got != 1 {
			t.Errorf("leases lost: %v, want 1", got)
		}
		if _, settles, _ := q.counts(); settles != 2 {
			t.Errorf("got %d settles, want 2: a lost lease is not settled again", settles)
		}
		if got := m.UnderWay(); got != 0 {
			t.Errorf("attempts under way: %d, want none", got)
		}
	})
}

func TestDispatcher_stopsWhenTheBufferCloses(t *testing.T) {
	tests := map[string]func(q *memoryQueue){
		"while it waits for events": func(q *memoryQueue) { q.items = nil },
		"while an outcome cannot be stored": func(q *memoryQueue) {
			q.onSettle = func(int) error { return errors.New("disk is gone") }
		},
	}
	for name, prepare := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newMemoryQueue(sampleEvent("a", 1))
				prepare(q)
				d := run(t, Options{Queue: q, Target: answering(accepted)})
				pass(t, time.Minute)
				if d.hasStopped() {
					t.Fatal("Run returned before the buffer was closed")
				}
				q.close()
				<-d.stopped
			})
		})
	}
}

func TestDispatcher_goesOnWhenNextFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemoryQueue(sampleEvent("a", 1))
		q.onNext = func(n int) error {
			if n <= 100 {
				return errors.New("disk is busy")
			}
			return nil
		}
		logs := newLogRecorder()
		run(t, Options{Queue: q, Target: answering(accepted), Log: logs.logger()})
		pass(t, 90*time.Second)
		if _, _, got := q.counts(); got < 10 || got > 60 {
			t.Errorf("got %d calls of Next in 90 s of failures, want some, but no busy loop", got)
		}
		if got := logs.count("Buffer failed, trying again"); got != 2 {
			t.Errorf("got %d log lines in 90 s, want 2: at once and after a minute", got)
		}
		pass(t, 5*time.Minute)
		if diff := cmp.Diff([]string{"lease a1 #1", "delivered a1"}, q.history()); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
	})
}

// A change of target: the new dispatcher starts while the old one still has an attempt under way.
func TestDispatcher_handover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemoryQueue(sampleEvent("a", 1), sampleEvent("a", 2), sampleEvent("b", 1))
		var mu sync.Mutex
		var order []string
		send := func(name string, slow bool) targetFunc {
			return func(ctx context.Context, e *event.Event, _ int) target.Result {
				if slow {
					sleep(ctx, time.Second)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, name+" "+e.Type)
				return accepted
			}
		}
		before := run(t, Options{Queue: q, Policy: Policy{MaxInFlight: 1}, Target: send("old", true)})
		synctest.Wait()
		run(t, Options{Queue: q, Policy: Policy{MaxInFlight: 1}, Target: send("new", false)})
		before.stop()
		<-before.stopped
		synctest.Wait()
		if diff := cmp.Diff([]string{"new b1", "old a1", "new a2"}, order); diff != "" {
			t.Errorf("deliveries (-want +got):\n%s", diff)
		}
	})
}
