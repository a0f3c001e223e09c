package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/disk"
	"github.com/hookbay/hookbay/receiver/delivery"
	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/event"
)

// sending is a target that is a function.
type sending func(e *event.Event, attempt int) target.Result

func (f sending) Send(_ context.Context, e *event.Event, attempt int) target.Result {
	return f(e, attempt)
}

func (sending) Close() {}

// circuitsOpen sums up hookbay_target_circuit_open.
func circuitsOpen(t *testing.T, reg *prometheus.Registry) (open float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "hookbay_target_circuit_open" {
			for _, m := range f.GetMetric() {
				open += m.GetGauge().GetValue()
			}
		}
	}
	return open
}

// until waits until something is so.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !is() {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		}
	}
}

// An outage drops nothing, disorders nothing, and counts no attempt for what was not tried.
func TestOutage(t *testing.T) {
	const subjects, each = 200, 3
	quiet := slog.New(slog.DiscardHandler)
	b, err := disk.Open(disk.Options{Dir: t.TempDir(), Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	q, err := b.Queue("shop/im", buffer.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range each {
		var events []event.Event
		for i := range subjects {
			subject := fmt.Sprint(i)
			events = append(events, event.Event{
				ID: event.NewID(subject, fmt.Sprint(n)), Endpoint: "shop/im", Type: fmt.Sprintf("%s-%d", subject, n), Subject: subject,
				Received: time.Now(), Body: []byte("{}"),
			})
		}
		if _, err := q.Append(t.Context(), events); err != nil {
			t.Fatal(err)
		}
	}
	reg := prometheus.NewRegistry()
	var mu sync.Mutex
	down, failed, delivered := true, map[string]int{}, map[string]int{}
	tg := sending(func(e *event.Event, attempt int) target.Result {
		mu.Lock()
		defer mu.Unlock()
		if attempt != failed[e.Type]+1 {
			t.Errorf("%s comes as attempt %d, after %d that failed", e.Type, attempt, failed[e.Type])
		}
		if down {
			failed[e.Type]++
			return target.Result{Class: target.Retryable, Outcome: target.Outcome5xx, Detail: "target answered 503 Service Unavailable"}
		}
		if want := fmt.Sprintf("%s-%d", e.Subject, delivered[e.Subject]); e.Type != want {
			t.Errorf("%s is delivered, want %s", e.Type, want)
		}
		delivered[e.Subject]++
		return target.Result{Class: target.Delivered, Outcome: target.Outcome2xx}
	})
	d := dispatch(delivery.Options{Endpoint: "shop/im", Queue: q, Target: tg, Metrics: delivery.NewMetrics(reg), Log: quiet}, nil)
	until(t, "the target is down", func() bool { return circuitsOpen(t, reg) == 1 })
	mu.Lock()
	if tried := len(failed); tried > subjects/2 {
		t.Errorf("%d of %d subjects were tried before the target was known to be down", tried, subjects)
	}
	down = false
	mu.Unlock()
	until(t, "all is delivered", func() bool { return q.Stats().Pending == 0 })
	d.cancel()
	<-d.done
	if got := q.Stats(); got.Dead != 0 || circuitsOpen(t, reg) != 0 {
		t.Errorf("%d dead letters and %v open circuits, want none", got.Dead, circuitsOpen(t, reg))
	}
}
