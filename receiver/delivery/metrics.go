package delivery

import (
	"sync/atomic"
	"time"

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
	open     *prometheus.GaugeVec
	opened   *prometheus.CounterVec
	lost     *prometheus.CounterVec

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
		open: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hookbay_target_circuit_open",
			Help: "1 while the target counts as down, and deliveries pause but for probes; by what came of the last attempt.",
		}, []string{"endpoint", "outcome"}),
		opened: f.NewCounterVec(prometheus.CounterOpts{
			Name: "hookbay_target_circuit_opened_total",
			Help: "How often the target began to count as down, by what came of the last attempt.",
		}, []string{"endpoint", "outcome"}),
		lost: f.NewCounterVec(prometheus.CounterOpts{
			Name: "hookbay_leases_lost_total",
			Help: "Attempts whose outcome was not stored, because another receiver had taken the event over: it delivers the event again.",
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
	m.open.DeletePartialMatch(l)
	m.opened.DeletePartialMatch(l)
	m.lost.DeletePartialMatch(l)
}

// endpointMetrics are one endpoint's series, looked up once.
type endpointMetrics struct {
	attempts      map[string]prometheus.Counter // by outcome, those of target.Outcomes
	dead          map[string]prometheus.Counter // by reason
	duration, lag prometheus.Observer
	inFlight      prometheus.Gauge
	open          map[string]prometheus.Gauge   // by outcome, those of target.Failures
	opened        map[string]prometheus.Counter // likewise
	lost          prometheus.Counter
}

// endpoint makes every series of an endpoint, so that each is there at zero before the first event.
func (m *Metrics) endpoint(name string) *endpointMetrics {
	em := &endpointMetrics{
		attempts: map[string]prometheus.Counter{},
		dead:     map[string]prometheus.Counter{},
		duration: m.duration.WithLabelValues(name),
		inFlight: m.inFlight.WithLabelValues(name),
		lag:      m.lag.WithLabelValues(name),
		open:     map[string]prometheus.Gauge{},
		opened:   map[string]prometheus.Counter{},
		lost:     m.lost.WithLabelValues(name),
	}
	for _, o := range target.Outcomes() {
		em.attempts[o] = m.attempts.WithLabelValues(name, o)
	}
	for _, r := range []string{deadRejected, deadExpired} {
		em.dead[r] = m.dead.WithLabelValues(name, r)
	}
	for _, o := range target.Failures() {
		em.open[o] = m.open.WithLabelValues(name, o)
		em.opened[o] = m.opened.WithLabelValues(name, o)
	}
	return em
}

// ended counts an attempt. An outcome that is not in the list counts as the least telling one that is.
func (em *endpointMetrics) ended(outcome string, took time.Duration) {
	c := em.attempts[outcome]
	if c == nil {
		c = em.attempts[target.OutcomeNetwork]
	}
	c.Inc()
	em.duration.Observe(took.Seconds())
}
