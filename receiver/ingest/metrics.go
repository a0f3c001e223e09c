package ingest

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/hookbay/hookbay/receiver/source"
)

// outcome is how an accepted callback ended: the label of hookbay_callbacks_total beside the reasons for refusals.
type outcome int

const (
	stored    outcome = iota // at least one of its events is new
	duplicate                // all of its events were there already
	filtered                 // the endpoint's filter leaves it out
	outcomes                 // how many there are
)

// otherReason stands for reasons that this package does not know, so that labels stay bounded.
const otherReason source.Reason = "other"

// reasons lists the reasons that have series of their own.
func reasons() []source.Reason {
	return []source.Reason{
		source.ReasonSignatureMissing, source.ReasonSignatureWrong, source.ReasonStale, source.ReasonWrongApp, source.ReasonNotJSON,
		source.ReasonBadCommand, source.ReasonMethod, source.ReasonTooLarge, source.ReasonTooSlow, source.ReasonCannotStore,
		source.ReasonNotDelivered, source.ReasonSuspended, source.ReasonShuttingDown, source.ReasonBadRequest, source.ReasonOverloaded, source.ReasonRateLimited, source.ReasonInternal,
		source.ReasonNotUsable,
	}
}

// Metrics are the metrics of all endpoints' callbacks. Labels are bounded: the endpoint ("namespace/name") and words from fixed lists.
type Metrics struct {
	callbacks *prometheus.CounterVec
	answers   *prometheus.HistogramVec
	limit     *prometheus.GaugeVec
	late      *prometheus.CounterVec
	skew      *prometheus.GaugeVec
	lastUsed  *prometheus.GaugeVec
	accepted  *prometheus.GaugeVec
	refused   *prometheus.GaugeVec
	unrouted  prometheus.Counter
	factory   promauto.Factory
}

// NewMetrics registers the metrics with reg; nil registers them nowhere.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		factory: f,
		callbacks: f.NewCounterVec(prometheus.CounterOpts{
			Name: "hookbay_callbacks_total",
			Help: "Callbacks that were answered: stored (without a buffer: delivered), duplicate or filtered, or why they were refused.",
		}, []string{"endpoint", "outcome"}),
		answers: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hookbay_answer_seconds",
			Help: "Time from a verified callback's head to its answer. Compare it with hookbay_answer_limit_seconds.",
			// The platforms' limits, 0.5 s and 2 s, and the points at which storing gives up, 0.4 s and 1.6 s, are bounds of buckets.
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .2, .3, .4, .5, .75, 1, 1.6, 2, 5},
		}, []string{"endpoint"}),
		limit: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hookbay_answer_limit_seconds",
			Help: "The platform's time limit: a later answer counts as a failure.",
		}, []string{"endpoint"}),
		late: f.NewCounterVec(prometheus.CounterOpts{
			Name: "hookbay_answers_late_total",
			Help: "Answers to verified callbacks that were given after the platform's time limit.",
		}, []string{"endpoint"}),
		skew: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hookbay_clock_skew_seconds",
			Help: "How far the platform's clock was ahead (+) of ours or behind (-) in the last callback that told its time.",
		}, []string{"endpoint"}),
		lastUsed: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hookbay_credential_last_used_timestamp_seconds",
			Help: "When a credential, by its position in the list, last verified a callback; 0: not since it was loaded.",
		}, []string{"endpoint", "key"}),
		accepted: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hookbay_last_accepted_timestamp_seconds",
			Help: "When a callback was last accepted; 0: not since the endpoint was loaded.",
		}, []string{"endpoint"}),
		refused: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hookbay_last_refused_timestamp_seconds",
			Help: "When a callback was last refused; 0: not since the endpoint was loaded.",
		}, []string{"endpoint"}),
		unrouted: f.NewCounter(prometheus.CounterOpts{
			Name: "hookbay_callbacks_unrouted_total",
			Help: "Requests for a host and path that no endpoint has.",
		}),
	}
}

