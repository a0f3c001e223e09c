package delivery

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/hookbay/hookbay/receiver/delivery/target"
)

// Metrics are the metrics of all endpoints' deliveries. Labels are bounded: the endpoint ("namespace/name") and words from fixed lists.
type Metrics struct {
	attempts *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight *prometheus.GaugeVec
	dead     *prometheus.CounterVec
	lag      *prometheus.HistogramVec

	underWay atomic.Int64 // the sum of inFlight
}

// NewMetrics registers the metrics with reg; nil registers them nowhere.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		attempts: f.NewCounterVec(prometheus.CounterOpts{
			Name: "hookbay_delivery_attempts_total",
			Help: "Delivery attempts that ended, by what came of them.",
		}, []string{"endpoint", "outcome"}),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "hookbay_delivery_duration_seconds",
			Help:    "How long delivery attempts took.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"endpoint"}),
		inFlight: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hookbay_delivery_in_flight",
			Help: "Delivery attempts under way.",
		}, []string{"endpoint"}),
		dead: f.NewCounterVec(prometheus.CounterOpts{
			Name: "hookbay_delivery_dead_total",
			Help: "Events that became dead letters: rejected by the target, or expired (still failing at the retry limit's age).",
		}, []string{"endpoint", "reason"}),
		lag: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "hookbay_delivery_lag_seconds",
			Help:    "Time from receiving a callback to its successful delivery.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 1800, 7200, 43200, 86400},
		}, []string{"endpoint"}),
	}
}

// UnderWay counts the attempts under way, of all endpoints.
func (m *Metrics) UnderWay() int64 { return m.underWay.Load() }

// Drop removes the series of an endpoint that is no longer configured. Its dispatcher must have stopped.
func (m *Metrics) Drop(endpoint string) {
	l := prometheus.Labels{"endpoint": endpoint}
	m.attempts.DeletePartialMatch(l)
	m.duration.DeletePartialMatch(l)
	m.inFlight.DeletePartialMatch(l)
	m.dead.DeletePartialMatch(l)
	m.lag.DeletePartialMatch(l)
}

// endpointMetrics are one endpoint's series, looked up once.
type endpointMetrics struct {
	attempts      *prometheus.CounterVec
	dead          *prometheus.CounterVec
	duration, lag prometheus.Observer
	inFlight      prometheus.Gauge
}

// endpoint makes every series of an endpoint, so that each is there at zero before the first event.
func (m *Metrics) endpoint(name string) *endpointMetrics {
	l := prometheus.Labels{"endpoint": name}
	em := &endpointMetrics{
		attempts: m.attempts.MustCurryWith(l),
		dead:     m.dead.MustCurryWith(l),
		duration: m.duration.With(l),
		inFlight: m.inFlight.With(l),
		lag:      m.lag.With(l),
	}
	for _, o := range target.Outcomes() {
		em.attempts.WithLabelValues(o)
	}
	em.dead.WithLabelValues(deadRejected)
	em.dead.WithLabelValues(deadExpired)
	return em
}
