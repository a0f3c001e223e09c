package apply

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Writes counts what is written to the API server: requests, whether they succeed or not.
type Writes struct {
	total *prometheus.CounterVec
}

// NewWrites returns a counter, registered with r as hookbay_api_writes_total; nil: registered nowhere.
func NewWrites(r prometheus.Registerer) *Writes {
	return &Writes{total: promauto.With(r).NewCounterVec(prometheus.CounterOpts{
		Name: "hookbay_api_writes_total",
		Help: "Requests to the Kubernetes API server that write, by kind of object and verb (apply, delete, …).",
	}, []string{"kind", "verb"})}
}

// Count counts one request. A nil Writes counts nothing.
func (w *Writes) Count(kind, verb string) {
	if w != nil {
		w.total.WithLabelValues(kind, verb).Inc()
	}
}
