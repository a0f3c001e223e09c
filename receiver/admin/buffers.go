package admin

import "github.com/prometheus/client_golang/prometheus"

// BufferState is how the buffer of an endpoint is.
type BufferState struct {
	// Endpoint is "namespace/name", Engine "Disk" or "JetStream".
	Endpoint, Engine string
	// Ready says whether events can be stored now. If not, Word is one of few that says why, fit for a label, and Reason says it to a person. If they
	// can, Reason may say what of a stream is not as it was asked for.
	Ready        bool
	Word, Reason string
}

// Buffers tells Prometheus how the buffers are, at the moment it asks.
type Buffers struct {
	states         func() []BufferState
	ready, unready *prometheus.Desc
}

var _ prometheus.Collector = (*Buffers)(nil)

// NewBuffers returns a collector of how the endpoints' buffers are.
func NewBuffers(states func() []BufferState) *Buffers {
	return &Buffers{
		states: states,
		ready: prometheus.NewDesc("hookbay_buffer_ready", "1 if the endpoint's events can be stored now, 0 if its callbacks are refused because they can't.",
			[]string{"endpoint", "engine"}, nil),
		unready: prometheus.NewDesc("hookbay_buffer_unready",
			"1 while the endpoint's events can't be stored, with why: auth, tls, dns, refused, timeout or network if its servers can't be reached, stream if "+
				"they can and the stream can't be used, disk if it is the disk.", []string{"endpoint", "engine", "reason"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (b *Buffers) Describe(ch chan<- *prometheus.Desc) {
	ch <- b.ready
	ch <- b.unready
}

// Collect implements prometheus.Collector.
func (b *Buffers) Collect(ch chan<- prometheus.Metric) {
	for _, s := range b.states() {
		ready := 1.0
		if !s.Ready {
			ready = 0
			ch <- prometheus.MustNewConstMetric(b.unready, prometheus.GaugeValue, 1, s.Endpoint, s.Engine, s.Word)
		}
		ch <- prometheus.MustNewConstMetric(b.ready, prometheus.GaugeValue, ready, s.Endpoint, s.Engine)
	}
}

// NewSyncs returns a histogram of how long the buffer on disk waits for its syncs, in seconds.
func NewSyncs() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "hookbay_buffer_sync_seconds",
		Help:    "How long the syncs of the write-ahead log took. Each acknowledgement waits for one, which it shares with all others of that moment.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	})
}
