package ingest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

// While nothing leaves the store, the surplus is refused before anything is verified, and endpoints that don't use the store go on. As soon as
// the store has done its work everything is as before.
func TestHandler_overload(t *testing.T) {
	var ahead atomic.Int64
	start := time.Unix(1772366400, 0)
	var verified atomic.Int64
	src := &fakeSource{within: time.Second, verify: func(*source.Request) *source.Refusal {
		verified.Add(1)
		return nil
	}}
	release := make(chan struct{})
	q := &fakeQueue{append: func(_ context.Context, events []event.Event) (buffer.Appended, error) {
		<-release
		return buffer.Appended{Stored: len(events)}, nil
	}}
	h := NewHandler(Options{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return start.Add(time.Duration(ahead.Load())) }})
	h.Update([]Endpoint{
		{Name: "shop/a", Path: "/shop/a", Source: src, Queue: q},
		{Name: "shop/b", Path: "/shop/b", Source: src, Queue: &fakeQueue{}, Unbuffered: true},
	})
	post := func(path string) (status int, retry, body string) {
		ctx := request("one")
		ctx.Request.SetRequestURI(path)
		h.ServeHTTP(ctx)
		return ctx.Response.StatusCode(), string(ctx.Response.Header.Peek("Retry-After")), string(ctx.Response.Body())
	}
	var stored sync.WaitGroup
	for range alwaysStored {
		stored.Go(func() {
			if status, _, body := post("/shop/a"); status != http.StatusOK {
				t.Errorf("a callback that came before the overload: %d %s", status, body)
			}
		})
	}
	for deadline := time.Now().Add(time.Minute); h.pace.waiting.Load() < alwaysStored || verified.Load() < alwaysStored; {
		if time.Now().After(deadline) {
			t.Fatal("the callbacks do not wait for the store")
		}
		<-time.After(time.Millisecond)
	}
	ahead.Store(int64(time.Second))
	status, retry, body := post("/shop/a")
	if status != http.StatusServiceUnavailable || retry != "5" || body != "no: too many callbacks at once, send it again" {
		t.Errorf("the surplus is told %d, Retry-After %q, %q", status, retry, body)
	}
	if verified.Load() != alwaysStored {
		t.Error("the surplus was verified before it was refused")
	}
	if n := testutil.ToFloat64(h.metrics.callbacks.WithLabelValues("shop/a", "overloaded")); n != 1 {
		t.Errorf("%v are counted as overloaded, want 1", n)
	}
	if status, _, body := post("/shop/b"); status != http.StatusOK {
		t.Errorf("an endpoint without a buffer: %d %s", status, body)
	}
	close(release)
	stored.Wait()
	if status, _, body := post("/shop/a"); status != http.StatusOK {
		t.Errorf("after the overload: %d %s", status, body)
	}
	if n := h.pace.waiting.Load(); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

// What query and headers prove is refused without waiting for the body.
func TestServer_refusesBeforeTheBody(t *testing.T) {
	src := &fakeSource{head: func(r *source.Request) *source.Refusal {
		if r.Query != "Sign=good" || r.Value("Key") != "good" {
			return &source.Refusal{Reason: source.ReasonSignatureMissing, Status: http.StatusUnauthorized, Detail: "no sign"}
		}
		return nil
	}}
	for name, length := range map[string]string{"a known length": "Content-Length: 1000000", "chunks": "Transfer-Encoding: chunked"} {
		t.Run(name, func(t *testing.T) {
			_, ts := serve(t, Options{}, src, &fakeQueue{})
			c := connect(t, ts.addr)
			if _, err := fmt.Fprintf(c, "POST /shop/a?Sign=bad HTTP/1.1\r\nHost: x\r\nKey: good\r\n%s\r\n\r\n5\r\nbegin", length); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(c)
			if err != nil {
				t.Fatal(err)
			}
			if text := string(answer); !strings.HasPrefix(text, "HTTP/1.1 401 ") || !strings.Contains(text, "\r\nConnection: close\r\n") {
				t.Errorf("answer:\n%s", text)
			}
		})
	}
	_, ts := serve(t, Options{}, src, &fakeQueue{})
	c := connect(t, ts.addr)
	for _, query := range []string{"bad", "good"} { // on one connection
		if _, err := fmt.Fprintf(c, "POST /shop/a?Sign=%s HTTP/1.1\r\nHost: x\r\nKey: good\r\nContent-Length: 3\r\n\r\none", query); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(c.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if want := map[string]int{"bad": 401, "good": 200}[query]; res.StatusCode != want {
			t.Errorf("a %s sign: %d, want %d", query, res.StatusCode, want)
		}
	}
}

// Strangers with large bodies leave room for usual ones and for those that have proven themselves.
func TestRoom(t *testing.T) {
	r := room{most: 64 * smallBody}
	var inside []*callback
	enter := func(n int, stranger bool) int {
		for i := range n {
			c := &callback{buf: make([]byte, 0, smallBody), stranger: stranger}
			if !r.enter(c) {
				return i
			}
			inside = append(inside, c)
		}
		return n
	}
	widen := func(c *callback) int {
		for n := 0; ; n++ {
			if !r.widen(c, smallBody) {
				return n
			}
			c.buf = make([]byte, 0, cap(c.buf)+smallBody)
		}
	}
	if got := enter(1, true); got != 1 {
		t.Fatal("there is no room for one")
	}
	if got := widen(inside[0]); got != 31 {
		t.Errorf("a stranger got %d times more room, want 31: half of all", got)
	}
	if got := enter(100, true); got != 16 {
		t.Errorf("%d more strangers got in, want 16: up to three quarters", got)
	}
	if got := enter(8, false); got != 8 {
		t.Errorf("%d of 8 that are known got in", got)
	}
	if got := widen(inside[len(inside)-1]); got != 8 {
		t.Errorf("one that is known got %d times more room, want 8: all there is", got)
	}
	if enter(1, true) != 0 || enter(1, false) != 0 {
		t.Error("there is more room than there is")
	}
	for _, c := range inside {
		r.leave(c)
	}
	if r.held.Load() != 0 || r.strangers.Load() != 0 || r.callbacks.Load() != 0 {
		t.Errorf("%d bytes, %d of strangers, and %d callbacks are still there", r.held.Load(), r.strangers.Load(), r.callbacks.Load())
	}
}

// Requests that are sent without waiting for answers are all answered, in order.
func TestServer_pipelining(t *testing.T) {
	_, ts := serve(t, Options{}, &fakeSource{}, &fakeQueue{})
	c := connect(t, ts.addr)
	const many = 300
	go func() {
		for n := range many {
			key := []string{"good", "bad"}[n%2]
			_, _ = fmt.Fprintf(c, "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: %s\r\nContent-Length: 5\r\n\r\nn%04d", key, n)
		}
	}()
	in := bufio.NewReader(c)
	for n := range many {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", n, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if want := []int{200, 401}[n%2]; res.StatusCode != want {
			t.Fatalf("answer %d is %d, want %d", n, res.StatusCode, want)
		}
	}
}
