package delivery

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/event"
)

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		m := NewMetrics(reg)
		q := newMemoryQueue(sampleEvent("a", 1), sampleEvent("b", 1), sampleEvent("c", 1), sampleEvent("d", 1))
		hold := make(chan struct{})
		run(t, Options{Queue: q, Metrics: m, Policy: Policy{MaxAge: time.Millisecond}, Target: targetFunc(
			func(ctx context.Context, e *event.Event, _ int) target.Result {
				sleep(ctx, 2*time.Second) // virtual
				switch e.Type {
				case "a1":
					return gone
				case "b1":
					return busy
				case "c1":
					<-hold
				}
				return accepted
			})})
		pass(t, 3*time.Second)
		want := `
# HELP hookbay_delivery_attempts_total Delivery attempts that ended, by what came of them.
# TYPE hookbay_delivery_attempts_total counter
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="2xx"} 1
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="3xx"} 0
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="4xx"} 1
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="5xx"} 1
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="auth"} 0
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="cancelled"} 0
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="dns"} 0
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="forbidden_address"} 0
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="invalid"} 0
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="network"} 0
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="no_topic"} 0
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="not_http"} 0
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="odd_status"} 0
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="refused"} 0
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="reset"} 0
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="stored"} 0
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="throttled"} 0
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="timeout"} 0
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="tls"} 0
hookbay_delivery_attempts_total{endpoint="shop/im",outcome="unavailable"} 0
# HELP hookbay_delivery_dead_total Events that became dead letters: rejected by the target, or expired (still failing at the retry limit's age).
# TYPE hookbay_delivery_dead_total counter
hookbay_delivery_dead_total{endpoint="shop/im",reason="expired"} 1
hookbay_delivery_dead_total{endpoint="shop/im",reason="rejected"} 1
# HELP hookbay_delivery_in_flight Delivery attempts under way.
# TYPE hookbay_delivery_in_flight gauge
hookbay_delivery_in_flight{endpoint="shop/im"} 1
`
		names := []string{"hookbay_delivery_dead_total", "hookbay_delivery_attempts_total", "hookbay_delivery_in_flight"}
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
			t.Error(err)
		}
		if got := m.UnderWay(); got != 1 {
			t.Errorf("got %d attempts under way, want 1", got)
		}
		checkHistogram(t, reg, "hookbay_delivery_duration_seconds", 3, 6)
		checkHistogram(t, reg, "hookbay_delivery_lag_seconds", 1, 2)
		close(hold)
		synctest.Wait()
		if got := testutil.ToFloat64(m.inFlight.WithLabelValues("shop/im")); got != 0 {
			t.Errorf("got %v attempts in flight, want 0", got)
		}
		if got := m.UnderWay(); got != 0 {
			t.Errorf("got %d attempts under way, want 0", got)
		}
	})
}

func checkHistogram(t *testing.T, g prometheus.Gatherer, name string, wantCount uint64, wantSum float64) {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			h := f.GetMetric()[0].GetHistogram()
			if h.GetSampleCount() != wantCount || h.GetSampleSum() != wantSum {
				t.Errorf("%s: got %d samples, sum %v; want %d, sum %v", name, h.GetSampleCount(), h.GetSampleSum(), wantCount, wantSum)
			}
			return
		}
	}
	t.Errorf("%s is missing", name)
}

func TestMetrics_drop(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m := NewMetrics(reg)
	m.endpoint("shop/im")
	m.endpoint("shop/orders")
	m.Drop("shop/im")
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(families) != 8 {
		t.Errorf("got %d metrics, want 8", len(families))
	}
	for _, f := range families {
		for _, s := range f.GetMetric() {
			for _, l := range s.GetLabel() {
				if l.GetName() == "endpoint" && l.GetValue() != "shop/orders" {
					t.Errorf("%s still has a series of %s", f.GetName(), l.GetValue())
				}
			}
		}
	}
}
