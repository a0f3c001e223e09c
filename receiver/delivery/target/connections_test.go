package target

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
)

// countingServer counts connections: all that came, and those that are open.
func countingServer(t *testing.T, http2 bool, handler http.HandlerFunc) (s *httptest.Server, all, open *atomic.Int64) {
	t.Helper()
	all, open = &atomic.Int64{}, &atomic.Int64{}
	s = httptest.NewUnstartedServer(handler)
	s.EnableHTTP2 = http2
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			all.Add(1)
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	if http2 {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s, all, open
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !is() {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		}
	}
}

func TestConnections_areGivenUpWithAge(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			s, all, open := countingServer(t, http2, func(http.ResponseWriter, *http.Request) {})
			clock := time.Now()
			h := newTarget(t, s.URL, func(c *config.Target, secrets config.Secrets, o *HTTPOptions) {
				o.Now = func() time.Time { return clock }
				if http2 {
					c.CABundleFile = "ca"
					secrets["ca"] = bundleOf(s)
				}
			})
			for i, step := range []struct {
				pass time.Duration
				want int64
			}{{0, 1}, {connectionAge - 1, 1}, {1, 2}, {connectionAge - 1, 2}, {1, 3}, {-time.Hour, 4}, {0, 4}} {
				clock = clock.Add(step.pass)
				if r := h.Send(t.Context(), sampleEvent(), 1); r.Class != Delivered {
					t.Fatalf("got %+v", r)
				}
				if got := all.Load(); got != step.want {
					t.Errorf("step %d: %d connections so far, want %d", i, got, step.want)
				}
				eventually(t, "old connections are closed", func() bool { return open.Load() == 1 })
			}
		})
	}
}

// What is under way when connections become too old ends where it began.
func TestConnections_attemptsOutliveTheirSet(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	s, _, open := countingServer(t, false, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get(HeaderAttempt) == "1" {
			close(arrived)
			<-release
		}
	})
	var clock atomic.Int64
	h := newTarget(t, s.URL, func(_ *config.Target, _ config.Secrets, o *HTTPOptions) {
		o.Now = func() time.Time { return time.Unix(clock.Load(), 0) }
	})
	result := make(chan Result, 1)
	go func() { result <- h.Send(context.WithoutCancel(t.Context()), sampleEvent(), 1) }()
	<-arrived
	clock.Add(int64(connectionAge / time.Second))
	if r := h.Send(t.Context(), sampleEvent(), 2); r.Class != Delivered {
		t.Errorf("on a new connection: got %+v", r)
	}
	if got := open.Load(); got != 2 {
		t.Errorf("%d connections are open, want the old one, and a new one", got)
	}
	close(release)
	if r := <-result; r.Class != Delivered {
		t.Errorf("on the old connection: got %+v", r)
	}
	eventually(t, "the old connection is closed", func() bool { return open.Load() == 1 })
}

// As many connections as there are attempts at once are enough.
func TestConnections_areReused(t *testing.T) {
	const atOnce, each = 64, 50
	s, all, _ := countingServer(t, false, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"ok":true}`)
	})
	h := newTarget(t, s.URL, func(_ *config.Target, _ config.Secrets, o *HTTPOptions) { o.MaxIdleConns = atOnce })
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for range each {
				if r := h.Send(t.Context(), sampleEvent(), 1); r.Class != Delivered {
					t.Errorf("got %+v", r)
				}
			}
		})
	}
	wg.Wait()
	if got := all.Load(); got > 2*atOnce {
		t.Errorf("%d connections for %d attempts at once", got, atOnce)
	}
}
