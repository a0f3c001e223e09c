package target

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
)

// listen starts a raw TCP server that gives each connection to handle and then closes it. It returns its host and port.
func listen(t *testing.T, handle func(c *net.TCPConn)) string {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			handle(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// readRequest reads one request's header, and its body.
func readRequest(c net.Conn) {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err == nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

// closedPort returns a host and port that nobody listens at.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestHTTP_failures(t *testing.T) {
	short := func(c *config.Target, _ config.Secrets, _ *HTTPOptions) {
		c.Timeout = config.Duration(50 * time.Millisecond)
	}
	tests := map[string]struct {
		url         func(t *testing.T) string
		change      func(c *config.Target, s config.Secrets, o *HTTPOptions)
		wantOutcome string
		wantDetail  string
	}{
		"nobody listens": {
			url:         func(t *testing.T) string { return "http://" + closedPort(t) },
			wantOutcome: "refused", wantDetail: "connection refused: nobody listens at the target's address and port",
		},
		"never answers": {
			url: func(t *testing.T) string {
				return "http://" + listen(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) })
			},
			change: short, wantOutcome: "timeout", wantDetail: "no answer within 50ms",
		},
		"never ends its header": {
			url: func(t *testing.T) string {
				return "http://" + listen(t, func(c *net.TCPConn) {
					readRequest(c)
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ")
					_, _ = io.Copy(io.Discard, c)
				})
			},
			change: short, wantOutcome: "timeout", wantDetail: "no answer within 50ms",
		},
		"never shakes hands": {
			url: func(t *testing.T) string {
				return "https://" + listen(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) })
			},
			change: short, wantOutcome: "timeout", wantDetail: "no answer within 50ms",
		},
		"resets after the request": {
			url: func(t *testing.T) string {
				return "http://" + listen(t, func(c *net.TCPConn) {
					readRequest(c)
					_ = c.SetLinger(0)
				})
			},
			wantOutcome: "reset", wantDetail: "the target closed the connection without an answer; if it speaks TLS, write https:// in the target",
		},
		"closes after the request": {
			url:         func(t *testing.T) string { return "http://" + listen(t, func(c *net.TCPConn) { readRequest(c) }) },
			wantOutcome: "reset", wantDetail: "the target closed the connection without an answer; if it speaks TLS, write https:// in the target",
		},
		"breaks off within the header": {
			url: func(t *testing.T) string {
				return "http://" + listen(t, func(c *net.TCPConn) {
					readRequest(c)
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
				})
			},
			wantOutcome: "reset", wantDetail: "the target closed the connection without an answer; if it speaks TLS, write https:// in the target",
		},
		"a header without end": {
			url: func(t *testing.T) string {
				return "http://" + listen(t, func(c *net.TCPConn) {
					readRequest(c)
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
				})
			},
			wantOutcome: "not_http", wantDetail: "the answer's header, interim answers (1xx) included, is longer than 64 KiB",
		},
		"not HTTP": {
			url: func(t *testing.T) string {
				return "http://" + listen(t, func(c *net.TCPConn) {
					readRequest(c)
					_, _ = io.WriteString(c, "220 mail.example.com ESMTP\r\n")
				})
			},
			wantOutcome: "not_http", wantDetail: "what came back is not an HTTP answer: does another service listen at the target's port?",
		},
		"no such name": {
			url:         func(*testing.T) string { return "http://nobody.invalid/" },
			wantOutcome: "dns", wantDetail: "cannot resolve nobody.invalid: ",
		},
		"a certificate of an unknown authority": {
			url: func(t *testing.T) string {
				s := httptest.NewTLSServer(http.NotFoundHandler())
				s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
				t.Cleanup(s.Close)
				return s.URL
			},
			wantOutcome: "tls", wantDetail: "the target's certificate is not accepted: x509: certificate signed by unknown authority; name its CA in target.caBundleRef",
		},
		"http where https is asked for": {
			url: func(t *testing.T) string {
				return "https://" + strings.TrimPrefix(serve(t, func(http.ResponseWriter, *http.Request) {}).URL, "http://")
			},
			wantOutcome: "tls", wantDetail: "the target does not speak TLS: write http:// or the port that does",
		},
		"a name that leads to a forbidden address": {
			url: func(t *testing.T) string {
				s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the request was sent") })
				return strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
			},
			change:      func(_ *config.Target, _ config.Secrets, o *HTTPOptions) { o.ForbidLoopback = true },
			wantOutcome: "forbidden_address", wantDetail: " is a loopback address: deliveries never go there",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for way, change := range map[string]func(e *event.Event){"a small event": func(*event.Event) {}, "a large event": large} {
				h := newTarget(t, tc.url(t), tc.change)
				e := sampleEvent()
				change(e)
				r := h.Send(t.Context(), e, 1)
				if r.Class != Retryable || r.Outcome != tc.wantOutcome || !strings.Contains(r.Detail, tc.wantDetail) {
					t.Errorf("%s: got %+v, want a retry, outcome %q, detail with %q", way, r, tc.wantOutcome, tc.wantDetail)
				}
				if !slices.Contains(Outcomes(), r.Outcome) {
					t.Errorf("%s: outcome %q is not in the list", way, r.Outcome)
				}
			}
		})
	}
}

