//go:build linux

package load

import (
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

// serve is a server, and what a load of it begins with.
func serve(t *testing.T, h http.HandlerFunc) Options {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	c, err := NewCallback(config.SourceLazada, 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Addr: s.Listener.Addr().String(), Callback: c, Connections: 3, Duration: time.Minute}
}

func TestRun_closedLoop(t *testing.T) {
	var mu sync.Mutex
	signatures := map[string]bool{}
	o := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		signatures[r.Header.Get("Authorization")] = true
	})
	o.Count = 1000
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Accepted != o.Count || r.Sent != o.Count || r.Next != o.Count || r.Latency.TotalCount() != int64(o.Count) {
		t.Errorf("of %d callbacks %d were sent, the next is %d, %d were accepted and %d have a latency", o.Count, r.Sent, r.Next, r.Accepted, r.Latency.TotalCount())
	}
	mu.Lock()
	defer mu.Unlock()
	if len(signatures) != o.Count {
		t.Errorf("the server saw %d different callbacks, want %d", len(signatures), o.Count)
	}
}

// TestRun_largeBodies: they don't fit the sockets' buffers at once.
func TestRun_largeBodies(t *testing.T) {
	o := serve(t, func(http.ResponseWriter, *http.Request) {})
	var err error
	if o.Callback, err = NewCallback(config.SourceLazada, 1<<20); err != nil {
		t.Fatal(err)
	}
	o.Count = 30
	if r, err := Run(t.Context(), o); err != nil || r.Accepted != o.Count {
		t.Errorf("%d of %d were accepted, %v", r.Accepted, o.Count, err)
	}
}

func TestRun_countsAnswers(t *testing.T) {
	var n atomic.Int64
	o := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		switch n.Add(1) % 4 {
		case 0:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 1:
			w.Header().Set("Connection", "close") // and the load must connect again
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	o.Count = 400
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Accepted != 200 || r.Refused != 100 || r.Other != 100 || r.Latency.TotalCount() != 200 || r.Refusal.TotalCount() != 100 {
		t.Errorf("%d were accepted, %d refused and %d answered otherwise; want 200, 100 and 100", r.Accepted, r.Refused, r.Other)
	}
}

// TestRun_openLoop: a server that does not answer keeps nobody from being due. Those that waited for the connection have that in their latency, and
// those that never came to be sent are counted.
func TestRun_openLoop(t *testing.T) {
	release := make(chan struct{})
	var n atomic.Int64
	o := serve(t, func(http.ResponseWriter, *http.Request) {
		if n.Add(1) == 1 {
			<-release
		}
	})
	o.Connections, o.Rate, o.Duration = 1, 1000, 300*time.Millisecond
	l, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(o.Duration/2, func() { close(release) })
	r, err := l.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if r.Sent+r.Unsent != 300 {
		t.Errorf("%d callbacks were sent and %d were due and not, want 300 together", r.Sent, r.Unsent)
	}
	if r.Accepted != r.Sent {
		t.Errorf("%d of %d were accepted", r.Accepted, r.Sent)
	}
	// The first held up half of the others: they were due while it was under way, and each was sent as soon as it could be.
	if late, quick := r.Latency.ValueAtQuantile(25), r.Service.ValueAtQuantile(25); late <= quick {
		t.Errorf("a quarter waited for less than %d ns since they were due and %d since they were sent: a stall must count for all that were due in it", late, quick)
	}
}

func TestRun_connectionsThatBreak(t *testing.T) {
	var n atomic.Int64
	breaking := func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%5 == 0 {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = c.(*net.TCPConn).SetLinger(0)
				_ = c.Close()
			}
		}
	}
	o := serve(t, breaking)
	o.Count = 100
	if _, err := Run(t.Context(), o); err == nil {
		t.Error("a connection broke and there is no error")
	}
	o = serve(t, breaking)
	o.Count, o.MayBreak = 100, true
	n.Store(0)
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Accepted != 80 || r.Broken != 20 {
		t.Errorf("%d were accepted and %d connections broke, want 80 and 20", r.Accepted, r.Broken)
	}
}

func TestStart_nobodyThere(t *testing.T) {
	o := serve(t, func(http.ResponseWriter, *http.Request) {})
	for name, addr := range map[string]string{"a port that nobody listens on": "127.0.0.1:1", "no address": "localhost"} {
		t.Run(name, func(t *testing.T) {
			o.Addr = addr
			if _, err := Start(t.Context(), o); err == nil {
				t.Error("there is no error, want one")
			}
		})
	}
}

// TestLoad_Take: parts add up to the whole.
func TestLoad_Take(t *testing.T) {
	var n atomic.Int64
	half := make(chan struct{})
	o := serve(t, func(http.ResponseWriter, *http.Request) {
		if n.Add(1) == 100 {
			close(half)
		}
	})
	o.Count = 200
	l, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	<-half
	first := l.Take()
	rest, err := l.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if first.Accepted == 0 || first.Accepted+rest.Accepted != o.Count {
		t.Errorf("parts of %d and %d accepted callbacks, want %d together", first.Accepted, rest.Accepted, o.Count)
	}
}
