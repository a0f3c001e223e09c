package app

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
)

// The control plane removes a replica for good when its backlog is 0, so nothing that is undelivered may be missing from it: neither what
// is being sent, nor what waits for its next attempt, nor what waits behind that or was never tried, and at no time.
func TestApp_backlogCountsAllThatIsUndelivered(t *testing.T) {
	retryLater := func(e *config.Endpoint) { e.Delivery.Retry = config.Retry{} } // a second at least
	f := &fixture{t: t, dir: t.TempDir()}
	f.configure(lazada("sending", to("http://blocked/")), lazada("failing", retryLater), lazada("waiting", suspended), lazada("gone", suspended))
	f.run(f.failing(func() bool { return true }))
	for n := range 3 { // of one subject: two wait behind the first
		for _, name := range []string{"sending", "failing", "waiting", "gone"} {
			f.mustSend("/shop/"+name, n, 0)
		}
	}
	f.eventually("one event is being sent", func() bool { return f.waiting() == 1 })
	f.eventually("one event waits for its next attempt", func() bool {
		return strings.Contains(f.get("/metrics"), `hookbay_delivery_attempts_total{endpoint="shop/failing",outcome="5xx"} 1`)
	})
	check := func(when, metrics string) {
		t.Helper()
		for _, name := range []string{"sending", "failing", "waiting", "gone"} {
			if line := `hookbay_backlog_events{endpoint="shop/` + name + `"} 3`; !strings.Contains(metrics, "\n"+line+"\n") {
				t.Errorf("%s: /metrics lacks %q", when, line)
			}
		}
	}
	check("while it delivers", f.get("/metrics"))

	f.reconfigure(lazada("sending", to("http://blocked/")), lazada("failing", retryLater), lazada("waiting", suspended))
	check("with an endpoint gone", f.get("/metrics"))
	f.stop()
	f.eventually("the receiver stops", func() bool { return f.app.Ready() != nil })
	check("while it stops", f.scrape())
	for _, tg := range f.allTargets() {
		tg.open()
	}
	if err := f.end(); err != nil {
		t.Fatal(err)
	}
	check("when it has stopped", f.scrape())

	// The next process: what its very first scrape says, before anything runs.
	o := f.app.o
	o.DrainTimeout = time.Millisecond
	a, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	f.app = a
	check("before the next one runs", f.scrape())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ended); err != nil {
		t.Error(err)
	}
}

// scrape asks for the metrics without a server.
func (f *fixture) scrape() string {
	w := httptest.NewRecorder()
	f.app.probes.service.(*http.Server).Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	return w.Body.String()
}

// waiting counts the attempts that targets have not answered.
func (f *fixture) waiting() int64 {
	var n int64
	for _, tg := range f.allTargets() {
		n += tg.waiting.Load()
	}
	return n
}