// A target that sends back what it is sent, or names it in its status line, must not get the credentials into a log.
func TestHTTP_failureTellsNoSecret(t *testing.T) {
	tests := map[string]func(c *net.TCPConn){
		"an echo server": func(c *net.TCPConn) {
			request := make([]byte, 4096)
			n, _ := c.Read(request)
			_, _ = c.Write(request[:n])
		},
		"a status line that quotes them": func(c *net.TCPConn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 401 token-in-query bearer-token header-token\r\n\r\n")
		},
		"a status that quotes them": func(c *net.TCPConn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 bearer-token\r\n\r\n")
		},
		"a header that quotes them": func(c *net.TCPConn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nbearer-token header-token\r\n\r\n")
		},
		"silence": func(*net.TCPConn) {},
	}
	for name, handle := range tests {
		t.Run(name, func(t *testing.T) {
			h := newTarget(t, "http://"+listen(t, handle)+"/?key=token-in-query", func(c *config.Target, s config.Secrets, _ *HTTPOptions) {
				c.BearerTokenFile = "bearer"
				s["bearer"] = "bearer-token"
				c.Headers = []config.Header{{Name: "X-Key", Value: "header-token"}}
			})
			r := h.Send(t.Context(), sampleEvent(), 1)
			if r.Class == Delivered || strings.Contains(r.Detail, "token") {
				t.Errorf("got %+v", r)
			}
		})
	}
}

// One attempt is one request, also where the other side closes connections that idle.
func TestHTTP_closedIdleConnection(t *testing.T) {
	var requests atomic.Int64
	s := serve(t, func(http.ResponseWriter, *http.Request) { requests.Add(1) })
	h := newTarget(t, s.URL, nil)
	for i := range 5 {
		if r := h.Send(t.Context(), sampleEvent(), 1); r.Class != Delivered && r.Outcome != OutcomeReset {
			t.Fatalf("delivery %d: got %+v", i, r)
		}
		s.CloseClientConnections()
	}
	if got := requests.Load(); got > 5 {
		t.Errorf("got %d requests for 5 attempts", got)
	}
}

// A platform that waits may have less time than the target's timeout, and then the log must not speak of the latter.
func TestHTTP_endsWithItsContext(t *testing.T) {
	address := listen(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	got := newTarget(t, "http://"+address, nil).Send(ctx, sampleEvent(), 1)
	if got.Class != Retryable || got.Outcome != OutcomeTimeout || strings.Contains(got.Detail, defaultTimeout.String()) {
		t.Errorf("got %+v, want a timeout that names the time there was", got)
	}
}

// GetBody lets net/http take another connection when it finds one closed before it has written a byte.
func TestHTTP_bodyCanBeReadAgain(t *testing.T) {
	e := sampleEvent()
	req := newTarget(t, "http://h", nil).newRequest(t.Context(), e, nil)
	for i := range 2 {
		body, err := req.GetBody()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(body); err != nil || string(got) != string(e.Body) {
			t.Errorf("reading %d: got %q, %v", i, got, err)
		}
	}
}
