package disk

import (
	"encoding/binary"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
)

// BenchmarkAppend stores events of 300 bytes from 64 goroutines for each core, each durable before the next.
func BenchmarkAppend(b *testing.B) {
	buf, err := Open(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	q, err := buf.Queue("shop/orders", buffer.Settings{DeduplicationWindow: 7 * time.Hour, Retention: time.Hour, DeadRetention: time.Hour, MaxAge: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(strings.Repeat("x", 300))
	var n atomic.Uint64
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			var number [8]byte
			binary.LittleEndian.PutUint64(number[:], n.Add(1))
			e := event.Event{ID: event.NewID(string(number[:])), Type: "com.example.made", Subject: "a", Received: time.Now(), Body: body}
			if _, err := q.Append(b.Context(), []event.Event{e}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.StopTimer()
	var h dto.Metric
	if err := buf.db.Metrics().LogWriter.FsyncLatency.Write(&h); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/float64(max(h.GetHistogram().GetSampleCount(), 1)), "events/sync")
	if err := buf.Close(); err != nil {
		b.Fatal(err)
	}
}
