package ingest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

// discard is a ResponseWriter that costs nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

// reader is a body that can be read again and again. It says io.EOF with the last bytes, as the server's do.
type reader struct{ bytes.Reader }

func (r *reader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if r.Len() == 0 {
		err = io.EOF
	}
	return n, err
}

func (r *reader) Close() error { return nil }

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
		in := &reader{}
		r := httptest.NewRequest(http.MethodPost, "/shop/a?Sign=x", http.NoBody)
		r.Body, r.ContentLength = in, int64(len(body))
		w := &discard{header: make(http.Header)}
		for pb.Next() {
			in.Reset(body)
			h.ServeHTTP(w, r)
		}
	})
}

// fixedSource makes one event without looking at the body.
type fixedSource struct{ *fakeSource }

func (fixedSource) Identify(dst []event.Event, r *source.Request) ([]event.Event, *source.Refusal) {
	return append(dst, event.Event{Type: "test", Body: r.Body}), nil
}
