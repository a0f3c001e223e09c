package ingest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

// fakeSource takes callbacks whose header Key is "good". The body's words are the ids of its events.
type fakeSource struct {
	within   time.Duration
	proof    source.Proof
	head     func(*source.Request) *source.Refusal
	verify   func(*source.Request) *source.Refusal
	identify func() *source.Refusal
	answer   func(*source.Refusal) source.Answer
}

func (s *fakeSource) VerifyHead(r *source.Request) (source.Proof, *source.Refusal) {
	if s.head != nil {
		return s.proof, s.head(r)
	}
	return s.proof, nil
}

func (s *fakeSource) VerifyBody(r *source.Request, _ source.Proof) (source.Proof, *source.Refusal) {
	if s.verify != nil {
		return s.proof, s.verify(r)
	}
	if r.Header.Get("Key") != "good" {
		return source.Proof{}, &source.Refusal{Reason: source.ReasonSignatureWrong, Status: http.StatusUnauthorized, Detail: "the key is wrong"}
	}
	return s.proof, nil
}

func (s *fakeSource) Identify(dst []event.Event, r *source.Request) ([]event.Event, *source.Refusal) {
	if s.identify != nil {
		return dst, s.identify()
	}
	for word := range strings.FieldsSeq(string(r.Body)) {
		dst = append(dst, event.Event{ID: event.NewID(word), Type: "test", Subject: word, Tenant: word, Body: r.Body})
	}
	return dst, nil
}

func (s *fakeSource) Answer(refusal *source.Refusal) source.Answer {
	if s.answer != nil {
		return s.answer(refusal)
	}
	if refusal == nil {
		return source.Answer{ContentType: "text/plain", Body: []byte("taken")}
	}
	return source.Answer{ContentType: "text/plain", Body: []byte("no: " + refusal.Detail)}
}

func (s *fakeSource) AnswerWithin() time.Duration {
	if s.within == 0 {
		return time.Minute
	}
	return s.within
}

// fakeQueue remembers what it was given.
type fakeQueue struct {
	err    error
	append func(context.Context, []event.Event) (buffer.Appended, error)

	mu     sync.Mutex
	events []event.Event
	seen   map[event.ID]bool
}

func (q *fakeQueue) Append(ctx context.Context, events []event.Event) (buffer.Appended, error) {
	if q.append != nil {
		return q.append(ctx, events)
	}
	if q.err != nil {
		return buffer.Appended{}, q.err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.seen == nil {
		q.seen = make(map[event.ID]bool)
	}
	var done buffer.Appended
	for _, e := range events {
		if q.seen[e.ID] {
			done.Duplicates++
			continue
		}
		q.seen[e.ID] = true
		e.Body = append([]byte(nil), e.Body...)
		q.events = append(q.events, e)
		done.Stored++
	}
	return done, nil
}

// serve starts a server with one endpoint at /shop/a on any host.
func serve(t *testing.T, o Options, src source.Source, q Queue) (*Handler, *testServer) {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := NewHandler(o)
	h.Update([]Endpoint{{Name: "shop/a", Path: "/shop/a", Source: src, Queue: q, Keys: 2}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ts := &testServer{t: t, Server: NewServer(h, o.Log), addr: l.Addr().String(), ended: make(chan error, 1)}
	go func() { ts.ended <- ts.Serve(l) }()
	t.Cleanup(ts.close)
	return h, ts
}

// testServer is a server that runs.
type testServer struct {
	*Server
	t     *testing.T
	addr  string
	ended chan error // what Serve returned
	once  sync.Once
}

// close waits for the requests under way.
func (ts *testServer) close() {
	ts.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := ts.Shutdown(ctx); err != nil {
			ts.t.Errorf("Shutdown: %v", err)
		}
		if err := <-ts.ended; !errors.Is(err, http.ErrServerClosed) {
			ts.t.Errorf("Serve: %v", err)
		}
	})
}

func (ts *testServer) url() string { return "http://" + ts.addr }

// request is a POST to /shop/a with a good key, as the server hands it to the handler.
func request(body string) *fasthttp.RequestCtx {
	var r fasthttp.Request
	r.Header.SetMethod(http.MethodPost)
	r.SetRequestURI("/shop/a")
	r.Header.SetHost("x")
	r.Header.Set("Key", "good")
	ctx := &fasthttp.RequestCtx{}
	ctx.Init(&r, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1234}, nil)
	ctx.Request.SetBodyStream(strings.NewReader(body), len(body))
	return ctx
}
