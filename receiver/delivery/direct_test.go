package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/event"
)

// closing is a target that counts how often it was closed, and complains about what is sent to it later.
type closing struct {
	targetFunc
	t      *testing.T
	closed atomic.Int64
}

func (c *closing) Send(ctx context.Context, e *event.Event, attempt int) target.Result {
	if c.closed.Load() > 0 {
		c.t.Error("an event was sent to a closed target")
	}
	res := c.targetFunc(ctx, e, attempt)
	if c.closed.Load() > 0 {
		c.t.Error("the target was closed during an attempt")
	}
	return res
}

func (c *closing) Close() { c.closed.Add(1) }

// hanging is a target that answers when it is told to, or when the attempt's context ends.
func hanging(release <-chan struct{}) targetFunc {
	return func(ctx context.Context, _ *event.Event, _ int) target.Result {
		select {
		case <-release:
			return accepted
		case <-ctx.Done():
			return target.Result{Class: target.Retryable, Outcome: target.OutcomeTimeout, Detail: "no answer within 400ms"}
		}
	}
}

func TestDirect_Append(t *testing.T) {
	events := []event.Event{sampleEvent("a", 1), sampleEvent("a", 2), sampleEvent("b", 1)}
	tests := map[string]struct {
		aim      Aim
		answers  map[string]target.Result // by type; else accepted
		want     buffer.Appended
		wantErr  error
		wantText string
		wantSent []string
	}{
		"taken":             {want: buffer.Appended{Stored: 3}, wantSent: []string{"a1 #1", "a2 #1", "b1 #1"}},
		"the first fails":   {answers: map[string]target.Result{"a1": busy}, wantErr: buffer.ErrNotDelivered, wantText: busy.Detail, wantSent: []string{"a1 #1"}},
		"a later one fails": {answers: map[string]target.Result{"a2": busy}, wantErr: buffer.ErrNotDelivered, wantText: busy.Detail, wantSent: []string{"a1 #1", "a2 #1"}},
		"the last fails":    {answers: map[string]target.Result{"b1": busy}, wantErr: buffer.ErrNotDelivered, wantText: busy.Detail, wantSent: []string{"a1 #1", "a2 #1", "b1 #1"}},
		"rejected for good": {answers: map[string]target.Result{"a1": gone}, wantErr: buffer.ErrNotDelivered, wantText: gone.Detail, wantSent: []string{"a1 #1"}},
		"suspended":         {aim: Aim{Suspend: true}, wantErr: buffer.ErrSuspended},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var sent []string
			tt.aim.Target = targetFunc(func(_ context.Context, e *event.Event, attempt int) target.Result {
				sent = append(sent, fmt.Sprintf("%s #%d", e.Type, attempt))
				if res, ok := tt.answers[e.Type]; ok {
					return res
				}
				return accepted
			})
			got, err := NewDirect(DirectOptions{Endpoint: "shop/im"}, tt.aim).Append(t.Context(), events)
			if !errors.Is(err, tt.wantErr) || err != nil && !strings.Contains(err.Error(), tt.wantText) {
				t.Errorf("error is %v, want %v with %q", err, tt.wantErr, tt.wantText)
			}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if diff := cmp.Diff(tt.wantSent, sent); diff != "" {
				t.Errorf("attempts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDirect_Append_returnsOnlyWhenTheTargetHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		d := NewDirect(DirectOptions{}, Aim{Target: hanging(release)})
		done := make(chan error, 1)
		go func() {
			_, err := d.Append(t.Context(), []event.Event{sampleEvent("a", 1)})
			done <- err
		}()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("returned (%v) before the target answered", err)
		default:
		}
		close(release)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestDirect_Append_waitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempts atomic.Int64
		d := NewDirect(DirectOptions{}, Aim{MaxInFlight: 2, Target: targetFunc(func(ctx context.Context, e *event.Event, n int) target.Result {
			attempts.Add(1)
			return hanging(nil)(ctx, e, n)
		})})
		began := time.Now() // virtual
		texts := make(chan string, 3)
		for i := range cap(texts) {
			go func() {
				patience := 400 * time.Millisecond
				if i == 2 {
					patience -= time.Millisecond // it gives up before one of the others makes room
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				_, err := d.Append(ctx, []event.Event{sampleEvent("a", 1)})
				if !errors.Is(err, buffer.ErrNotDelivered) {
					t.Errorf("error is %v, want %v", err, buffer.ErrNotDelivered)
				}
				texts <- fmt.Sprint(err)
			}()
			synctest.Wait()
		}
		if n := attempts.Load(); n != 2 {
			t.Errorf("%d attempts are under way, want MaxInFlight, 2", n)
		}
		var waited int
		for range cap(texts) {
			if text := <-texts; strings.Contains(text, "2 attempts are under way already") || strings.Contains(text, "the time was over after 0 of 1") {
				waited++
			}
		}
		if took := time.Since(began); took != 400*time.Millisecond || waited != 1 || attempts.Load() != 2 {
			t.Errorf("took %s, %d were refused without an attempt and %d with one; want 400ms, 1 and 2", took, waited, attempts.Load())
		}
	})
}

// A slot that becomes free in time is used.
func TestDirect_Append_takesASlotThatBecomesFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		d := NewDirect(DirectOptions{}, Aim{MaxInFlight: 1, Target: hanging(release)})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, err := d.Append(t.Context(), []event.Event{sampleEvent("a", 1)}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
	})
}

