package delivery

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/event"
)

// endlessQueue hands out one event again and again, n times, and costs next to nothing.
type endlessQueue struct {
	buffer.Queue
	event event.Event
	left  atomic.Int64
	done  chan struct{}
	open  atomic.Int64
}

func (q *endlessQueue) Next(ctx context.Context) (*buffer.Delivery, error) {
	if q.left.Add(-1) < 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &buffer.Delivery{Event: q.event, Attempt: 1}, nil
}

func (q *endlessQueue) Settle(context.Context, *buffer.Delivery, buffer.Outcome) error {
	if q.open.Add(-1) == 0 {
		close(q.done)
	}
	return nil
}

func (q *endlessQueue) Release(*buffer.Delivery) {}

func benchmarkDispatcher(b *testing.B, tg target.Target) {
	e := sampleEvent("a", 1)
	e.Body = make([]byte, 1024)
	q := &endlessQueue{event: e, done: make(chan struct{})}
	q.left.Store(int64(b.N))
	q.open.Store(int64(b.N))
	ctx, cancel := context.WithCancel(b.Context())
	stopped := make(chan struct{})
	d := New(Options{Endpoint: "shop/im", Queue: q, Target: tg})
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		defer close(stopped)
		d.Run(ctx)
	}()
	<-q.done
	b.StopTimer()
	cancel()
	<-stopped
}

// BenchmarkDispatcher is what delivering costs beside the buffer and the target.
func BenchmarkDispatcher(b *testing.B) { benchmarkDispatcher(b, answering(accepted)) }

// BenchmarkDispatcher_http is the same with a target, in this process as well.
func BenchmarkDispatcher_http(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer s.Close()
	h, err := target.NewHTTP(config.Target{Type: config.TargetHTTP, URL: s.URL}, nil, target.HTTPOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	benchmarkDispatcher(b, h)
}
