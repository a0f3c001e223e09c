// Package admin answers those who run the receiver: is it alive, can it store, what does it measure, which configuration is live, how are
// its targets.
//
// Nothing here shows a callback's content, a credential or a subject, so the port may be open to probes and to Prometheus.
package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/time/rate"

	"github.com/hookbay/hookbay/receiver/conns"
)

// Options say where the answers come from. All are required.
type Options struct {
	// Ready returns nil if callbacks can be stored now, else why not.
	Ready func() error
	// Config tells which configuration is live.
	Config func() Config
	// Metrics are what /metrics shows.
	Metrics prometheus.Gatherer
	// Log is told of metrics that cannot be gathered.
	Log *slog.Logger
}

// The server's bounds. Metrics of many endpoints are the largest answer, and a slow reader of them must not hold memory for long.
const (
	readTimeout    = 5 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 120 * time.Second
	maxHeaderBytes = 16 << 10
)

// scrapeLogEvery is how often trouble with metrics is told.
const scrapeLogEvery = time.Minute

// maxReasonBytes bounds what /readyz says.
const maxReasonBytes = 512

const index = `Hookbay receiver

/healthz  is the process alive
/readyz   can callbacks be stored, and if not, why
/metrics  for Prometheus
/configz  which configuration is live, and how the targets are
`

// NewHandler returns what the admin port serves.
func NewHandler(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, index) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := o.Ready(); err != nil {
			text(w, http.StatusServiceUnavailable, oneLine(err.Error())+"\n")
			return
		}
		text(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /configz", func(w http.ResponseWriter, _ *http.Request) { writeConfig(w, o.Config()) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Metrics, promhttp.HandlerOpts{
		ErrorLog: &scrapeLog{log: o.Log, paced: rate.Sometimes{Interval: scrapeLogEvery}},
		// One collector in trouble must not hide what the others know.
		ErrorHandling: promhttp.ContinueOnError,
	}))
	return mux
}

// NewServer returns the admin port's server.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	s := &http.Server{
		Handler:        h,
		ReadTimeout:    readTimeout,
		WriteTimeout:   writeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	conns.Track(s, time.Now)
	return s
}

// scrapeLog takes what promhttp has to say: a line for each family of metrics. Of a client that has gone away nothing is told, of the rest one
// line in a while.
type scrapeLog struct {
	log   *slog.Logger
	paced rate.Sometimes
}

// Println implements promhttp.Logger.
func (l *scrapeLog) Println(v ...any) {
	for _, part := range v {
		if err, ok := part.(error); ok && connectionFailed(err) {
			return
		}
	}
	l.paced.Do(func() { l.log.Error("Metrics cannot be told", "error", strings.TrimSpace(fmt.Sprintln(v...))) })
}

func connectionFailed(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}

// oneLine makes a reason fit for a probe's event and a condition's message, whatever an engine has to say.
func oneLine(reason string) string {
	line := strings.Join(strings.FieldsFunc(strings.ToValidUTF8(reason, "?"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if len(line) > maxReasonBytes {
		line = strings.ToValidUTF8(line[:maxReasonBytes], "") + "…"
	}
	return line
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // Who asked may be gone.
}

func writeConfig(w http.ResponseWriter, c Config) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(c) // Who asked may be gone.
}
