package target

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
)

// keptIsQuiet says whether a connection is kept that looks usable.
func keptIsQuiet(h *HTTP) bool {
	p := h.connections.current.Load().pool
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle) > 0 && p.idle[len(p.idle)-1].quiet()
}

func kept(h *HTTP) int {
	p := h.connections.current.Load().pool
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

// A kept connection over which something comes unasked is not taken for an answer to the next request.
func TestPlain_unaskedAnswerIsNotTaken(t *testing.T) {
	more := make(chan struct{})
	address := listen(t, func(c *net.TCPConn) {
		readRequest(c)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		if _, ok := <-more; ok {
			_, _ = io.WriteString(c, "HTTP/1.1 400 Wrong\r\nContent-Length: 0\r\n\r\n")
			_, _ = io.Copy(io.Discard, c)
		}
	})
	h := newTarget(t, "http://"+address, nil)
	if r := h.Send(t.Context(), sampleEvent(), 1); r.Class != Delivered || kept(h) != 1 {
		t.Fatalf("got %+v, and %d connections are kept", r, kept(h))
	}
	more <- struct{}{}
	close(more)
	eventually(t, "the connection is of no more use", func() bool { return !keptIsQuiet(h) })
	if r := h.Send(t.Context(), sampleEvent(), 1); r.Class != Delivered {
		t.Errorf("got %+v", r)
	}
}

// All connections that have been closed are found, and then a new one serves.
func TestPlain_closedConnectionsAreFound(t *testing.T) {
	const many = 8
	var requests atomic.Int64
	arrived := make(chan struct{}, many)
	release := make(chan struct{})
	s, all, _ := countingServer(t, false, func(http.ResponseWriter, *http.Request) {
		requests.Add(1)
		arrived <- struct{}{}
		<-release
	})
	h := newTarget(t, s.URL, nil)
	results := make(chan Result, many)
	for range many {
		go func() { results <- h.Send(context.WithoutCancel(t.Context()), sampleEvent(), 1) }()
	}
	for range many {
		<-arrived
	}
	close(release)
	for range many {
		if r := <-results; r.Class != Delivered {
			t.Errorf("got %+v", r)
		}
	}
	if got := kept(h); got != many {
		t.Fatalf("%d connections are kept, want %d", got, many)
	}
	s.CloseClientConnections()
	p := h.connections.current.Load().pool
	eventually(t, "all are closed", func() bool { return !slices.ContainsFunc(p.idle, (*plainConn).quiet) })
	if r := h.Send(t.Context(), sampleEvent(), 1); r.Class != Delivered {
		t.Errorf("got %+v", r)
	}
	if got := requests.Load(); got != many+1 || all.Load() != many+1 || kept(h) != 1 {
		t.Errorf("%d requests, %d connections, of which %d are kept; want %d, %d, 1", got, all.Load(), kept(h), many+1, many+1)
	}
}

// The receiver stops in each phase of an attempt.
func TestPlain_cancelled(t *testing.T) {
	const good = "HTTP/1.1 200 OK\r\n"
	tests := map[string]struct {
		answer      string
		wantOutcome string
	}{
		"before the answer":     {"", "cancelled"},
		"in the status line":    {"HTTP/1.1 2", "cancelled"},
		"in the header":         {good + "X: y\r\n", "cancelled"},
		"after interim answers": {"HTTP/1.1 103 Early Hints\r\n\r\n", "cancelled"},
		"in the body":           {good + "Content-Length: 10\r\n\r\nx", "2xx"}, // the status is known
		"in a chunk":            {good + "Transfer-Encoding: chunked\r\n\r\n5\r\nx", "2xx"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			address := listen(t, func(c *net.TCPConn) {
				readRequest(c)
				_, _ = io.WriteString(c, tc.answer)
				_, _ = io.Copy(io.Discard, c) // up to its end
			})
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c := newPlainConn(&cancelling{Conn: conn, left: len(tc.answer), cancel: cancel})
			defer func() { _ = c.Close() }()
			h := newTarget(t, "http://"+address, nil)
			resp, sent, err := c.exchange(ctx, h.plain.request(nil, nil, []byte("body")), time.Now().Add(time.Hour))
			got := ""
			if err != nil {
				got = failure(ctx, err, time.Hour).Outcome
			} else {
				got = judge(resp, time.Now()).Outcome
			}
			if got != tc.wantOutcome || !sent || c.usable {
				t.Errorf("got %s, sent: %v, usable: %v; want %s, sent, and not usable", got, sent, c.usable, tc.wantOutcome)
			}
		})
	}
}

// cancelling cancels when more is read than comes.
type cancelling struct {
	net.Conn
	left   int
	cancel func()
}

func (c *cancelling) Read(b []byte) (int, error) {
	if c.left == 0 {
		c.cancel()
	}
	n, err := c.Conn.Read(b)
	c.left -= n
	return n, err
}

func TestPlain_cancelledWhileItDials(t *testing.T) {
	asked := make(chan struct{})
	h := newTarget(t, "http://target.example.com/", func(_ *config.Target, _ config.Secrets, o *HTTPOptions) {
		o.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			select {
			case asked <- struct{}{}:
			default:
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}}
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if r := h.Send(ctx, sampleEvent(), 1); r.Outcome != OutcomeCancelled {
		t.Errorf("got %+v", r)
	}
	// And before it has begun, without a look at connections that are kept.
	if r := h.Send(ctx, sampleEvent(), 1); r.Outcome != OutcomeCancelled {
		t.Errorf("got %+v", r)
	}
}

// What an attempt did to its connection's deadline is nothing to the next.
func TestPlain_deadlinesDoNotStay(t *testing.T) {
	s, all, _ := countingServer(t, false, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	h := newTarget(t, s.URL, nil)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if r := h.Send(ctx, sampleEvent(), 1); r.Class != Delivered {
			t.Fatalf("got %+v", r)
		}
		<-ctx.Done()
		// A context that has ended, and a time that is over, cost no connection.
		if r := h.Send(ctx, sampleEvent(), 1); r.Outcome != OutcomeTimeout {
			t.Errorf("got %+v", r)
		}
		cancel()
	}
	if got := all.Load(); got != 1 {
		t.Errorf("%d connections, want 1", got)
	}
}

// One that answers before it has read everything, and hangs up, is heard.
func TestPlain_earlyAnswer(t *testing.T) {
	address := listen(t, func(c *net.TCPConn) {
		_, _ = io.WriteString(c, "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nConnection: close\r\n\r\n")
	})
	h := newTarget(t, "http://"+address, nil)
	for range 100 {
		// The reset that follows may overtake the answer: that is the network's way.
		r := h.Send(t.Context(), sampleEvent(), 1)
		if r.Outcome != Outcome5xx && r.Outcome != OutcomeReset {
			t.Fatalf("got %+v", r)
		}
	}
}

// Every dial is checked, not only the first.
func TestPlain_everyDialIsGuarded(t *testing.T) {
	s, all, _ := countingServer(t, false, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	h := newTarget(t, s.URL, nil)
	if r := h.Send(t.Context(), sampleEvent(), 1); r.Class != Delivered {
		t.Fatalf("got %+v", r)
	}
	h.connections.dialer.ControlContext = guard{forbidLoopback: true}.control
	for _, change := range []func(e *event.Event){func(*event.Event) {}, large} {
		e := sampleEvent()
		change(e)
		if r := h.Send(t.Context(), e, 1); r.Outcome != OutcomeForbiddenAddress {
			t.Errorf("got %+v", r)
		}
	}
	if got := all.Load(); got != 1 {
		t.Errorf("%d connections, want 1", got)
	}
}