func TestDirect_Append_stopsBetweenEventsWhenTheTimeIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	sent := 0
	d := NewDirect(DirectOptions{}, Aim{Target: targetFunc(func(context.Context, *event.Event, int) target.Result {
		sent++
		cancel()
		return accepted
	})})
	_, err := d.Append(ctx, []event.Event{sampleEvent("a", 1), sampleEvent("a", 2)})
	if !errors.Is(err, buffer.ErrNotDelivered) || !strings.Contains(err.Error(), "after 1 of 2 events") || sent != 1 {
		t.Errorf("error is %v after %d attempts, want that the time was over after 1", err, sent)
	}
}

// The caller uses its memory again as soon as Append returns, while net/http may still be sending.
func TestDirect_Append_copiesTheBody(t *testing.T) {
	var kept []byte
	d := NewDirect(DirectOptions{}, Aim{Target: targetFunc(func(_ context.Context, e *event.Event, _ int) target.Result {
		kept = e.Body
		return accepted
	})})
	e := sampleEvent("a", 1)
	e.Body = []byte("first")
	if _, err := d.Append(t.Context(), []event.Event{e}); err != nil {
		t.Fatal(err)
	}
	copy(e.Body, "other")
	if string(kept) != "first" {
		t.Errorf("the body that is being sent is now %q, want %q", kept, "first")
	}
}

func TestDirect_Aim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		old := &closing{t: t, targetFunc: hanging(release)}
		next := &closing{t: t, targetFunc: answering(accepted)}
		d := NewDirect(DirectOptions{}, Aim{Target: old, MaxInFlight: 1})
		done := make(chan error, 1)
		go func() {
			_, err := d.Append(t.Context(), []event.Event{sampleEvent("a", 1), sampleEvent("a", 2)})
			done <- err
		}()
		synctest.Wait()
		d.Aim(Aim{Target: next})
		if _, err := d.Append(t.Context(), []event.Event{sampleEvent("b", 1)}); err != nil {
			t.Errorf("an event for the new target fails: %v", err)
		}
		if n := old.closed.Load(); n != 0 {
			t.Error("the old target is closed during an attempt")
		}
		close(release)
		if err := <-done; err != nil {
			t.Errorf("an attempt that was under way during the change fails: %v", err)
		}
		synctest.Wait()
		if a, b := old.closed.Load(), next.closed.Load(); a != 1 || b != 0 {
			t.Errorf("the old target was closed %d times and the new one %d, want once and not", a, b)
		}
		d.Close()
		d.Wait()
		if n := next.closed.Load(); n != 1 {
			t.Errorf("Close closed the target %d times, want once", n)
		}
	})
}

func TestDirect_Close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		tg := &closing{t: t, targetFunc: hanging(release)}
		d := NewDirect(DirectOptions{}, Aim{Target: tg})
		done := make(chan error, 1)
		go func() {
			_, err := d.Append(t.Context(), []event.Event{sampleEvent("a", 1)})
			done <- err
		}()
		synctest.Wait()
		d.Close()
		d.Close()
		if _, err := d.Append(t.Context(), []event.Event{sampleEvent("a", 2)}); !errors.Is(err, buffer.ErrClosed) {
			t.Errorf("error is %v, want %v", err, buffer.ErrClosed)
		}
		waited := make(chan struct{})
		go func() {
			defer close(waited)
			d.Wait()
		}()
		synctest.Wait()
		select {
		case <-waited:
			t.Error("Wait returned while an attempt was under way")
		default:
		}
		close(release)
		<-waited
		if err := <-done; err != nil || tg.closed.Load() != 1 {
			t.Errorf("the attempt under way returned %v and the target was closed %d times, want nil and once", err, tg.closed.Load())
		}
		late := &closing{t: t}
		d.Aim(Aim{Target: late})
		if late.closed.Load() != 1 {
			t.Error("a target that came after Close stays open")
		}
	})
}

