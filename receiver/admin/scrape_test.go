package admin

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// unread is an answer that nobody reads any more.
type unread struct {
	http.ResponseWriter
	err error
}

func (u unread) Write([]byte) (int, error) { return 0, u.err }

// Anybody may break off scrapes all day: that must not fill the log. Trouble with the metrics themselves is told, sparingly.
func TestMetrics_logsSparingly(t *testing.T) {
	reg := prometheus.NewRegistry()
	for _, name := range []string{"hookbay_a", "hookbay_b", "hookbay_c"} {
		reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: name}))
	}
	failing := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := reg.Gather()
		return families, errors.Join(err, errors.New("the disk failed"))
	})
	tests := map[string]struct {
		metrics prometheus.Gatherer
		sending error
		want    string
		lines   int
	}{
		"a client that has gone away": {metrics: reg, sending: &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}},
		"a collector that fails":      {metrics: failing, lines: 1, want: "error gathering metrics: the disk failed"},
		"metrics that cannot be sent": {metrics: reg, sending: io.ErrShortWrite, lines: 1, want: "short write"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			h := NewHandler(Options{Metrics: tt.metrics, Log: slog.New(slog.NewTextHandler(&log, nil))})
			for range 5 {
				var w http.ResponseWriter = httptest.NewRecorder()
				if tt.sending != nil {
					w = unread{w, tt.sending}
				}
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			}
			if got := strings.Count(log.String(), "\n"); got != tt.lines || !strings.Contains(log.String(), tt.want) {
				t.Errorf("%d lines, want %d with %q:\n%s", got, tt.lines, tt.want, log.String())
			}
		})
	}
}
