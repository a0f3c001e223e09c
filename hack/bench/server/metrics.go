//go:build linux

package server

import (
	"bytes"
	"context"
	"fmt"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metrics is what a receiver says of itself at one moment, over all of its endpoints.
type Metrics struct {
	// Stored are callbacks that were stored, Duplicates those that had been before.
	Stored, Duplicates int
	// Backlog are events that wait to be delivered.
	Backlog int
	// Delivered are attempts that the target took, whatever its kind, and Attempts all.
	Delivered, Attempts int
	// Syncs counts those of its log, Syncing is how long all of them together took.
	Syncs   int
	Syncing time.Duration
	// Disk is what the store takes, in bytes.
	Disk int64
	// Goroutines and Heap, in bytes, are the Go runtime's.
	Goroutines int
	Heap       int64
}

// delivered are the outcomes of attempts that the target took: over HTTP, and to brokers and streams.
func delivered() []string { return []string{"2xx", "stored"} }

// Metrics asks the receiver.
func (r *Receiver) Metrics(ctx context.Context) (Metrics, error) {
	var m Metrics
	body, err := get(ctx, "http://"+r.Admin+"/metrics")
	if err != nil {
		return m, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return m, fmt.Errorf("read metrics: %w", err)
	}
	sum := func(name, label, value string) float64 {
		total := 0.0
		for _, s := range families[name].GetMetric() {
			if label == "" || labelOf(s, label) == value {
				total += s.GetCounter().GetValue() + s.GetGauge().GetValue()
			}
		}
		return total
	}
	m.Stored = int(sum("hookbay_callbacks_total", "outcome", "stored"))
	m.Duplicates = int(sum("hookbay_callbacks_total", "outcome", "duplicate"))
	m.Backlog = int(sum("hookbay_backlog_events", "", ""))
	for _, outcome := range delivered() {
		m.Delivered += int(sum("hookbay_delivery_attempts_total", "outcome", outcome))
	}
	m.Attempts = int(sum("hookbay_delivery_attempts_total", "", ""))
	m.Disk = int64(sum("hookbay_buffer_bytes", "", ""))
	for _, s := range families["hookbay_buffer_sync_seconds"].GetMetric() {
		m.Syncs = int(s.GetHistogram().GetSampleCount()) //nolint:gosec // a count
		m.Syncing = time.Duration(s.GetHistogram().GetSampleSum() * float64(time.Second))
	}
	m.Goroutines = int(sum("go_goroutines", "", ""))
	m.Heap = int64(sum("go_memstats_heap_inuse_bytes", "", ""))
	return m, nil
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// Drained waits until nothing is left to deliver.
func (r *Receiver) Drained(ctx context.Context, timeout time.Duration) error {
	began := time.Now()
	for time.Since(began) < timeout {
		m, err := r.Metrics(ctx)
		if err != nil {
			return err
		}
		if m.Backlog == 0 {
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("not all is delivered after %v", timeout)
}
