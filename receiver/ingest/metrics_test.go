package ingest

import (
	"cmp"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// Nobody but the platform may make answers late: alerts depend on it.
func TestMetrics_lateAnswers(t *testing.T) {
	tests := map[string]struct {
		key   string
		body  error // what comes of its reading, at last
		store error
		want  float64
	}{
		"stored":                      {key: "good", want: 1},
		"verified, and cannot store":  {key: "good", store: buffer.ErrClosed, want: 1},
		"a wrong signature":           {key: "bad"},
		"a body that broke off":       {key: "good", body: io.ErrUnexpectedEOF},
		"a body that took too long":   {key: "good", body: os.ErrDeadlineExceeded},
		"a stranger's that broke off": {key: "bad", body: io.ErrUnexpectedEOF},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(1772366400, 0)
			h := NewHandler(Options{Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)})
			h.Update([]Endpoint{{Name: "shop/a", Path: "/shop/a", Source: &fakeSource{within: 500 * time.Millisecond}, Queue: &fakeQueue{err: tt.store}}})
			ctx := request("")
			ctx.Request.Header.Set("Key", tt.key)
			ctx.Request.SetBodyStream(slowBody{func() { now = now.Add(4 * time.Second) }, cmp.Or(tt.body, io.EOF)}, -1)
			h.ServeHTTP(ctx)
			m := h.table.Load().find(&ctx.Request.Header).metrics
			if got := testutil.ToFloat64(m.late); got != tt.want {
				t.Errorf("%v late answers, want %v", got, tt.want)
			}
			var told dto.Metric
			if err := m.answers.(prometheus.Metric).Write(&told); err != nil {
				t.Fatal(err)
			}
			if got := told.GetHistogram().GetSampleSum(); got != 4*tt.want {
				t.Errorf("answers took %v s, want %v", got, 4*tt.want)
			}
		})
	}
}

// slowBody takes long to come to its end.
type slowBody struct {
	wait func()
	end  error
}

func (b slowBody) Read(p []byte) (int, error) {
	b.wait()
	return copy(p, "one"), b.end
}
