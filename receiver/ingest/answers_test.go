package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

// exchange sends raw bytes and returns all that comes back until the server closes, without the date.
func exchange(t *testing.T, ts *testServer, request string, halfClose bool) string {
	t.Helper()
	conn, err := net.Dial("tcp", ts.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // Nothing is lost.
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if halfClose {
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return normal(string(answer))
}

// normal is an answer without its date and with its headers in alphabetical order, which means nothing.
func normal(answer string) string {
	head, body, ok := strings.Cut(answer, "\r\n\r\n")
	if !ok {
		return answer
	}
	lines := strings.Split(head, "\r\n")
	headers := slices.DeleteFunc(lines[1:], func(l string) bool { return strings.HasPrefix(l, "Date: ") })
	slices.Sort(headers)
	return strings.Join(append(lines[:1:1], headers...), "\r\n") + "\r\n\r\n" + body
}

// post is a request that asks for the connection to be closed.
func post(path, headers, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s", path, headers, len(body), body)
}

func TestHandler_answers(t *testing.T) {
	const good = "Key: good\r\n"
	refuse := func(reason source.Reason, status int, detail string) func(*source.Request) *source.Refusal {
		return func(*source.Request) *source.Refusal {
			return &source.Refusal{Reason: reason, Status: status, Detail: detail}
		}
	}
	tests := map[string]struct {
		options     Options
		source      fakeSource
		queue       *fakeQueue
		request     string
		halfClose   bool
		want        string
		wantOutcome string
	}{
		"stored": {
			request:     post("/shop/a", good, "one two"),
			want:        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\ntaken",
			wantOutcome: "stored",
		},
		"stored, sent in chunks": {
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nKey: good\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n4\r\n two\r\n0\r\n\r\n",
			want:        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\ntaken",
			wantOutcome: "stored",
		},
		"a duplicate": {
			queue:       &fakeQueue{seen: map[event.ID]bool{event.NewID("one"): true}},
			request:     post("/shop/a", good, "one"),
			want:        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\ntaken",
			wantOutcome: "duplicate",
		},
		"filtered out": {
			request:     post("/shop/a", good, ""),
			want:        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\ntaken",
			wantOutcome: "filtered",
		},
		"a wrong signature": {
			request:     post("/shop/a", "Key: bad\r\n", "one"),
			want:        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 20\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nno: the key is wrong",
			wantOutcome: "signature_wrong",
		},
		"another app": {
			source:      fakeSource{verify: refuse(source.ReasonWrongApp, 403, "other app")},
			request:     post("/shop/a", good, "one"),
			want:        "HTTP/1.1 403 Forbidden\r\nContent-Length: 13\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nno: other app",
			wantOutcome: "wrong_app",
		},
		"not what the platform sends": {
			source:      fakeSource{identify: func() *source.Refusal { return refuse(source.ReasonNotJSON, 400, "not JSON")(nil) }},
			request:     post("/shop/a", good, "one"),
			want:        "HTTP/1.1 400 Bad Request\r\nContent-Length: 12\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nno: not JSON",
			wantOutcome: "not_json",
		},
		"a reason that nobody knows": {
			source:      fakeSource{verify: refuse("brand_new", 400, "x")},
			request:     post("/shop/a", good, "one"),
			want:        "HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nno: x",
			wantOutcome: "other",
		},
		"no such path": {
			request: post("/shop/b", good, "one"),
			want:    "HTTP/1.1 404 Not Found\r\nContent-Length: 24\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + `{"error":"no such path"}`,
		},
		"no such path, and the client waits for the go-ahead": {
			request: "POST /shop/b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
			want:    "HTTP/1.1 404 Not Found\r\nContent-Length: 24\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + `{"error":"no such path"}`,
		},
		"too large, and the client waits for the go-ahead": {
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n",
			want:        "HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 25\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nno: the body is too large",
			wantOutcome: "too_large",
		},
		"GET": {
			request:     "GET /shop/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			want:        "HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\nContent-Length: 24\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nno: only POST is allowed",
			wantOutcome: "method",
		},
		"HEAD": {
			request:     "HEAD /shop/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			want:        "HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\nContent-Length: 24\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n",
			wantOutcome: "method",
		},
		"GET of no such path": {
			request: "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			want:    "HTTP/1.1 404 Not Found\r\nContent-Length: 24\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + `{"error":"no such path"}`,
		},
		"a large length, nothing of it sent": {
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nContent-Length: 1048577\r\n\r\n",
			want:        "HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 25\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nno: the body is too large",
			wantOutcome: "too_large",
		},
		"a large body in chunks": {
			options:     Options{MaxBody: 6},
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n4\r\n two\r\n",
			want:        "HTTP/1.1 413 Request Entity Too Large\r\nConnection: close\r\nContent-Length: 25\r\nContent-Type: text/plain\r\n\r\nno: the body is too large",
			wantOutcome: "too_large",
		},
		"a slow body": {
			options:     Options{RequestTimeout: 200 * time.Millisecond},
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nContent-Length: 10\r\n\r\none",
			want:        "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 36\r\nContent-Type: text/plain\r\n\r\nno: the body did not arrive in time",
			wantOutcome: "too_slow",
		},
		"a large body in chunks, sent to the end": {
			options:     Options{MaxBody: 6},
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n4\r\n two\r\n0\r\n\r\n",
			halfClose:   true,
			want:        "HTTP/1.1 413 Request Entity Too Large\r\nConnection: close\r\nContent-Length: 25\r\nContent-Type: text/plain\r\n\r\nno: the body is too large",
			wantOutcome: "too_large",
		},
		"a body of exactly the limit in chunks": {
			options:     Options{MaxBody: 7},
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nKey: good\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n4\r\n two\r\n0\r\n\r\n",
			want:        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\ntaken",
			wantOutcome: "stored",
		},
		"a large body, sent to the end": {
			options:     Options{MaxBody: 6},
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nContent-Length: 7\r\n\r\none two",
			halfClose:   true,
			want:        "HTTP/1.1 413 Request Entity Too Large\r\nConnection: close\r\nContent-Length: 25\r\nContent-Type: text/plain\r\n\r\nno: the body is too large",
			wantOutcome: "too_large",
		},
		"a body that breaks off": {
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nContent-Length: 10\r\n\r\none",
			halfClose:   true,
			want:        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 22\r\nContent-Type: text/plain\r\n\r\nno: the body broke off",
			wantOutcome: "bad_request",
		},
		"a body in chunks that breaks off between two": {
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n",
			halfClose:   true,
			want:        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 42\r\nContent-Type: text/plain\r\n\r\nno: the body broke off",
			wantOutcome: "bad_request",
		},
		"a body in chunks that breaks off behind the last": {
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n",
			halfClose:   true,
			want:        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 42\r\nContent-Type: text/plain\r\n\r\nno: the body broke off",
			wantOutcome: "bad_request",
		},
		"a body in chunks, and another request": {
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n" + next,
			want:        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\ntaken",
			wantOutcome: "stored",
		},
		"headers behind a body in chunks": {
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\none\r\n0\r\nX: y\r\n\r\n",
			want:        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 42\r\nContent-Type: text/plain\r\n\r\nno: headers follow the body",
			wantOutcome: "bad_request",
		},
		"a length twice over": {
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" + next,
			want:        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 42\r\nContent-Type: text/plain\r\n\r\nno: the request is not proper HTTP/1.1",
			wantOutcome: "bad_request",
		},
		"an encoding that is none": {
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n\r\none" + next,
			want:        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 42\r\nContent-Type: text/plain\r\n\r\nno: the request is not proper HTTP/1.1",
			wantOutcome: "bad_request",
		},
		"a header on two lines": {
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nX: y\r\n z\r\nContent-Length: 3\r\n\r\none" + next,
			want:        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 42\r\nContent-Type: text/plain\r\n\r\nno: the request is not proper HTTP/1.1",
			wantOutcome: "bad_request",
		},
		"a header with a space in its name": {
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nX Y: z\r\nContent-Length: 3\r\n\r\none" + next,
			want:        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 42\r\nContent-Type: text/plain\r\n\r\nno: the request is not proper HTTP/1.1",
			wantOutcome: "bad_request",
		},
		"a host that is none": {
			request:     "POST /shop/a HTTP/1.0\r\nHost: a\"b\r\nKey: good\r\nContent-Length: 3\r\n\r\none",
			want:        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 42\r\nContent-Type: text/plain\r\n\r\nno: the request is not proper HTTP/1.1",
			wantOutcome: "bad_request",
		},
		"another version of HTTP": {
			request:     "POST /shop/a HTTP/2.0\r\nHost: x\r\nKey: good\r\nContent-Length: 3\r\n\r\none" + next,
			want:        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 42\r\nContent-Type: text/plain\r\n\r\nno: the request is not proper HTTP/1.1",
			wantOutcome: "bad_request",
		},
		"what it is to expect is unknown": {
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nExpect: miracles\r\nContent-Length: 3\r\n\r\none" + next,
			want:        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 42\r\nContent-Type: text/plain\r\n\r\nno: the request is not proper HTTP/1.1",
			wantOutcome: "bad_request",
		},
		"the end of the connection among other words": {
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nConnection: keep-alive, Close\r\nContent-Length: 3\r\n\r\none" + next,
			want:        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\ntaken",
			wantOutcome: "stored",
		},
		"the end of the connection, taken back": {
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nConnection: close\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\none" + next,
			want:        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\ntaken",
			wantOutcome: "stored",
		},
		"a target without a host": {
			request: "POST http:///shop/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\none",
			want:    "HTTP/1.1 404 Not Found\r\nContent-Length: 24\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + `{"error":"no such path"}`,
		},
		"a target with a user": {
			request: "POST http://u@x/shop/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\none",
			want:    "HTTP/1.1 404 Not Found\r\nContent-Length: 24\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + `{"error":"no such path"}`,
		},
		"a full buffer": {
			queue:       &fakeQueue{err: fmt.Errorf("append: %w", buffer.ErrFull)},
			request:     post("/shop/a", good, "one"),
			want:        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 36\r\nContent-Type: text/plain\r\nRetry-After: 5\r\nConnection: close\r\n\r\nno: cannot store it now, send it again",
			wantOutcome: "cannot_store",
		},
		"an event too large for the buffer": {
			queue:       &fakeQueue{err: fmt.Errorf("append: %w", buffer.ErrTooLarge)},
			request:     post("/shop/a", good, "one"),
			want:        "HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 30\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nno: it is too large to be stored",
			wantOutcome: "too_large",
		},
		"a closed buffer": {
			queue:       &fakeQueue{err: buffer.ErrClosed},
			request:     post("/shop/a", good, "one"),
			want:        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 37\r\nContent-Type: text/plain\r\nRetry-After: 5\r\nConnection: close\r\n\r\nno: the receiver stops, send it again",
			wantOutcome: "shutting_down",
		},
		"no buffer and a target that fails": {
			queue:       &fakeQueue{err: fmt.Errorf("%w: target answered 500", buffer.ErrNotDelivered)},
			request:     post("/shop/a", good, "one"),
			want:        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nContent-Type: text/plain\r\nRetry-After: 5\r\nConnection: close\r\n\r\nno: the target did not take it, send it again",
			wantOutcome: "not_delivered",
		},
		"no buffer and delivery suspended": {
			queue:       &fakeQueue{err: buffer.ErrSuspended},
			request:     post("/shop/a", good, "one"),
			want:        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nContent-Type: text/plain\r\nRetry-After: 5\r\nConnection: close\r\n\r\nno: delivery is suspended, send it again later",
			wantOutcome: "suspended",
		},
		"a buffer that does not answer in time": {
			source: fakeSource{within: 10 * time.Millisecond},
			queue: &fakeQueue{append: func(ctx context.Context, _ []event.Event) (buffer.Appended, error) {
				<-ctx.Done()
				return buffer.Appended{}, ctx.Err()
			}},
			request:     post("/shop/a", good, "one"),
			want:        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 36\r\nContent-Type: text/plain\r\nRetry-After: 5\r\nConnection: close\r\n\r\nno: cannot store it now, send it again",
			wantOutcome: "cannot_store",
		},
		"no room for another callback": {
			options:     Options{MaxBytes: -1},
			request:     post("/shop/a", good, "one"),
			want:        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 46\r\nContent-Type: text/plain\r\nRetry-After: 5\r\nConnection: close\r\n\r\nno: too many callbacks at once, send it again",
			wantOutcome: "overloaded",
		},
		"no room for its body": {
			options:     Options{MaxBytes: 2 * smallBody},
			request:     "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nContent-Length: 8193\r\n\r\n" + strings.Repeat("a", smallBody+1),
			halfClose:   true,
			want:        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 46\r\nContent-Type: text/plain\r\nRetry-After: 5\r\n\r\nno: too many callbacks at once, send it again",
			wantOutcome: "overloaded",
		},
		"a source that panics": {
			source:      fakeSource{verify: func(*source.Request) *source.Refusal { panic("hunter2") }},
			request:     post("/shop/a", good, "one"),
			want:        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 34\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nno: internal error, send it again",
			wantOutcome: "internal",
		},
		"a source that panics when it refuses": {
			source: fakeSource{answer: func(r *source.Refusal) source.Answer {
				if r != nil {
					panic("hunter2")
				}
				return source.Answer{}
			}},
			request:     post("/shop/a", "", "one"),
			want:        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 19\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + `{"error":"refused"}`,
			wantOutcome: "signature_wrong",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			reg := prometheus.NewRegistry()
			var log bytes.Buffer
			tt.options.Metrics, tt.options.Log = NewMetrics(reg), slog.New(slog.NewTextHandler(&log, nil))
			if tt.queue == nil {
				tt.queue = &fakeQueue{}
			}
			h, ts := serve(t, tt.options, &tt.source, tt.queue)
			got := exchange(t, ts, tt.request, tt.halfClose)
			if diff := cmp.Diff(normal(fixLength(tt.want)), got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			ts.close() // waits for the handler to be done
			if tt.wantOutcome != "" {
				if n := testutil.ToFloat64(h.metrics.callbacks.WithLabelValues("shop/a", tt.wantOutcome)); n != 1 {
					t.Errorf("outcome %q was counted %v times, want 1", tt.wantOutcome, n)
				}
			} else if n := testutil.ToFloat64(h.metrics.unrouted); n != 1 {
				t.Errorf("unrouted requests are %v, want 1", n)
			}
			if n, bytes := h.room.callbacks.Load(), h.room.held.Load()+h.room.strangers.Load(); n != 0 || bytes != 0 || h.pace.waiting.Load() != 0 {
				t.Errorf("room for %d callbacks, %d bytes and %d that wait is still taken", n, bytes, h.pace.waiting.Load())
			}
			refused := tt.wantOutcome != "" && !strings.HasPrefix(tt.want, "HTTP/1.1 200")
			if logged := strings.Contains(log.String(), "reason="+tt.wantOutcome+" ") || tt.wantOutcome == "other" && strings.Contains(log.String(), "brand_new"); logged != refused {
				t.Errorf("refusal is logged: %t, want %t:\n%s", logged, refused, log.String())
			}
			if strings.Contains(log.String(), "hunter2") || strings.Contains(log.String(), "good") {
				t.Errorf("the log quotes the callback:\n%s", log.String())
			}
		})
	}
}

// fixLength lets the table say what matters; the length is that of the body.
func fixLength(answer string) string {
	head, body, _ := strings.Cut(answer, "\r\n\r\n")
	if body == "" {
		return answer
	}
	return regexp.MustCompile("Content-Length: [0-9]+").ReplaceAllString(head, fmt.Sprintf("Content-Length: %d", len(body))) + "\r\n\r\n" + body
}

func TestHandler_bodyFailsOtherwise(t *testing.T) {
	h := NewHandler(Options{Log: slog.New(slog.DiscardHandler)})
	h.Update([]Endpoint{{Name: "shop/a", Path: "/shop/a", Source: &fakeSource{}, Queue: &fakeQueue{}}})
	ctx := request("")
	ctx.Request.SetBodyStream(iotest.ErrReader(errors.New("reset")), 10)
	h.ServeHTTP(ctx)
	if status := ctx.Response.StatusCode(); status != http.StatusBadRequest {
		t.Errorf("status is %d, want 400", status)
	}
}