func TestDirect_metrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		m := NewMetrics(reg)
		hold := make(chan struct{})
		d := NewDirect(DirectOptions{Endpoint: "shop/im", Metrics: m}, Aim{Target: targetFunc(
			func(ctx context.Context, e *event.Event, _ int) target.Result {
				sleep(ctx, 2*time.Second) // virtual
				switch e.Type {
				case "b1":
					return busy
				case "c1":
					<-hold
				}
				return accepted
			})})
		for _, subject := range []string{"a", "b", "c"} {
			go func() { _, _ = d.Append(t.Context(), []event.Event{sampleEvent(subject, 1)}) }()
		}
		pass(t, 3*time.Second)
		for outcome, want := range map[string]float64{"2xx": 1, "5xx": 1, "timeout": 0} {
			if got := testutil.ToFloat64(m.attempts.WithLabelValues("shop/im", outcome)); got != want {
				t.Errorf("got %v attempts with outcome %s, want %v", got, outcome, want)
			}
		}
		if got, sum := testutil.ToFloat64(m.inFlight.WithLabelValues("shop/im")), m.UnderWay(); got != 1 || sum != 1 {
			t.Errorf("got %v attempts in flight and %d under way, want 1", got, sum)
		}
		checkHistogram(t, reg, "hookbay_delivery_duration_seconds", 2, 4)
		checkHistogram(t, reg, "hookbay_delivery_lag_seconds", 1, 2)
		close(hold)
		d.Close()
		d.Wait()
		if got, sum := testutil.ToFloat64(m.inFlight.WithLabelValues("shop/im")), m.UnderWay(); got != 0 || sum != 0 {
			t.Errorf("got %v attempts in flight and %d under way in the end, want 0", got, sum)
		}
	})
}

// Callbacks for a dead target are refused at once, but for a probe now and then; one that is answered ends that.
func TestDirect_deadTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, logs := NewMetrics(nil), newLogRecorder()
		tg := &changing{answer: always(busy), takes: 300 * time.Millisecond}
		d := NewDirect(DirectOptions{Endpoint: "shop/im", Metrics: m, Log: logs.logger()}, Aim{Target: tg})
		t.Cleanup(d.Close)
		n := 0
		send := func() (time.Duration, error) {
			n++
			began := time.Now()
			_, err := d.Append(t.Context(), []event.Event{sampleEvent(fmt.Sprint(n), 1)})
			return time.Since(began), err
		}
		for range breakerRun {
			if took, err := send(); took != 300*time.Millisecond || !errors.Is(err, buffer.ErrNotDelivered) {
				t.Fatalf("got %v after %s, want that it was tried", err, took)
			}
		}
		tried := len(tg.attempts())
		for range 1000 {
			if took, err := send(); took != 0 && took != 300*time.Millisecond || !errors.Is(err, buffer.ErrNotDelivered) {
				t.Fatalf("got %v after %s, want a refusal at once", err, took)
			}
			pass(t, 100*time.Millisecond)
		}
		if probes := len(tg.attempts()) - tried; probes < 6 || probes > 14 || openCircuits(m) != 1 {
			t.Errorf("%d attempts in 100 s, want some, and %v circuits are open, want 1", probes, openCircuits(m))
		}
		tg.become(always(accepted), 300*time.Millisecond)
		pass(t, breakerPauseMax)
		if _, err := send(); err != nil {
			t.Errorf("a target that is back: %v", err)
		}
		var wg sync.WaitGroup
		for range 64 {
			n++
			e := sampleEvent(fmt.Sprint(n), 1)
			wg.Go(func() {
				if _, err := d.Append(t.Context(), []event.Event{e}); err != nil {
					t.Errorf("one of many: %v", err)
				}
			})
		}
		wg.Wait()
		if down, up := logs.count("Target is down, deliveries pause"), logs.count("Target is up, deliveries go on"); down != 1 || up != 1 || openCircuits(m) != 0 {
			t.Errorf("told %d times that it is down, %d that it is up, and %v circuits are open; want 1, 1, 0", down, up, openCircuits(m))
		}
	})
}

// A new target is not judged by the old one.
func TestDirect_Aim_forgetsThatTheTargetWasDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMetrics(nil)
		d := NewDirect(DirectOptions{Endpoint: "shop/im", Metrics: m, Log: newLogRecorder().logger()}, Aim{Target: answering(busy)})
		t.Cleanup(d.Close)
		for i := range breakerRun {
			_, _ = d.Append(t.Context(), []event.Event{sampleEvent(fmt.Sprint(i), 1)})
		}
		if got := openCircuits(m); got != 1 {
			t.Fatalf("%v circuits are open, want 1", got)
		}
		d.Aim(Aim{Target: answering(accepted)})
		if _, err := d.Append(t.Context(), []event.Event{sampleEvent("a", 1)}); err != nil || openCircuits(m) != 0 {
			t.Errorf("got %v, and %v circuits are open; want neither", err, openCircuits(m))
		}
	})
}