// watch has the room of a Handler told. A Metrics watches one Handler.
func (m *Metrics) watch(r *room) {
	m.factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hookbay_callbacks_in_flight",
		Help: "Callbacks that are being received, verified or stored now. Those whose first 8 KiB have not arrived don't count.",
	}, func() float64 { return float64(r.callbacks.Load()) })
	m.factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hookbay_body_bytes",
		Help: "Memory that the bodies of callbacks in flight take.",
	}, func() float64 { return float64(r.held.Load()) })
}

// endpointMetrics are one endpoint's series, looked up once.
type endpointMetrics struct {
	accepted [outcomes]prometheus.Counter
	refusals map[source.Reason]prometheus.Counter
	answers  prometheus.Observer
	late     prometheus.Counter
	skew     prometheus.Gauge
	keys     []prometheus.Gauge // by position
	unsigned func() prometheus.Gauge

	lastAccepted, lastRefused prometheus.Gauge
}

// endpoint makes an endpoint's series, so that each is there at zero before the first callback.
func (m *Metrics) endpoint(name string, keys int) *endpointMetrics {
	em := &endpointMetrics{
		accepted: [outcomes]prometheus.Counter{
			stored:    m.callbacks.WithLabelValues(name, "stored"),
			duplicate: m.callbacks.WithLabelValues(name, "duplicate"),
			filtered:  m.callbacks.WithLabelValues(name, "filtered"),
		},
		refusals: make(map[source.Reason]prometheus.Counter),
		answers:  m.answers.WithLabelValues(name),
		late:     m.late.WithLabelValues(name),
		skew:     m.skew.WithLabelValues(name),
		unsigned: func() prometheus.Gauge { return m.lastUsed.WithLabelValues(name, "unsigned") },

		lastAccepted: m.accepted.WithLabelValues(name),
		lastRefused:  m.refused.WithLabelValues(name),
	}
	for _, reason := range append(reasons(), otherReason) {
		em.refusals[reason] = m.callbacks.WithLabelValues(name, string(reason))
	}
	for i := range keys {
		em.keys = append(em.keys, m.lastUsed.WithLabelValues(name, strconv.Itoa(i)))
	}
	return em
}

// forgetKeys drops what is known of an endpoint's credentials: the positions have a new meaning.
func (m *Metrics) forgetKeys(endpoint string) {
	m.lastUsed.DeletePartialMatch(prometheus.Labels{"endpoint": endpoint})
}

// drop removes the series of an endpoint that is gone.
func (m *Metrics) drop(endpoint string) {
	l := prometheus.Labels{"endpoint": endpoint}
	m.callbacks.DeletePartialMatch(l)
	m.answers.DeletePartialMatch(l)
	m.limit.DeletePartialMatch(l)
	m.late.DeletePartialMatch(l)
	m.skew.DeletePartialMatch(l)
	m.lastUsed.DeletePartialMatch(l)
	m.accepted.DeletePartialMatch(l)
	m.refused.DeletePartialMatch(l)
}

// count takes note of a callback that was accepted.
func (em *endpointMetrics) count(o outcome, now time.Time) {
	em.accepted[o].Inc()
	em.lastAccepted.Set(seconds(now))
}

// refused takes note of a callback that was refused.
func (em *endpointMetrics) refused(reason source.Reason, now time.Time) {
	counter := em.refusals[reason]
	if counter == nil {
		counter = em.refusals[otherReason]
	}
	counter.Inc()
	em.lastRefused.Set(seconds(now))
}

// answered takes note of how long the answer to a verified callback took.
func (em *endpointMetrics) answered(took, limit time.Duration) {
	em.answers.Observe(took.Seconds())
	if took > limit {
		em.late.Inc()
	}
}

// used takes note of the credential that verified a callback, -1 for none.
func (em *endpointMetrics) used(key int, now time.Time) {
	switch {
	case key < 0:
		em.unsigned().Set(seconds(now))
	case key < len(em.keys):
		em.keys[key].Set(seconds(now))
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
