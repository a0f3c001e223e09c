package ingest

import (
	"bytes"
	"context"
	"testing"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

// BenchmarkHandler measures what the receiver itself adds to a source and a buffer.
func BenchmarkHandler(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 600)
	src := &fakeSource{verify: func(*source.Request) *source.Refusal { return nil }}
	q := &fakeQueue{append: func(_ context.Context, events []event.Event) (buffer.Appended, error) {
		return buffer.Appended{Stored: len(events)}, nil
	}}
	h := NewHandler(Options{})
	h.Update([]Endpoint{{Name: "shop/a", Path: "/shop/a", Source: fixedSource{src}, Queue: q, Keys: 2}})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		in := &bytes.Reader{}
		ctx := request("")
		ctx.Request.SetRequestURI("/shop/a?Sign=x")
		for pb.Next() {
			in.Reset(body)
			ctx.Request.SetBodyStream(in, len(body))
			h.ServeHTTP(ctx)
		}
	})
}

// fixedSource makes one event without looking at the body.
type fixedSource struct{ *fakeSource }

func (fixedSource) Identify(dst []event.Event, r *source.Request) ([]event.Event, *source.Refusal) {
	return append(dst, event.Event{Type: "test", Body: r.Body}), nil
}
