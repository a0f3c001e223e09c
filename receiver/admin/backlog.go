package admin

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// Backlog tells Prometheus what the buffer holds, at the moment it asks.
type Backlog struct {
	bytes  func() int64
	queues func() map[string]buffer.Stats
	now    func() time.Time

	size, pending, oldest, dead *prometheus.Desc
}

var _ prometheus.Collector = (*Backlog)(nil)

// NewBacklog returns a collector of the buffer's size and of what the queues hold, by the names of their endpoints.
func NewBacklog(bytes func() int64, queues func() map[string]buffer.Stats, now func() time.Time) *Backlog {
	endpoint := []string{"endpoint"}
	return &Backlog{
		bytes: bytes, queues: queues, now: now,
		size:    prometheus.NewDesc("hookbay_buffer_bytes", "Space that the buffer takes.", nil, nil),
		pending: prometheus.NewDesc("hookbay_backlog_events", "Events that are neither delivered nor dead letters.", endpoint, nil),
		oldest:  prometheus.NewDesc("hookbay_backlog_oldest_seconds", "Age of the oldest of them; 0 if there is none.", endpoint, nil),
		dead:    prometheus.NewDesc("hookbay_dead_letters", "Dead letters that are kept.", endpoint, nil),
	}
}

// Describe implements prometheus.Collector.
func (b *Backlog) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{b.size, b.pending, b.oldest, b.dead} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (b *Backlog) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(b.size, prometheus.GaugeValue, float64(b.bytes()))
	now := b.now()
	for name, s := range b.queues() {
		age := 0.0
		if !s.Oldest.IsZero() {
			age = max(0, now.Sub(s.Oldest).Seconds())
		}
		ch <- prometheus.MustNewConstMetric(b.pending, prometheus.GaugeValue, float64(s.Pending), name)
		ch <- prometheus.MustNewConstMetric(b.oldest, prometheus.GaugeValue, age, name)
		ch <- prometheus.MustNewConstMetric(b.dead, prometheus.GaugeValue, float64(s.Dead), name)
	}
}
