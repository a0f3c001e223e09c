package conns

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are the metrics of all ports' connections.
type Metrics struct {
	open, limit *prometheus.GaugeVec
	gone        *prometheus.CounterVec
}

// NewMetrics registers the metrics with reg; nil registers them nowhere.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		open: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hookbay_connections",
			Help: "Connections that are open now.",
		}, []string{"port"}),
		limit: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hookbay_connections_limit",
			Help: "How many connections there may be. At the limit a new one takes the place of another.",
		}, []string{"port"}),
		gone: f.NewCounterVec(prometheus.CounterOpts{
			Name: "hookbay_connections_displaced_total",
			Help: "Connections that were closed to make room: the oldest stranger, else the one idle for longest, else the newcomer itself.",
		}, []string{"port", "why"}),
	}
}

// portMetrics are one port's series, looked up once.
type portMetrics struct {
	open, limit prometheus.Gauge
	gone        map[string]prometheus.Counter
}

func (m *Metrics) port(name string) portMetrics {
	if m == nil {
		m = NewMetrics(nil)
	}
	p := portMetrics{open: m.open.WithLabelValues(name), limit: m.limit.WithLabelValues(name), gone: make(map[string]prometheus.Counter)}
	for _, why := range []string{whyStranger, whyIdle, whyNewcomer} {
		p.gone[why] = m.gone.WithLabelValues(name, why)
	}
	return p
}

func (p *portMetrics) displaced(why string) { p.gone[why].Inc() }
