package ingest

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

// fakeSource takes callbacks whose header Key is "good". The body's words are the ids of its events.
type fakeSource struct {
	within   time.Duration
	proof    source.Proof
	verify   func(*source.Request) *source.Refusal
	identify func() *source.Refusal
	answer   func(*source.Refusal) source.Answer
}

func (s *fakeSource) VerifyHead(*source.Request) (source.Proof, *source.Refusal) {
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
func serve(t *testing.T, o Options, src source.Source, q Queue) (*Handler, *httptest.Server) {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := NewHandler(o)
	h.Update([]Endpoint{{Name: "shop/a", Path: "/shop/a", Source: src, Queue: q, Keys: 2}})
	ts := httptest.NewUnstartedServer(nil)
	ts.Config = NewServer(h, o.Log)
	ts.Listener = h.Listener(ts.Listener)
	ts.Start()
	t.Cleanup(ts.Close)
	return h, ts
}
