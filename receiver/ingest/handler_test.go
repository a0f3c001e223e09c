package ingest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

// send posts body to /shop/a with a good key and returns the status.
func send(t *testing.T, h *Handler, body string) int {
	t.Helper()
	ctx := request(body)
	h.ServeHTTP(ctx)
	return ctx.Response.StatusCode()
}

func TestHandler_events(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	q := &fakeQueue{}
	h := NewHandler(Options{Now: func() time.Time { return now }})
	h.Update([]Endpoint{{Name: "shop/a", Path: "/shop/a", Source: &fakeSource{}, Queue: q}})
	if status := send(t, h, "one two"); status != http.StatusOK {
		t.Fatalf("status is %d, want 200", status)
	}
	want := []event.Event{
		{ID: event.NewID("one"), Endpoint: "shop/a", Type: "test", Subject: "one", Tenant: "one", Time: now, Received: now, Body: []byte("one two")},
		{ID: event.NewID("two"), Endpoint: "shop/a", Type: "test", Subject: "two", Tenant: "two", Time: now, Received: now, Body: []byte("one two")},
	}
	if diff := cmp.Diff(want, q.events); diff != "" {
		t.Errorf("stored events (-want +got):\n%s", diff)
	}
}

// The promise at the heart of the receiver: of two equal callbacks at the same instant neither is acknowledged before the event is durable.
func TestHandler_neverAcknowledgesBeforeDurable(t *testing.T) {
	entered, durable := make(chan struct{}, 2), make(chan struct{})
	q := &fakeQueue{append: func(_ context.Context, events []event.Event) (buffer.Appended, error) {
		entered <- struct{}{}
		<-durable
		return buffer.Appended{Stored: len(events)}, nil
	}}
	_, ts := serve(t, Options{}, &fakeSource{}, q)
	answers := make(chan int, 2)
	for range 2 {
		go func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ts.url()+"/shop/a", strings.NewReader("one"))
			if err != nil {
				answers <- 0
				return
			}
			r.Header.Set("Key", "good")
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				answers <- 0
				return
			}
			defer res.Body.Close() //nolint:errcheck // Read-only.
			answers <- res.StatusCode
		}()
	}
	<-entered
	<-entered
	select {
	case status := <-answers:
		t.Fatalf("answered %d before the event was durable", status)
	default:
	}
	close(durable)
	for range 2 {
		if status := <-answers; status != http.StatusOK {
			t.Errorf("status is %d, want 200", status)
		}
	}
}

func TestHandler_storesAlthoughTheClientIsGone(t *testing.T) {
	entered, gone := make(chan struct{}), make(chan struct{})
	q := &fakeQueue{append: func(ctx context.Context, events []event.Event) (buffer.Appended, error) {
		close(entered)
		<-gone
		return buffer.Appended{Stored: len(events)}, ctx.Err()
	}}
	h, ts := serve(t, Options{}, &fakeSource{}, q)
	conn, err := net.Dial("tcp", ts.addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, post("/shop/a", "Key: good\r\n", "one")); err != nil {
		t.Fatal(err)
	}
	<-entered
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	close(gone)
	ts.close()
	if n := testutil.ToFloat64(h.metrics.callbacks.WithLabelValues("shop/a", "stored")); n != 1 {
		t.Errorf("%v callbacks are stored, want 1: the client's end ended the store", n)
	}
}

// An engine that gives up may still be reading what it was given, so that memory must not hold the next callback.
func TestHandler_keepsMemoryThatAnEngineGaveUpOn(t *testing.T) {
	var kept []event.Event
	q := &fakeQueue{append: func(_ context.Context, events []event.Event) (buffer.Appended, error) {
		if kept == nil {
			kept = events
			return buffer.Appended{}, context.DeadlineExceeded
		}
		return buffer.Appended{Stored: len(events)}, nil
	}}
	h := NewHandler(Options{Log: slog.New(slog.DiscardHandler)})
	h.Update([]Endpoint{{Name: "shop/a", Path: "/shop/a", Source: &fakeSource{}, Queue: q}})
	send(t, h, "first")
	for range 100 {
		send(t, h, "other")
	}
	if kept[0].Subject != "first" || string(kept[0].Body) != "first" {
		t.Errorf("the event that was given up on is now %q with body %q", kept[0].Subject, kept[0].Body)
	}
}

func TestHandler_Drain(t *testing.T) {
	h, ts := serve(t, Options{}, &fakeSource{}, &fakeQueue{})
	const request = "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nContent-Length: 3\r\n\r\none"
	h.Drain()
	// exchange returns only when the server closes the connection, which it does although the client wants to keep it.
	want := "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\ntaken"
	if diff := cmp.Diff(want, exchange(t, ts, request, false)); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if got := exchange(t, ts, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", false); !strings.Contains(got, "\r\nConnection: close\r\n") {
		t.Errorf("a request for no endpoint keeps its connection:\n%s", got)
	}
}

func TestTimeToStore(t *testing.T) {
	const ms = time.Millisecond
	tests := map[string]struct{ within, elapsed, want time.Duration }{
		"the whole body at once":          {500 * ms, 0, 400 * ms},
		"a body that took a while":        {500 * ms, 100 * ms, 300 * ms},
		"a body that took nearly all":     {2000 * ms, 1500 * ms, 400 * ms},
		"a body that took more than that": {2000 * ms, 4000 * ms, 400 * ms},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := timeToStore(tt.within, tt.elapsed); got != tt.want {
				t.Errorf("timeToStore: %s, want %s", got, tt.want)
			}
		})
	}
}

func TestHandler_logsRefusalsSparingly(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var log bytes.Buffer
	h := NewHandler(Options{
		Now: func() time.Time { return now },
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})),
	})
	h.Update([]Endpoint{{Name: "shop/a", Path: "/shop/a", Source: &fakeSource{}, Queue: &fakeQueue{}}})
	refused := func() {
		ctx := request("one")
		ctx.Request.SetRequestURI("/shop/a?Sign=hunter2")
		ctx.Request.Header.Del("Key")
		ctx.Request.Header.Set("Authorization", "hunter2")
		h.ServeHTTP(ctx)
	}
	for range 10 {
		refused()
	}
	now = now.Add(logEvery)
	refused()
	line := `level=WARN msg="Callback refused" endpoint=shop/a reason=signature_wrong status=401 detail="the key is wrong" remote=192.0.2.1 suppressed=`
	want := strings.Repeat(line+"0\n", logBurst) + line + "7\n"
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestMetrics(t *testing.T) {
	now := time.Unix(1772366400, 0)
	reg := prometheus.NewRegistry()
	src := &fakeSource{within: 500 * time.Millisecond, proof: source.Proof{Key: 1, Dated: true, Skew: -3 * time.Second}}
	slow := false
	q := &fakeQueue{append: func(context.Context, []event.Event) (buffer.Appended, error) {
		if slow {
			now = now.Add(501 * time.Millisecond)
		}
		return buffer.Appended{Stored: 1}, nil
	}}
	h := NewHandler(Options{Metrics: NewMetrics(reg), Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)})
	a := Endpoint{Name: "shop/a", Path: "/shop/a", Source: src, Queue: q, Keys: 2, Revision: 1}
	h.Update([]Endpoint{a, {Name: "shop/b", Path: "/shop/b", Source: src, Queue: q}})
	send(t, h, "one")
	slow = true
	send(t, h, "two")

	expect := func(want string, names ...string) {
		t.Helper()
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
			t.Error(err)
		}
	}
	expect(`
# HELP hookbay_answers_late_total Answers to verified callbacks that were given after the platform's time limit.
# TYPE hookbay_answers_late_total counter
hookbay_answers_late_total{endpoint="shop/a"} 1
hookbay_answers_late_total{endpoint="shop/b"} 0
# HELP hookbay_answer_limit_seconds The platform's time limit: a later answer counts as a failure.
# TYPE hookbay_answer_limit_seconds gauge
hookbay_answer_limit_seconds{endpoint="shop/a"} 0.5
hookbay_answer_limit_seconds{endpoint="shop/b"} 0.5
# HELP hookbay_clock_skew_seconds How far the platform's clock was ahead (+) of ours or behind (-) in the last callback that told its time.
# TYPE hookbay_clock_skew_seconds gauge
hookbay_clock_skew_seconds{endpoint="shop/a"} -3
hookbay_clock_skew_seconds{endpoint="shop/b"} 0
# HELP hookbay_credential_last_used_timestamp_seconds When a credential, by its position in the list, last verified a callback; 0: not since it was loaded.
# TYPE hookbay_credential_last_used_timestamp_seconds gauge
hookbay_credential_last_used_timestamp_seconds{endpoint="shop/a",key="0"} 0
hookbay_credential_last_used_timestamp_seconds{endpoint="shop/a",key="1"} 1.7723664e+09
`, "hookbay_answers_late_total", "hookbay_answer_limit_seconds", "hookbay_clock_skew_seconds", "hookbay_credential_last_used_timestamp_seconds")

	// The position of a credential means another one after a rotation, and an endpoint that is gone has no series.
	a.Keys, a.Revision = 1, 2
	h.Update([]Endpoint{a})
	expect(`
# HELP hookbay_credential_last_used_timestamp_seconds When a credential, by its position in the list, last verified a callback; 0: not since it was loaded.
# TYPE hookbay_credential_last_used_timestamp_seconds gauge
hookbay_credential_last_used_timestamp_seconds{endpoint="shop/a",key="0"} 0
# HELP hookbay_clock_skew_seconds How far the platform's clock was ahead (+) of ours or behind (-) in the last callback that told its time.
# TYPE hookbay_clock_skew_seconds gauge
hookbay_clock_skew_seconds{endpoint="shop/a"} -3
`, "hookbay_credential_last_used_timestamp_seconds", "hookbay_clock_skew_seconds")

	src.proof = source.Proof{Key: -1}
	send(t, h, "three")
	if got := testutil.ToFloat64(h.metrics.lastUsed.WithLabelValues("shop/a", "unsigned")); got == 0 {
		t.Error("an unsigned callback left no trace")
	}
	h.Update(nil)
	if got := testutil.CollectAndCount(h.metrics.callbacks) + testutil.CollectAndCount(h.metrics.answers) + testutil.CollectAndCount(h.metrics.lastUsed); got != 0 {
		t.Errorf("%d series of endpoints that are gone remain", got)
	}
}

// A change of the table under load must answer every callback by the old table or by the new one, and lose none.
func TestHandler_UpdateUnderLoad(t *testing.T) {
	q := &fakeQueue{}
	h, ts := serve(t, Options{}, &fakeSource{}, q)
	stop := make(chan struct{})
	var updates sync.WaitGroup
	updates.Go(func() {
		for revision := int64(1); ; revision++ {
			select {
			case <-stop:
				return
			default:
				h.Update([]Endpoint{{Name: "shop/a", Path: "/shop/a", Source: &fakeSource{}, Queue: q, Keys: 2, Revision: revision}})
			}
		}
	})
	const senders, each = 8, 50
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for n := range each {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ts.url()+"/shop/a", strings.NewReader(string(rune('A'+s))+strings.Repeat("x", n)))
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Key", "good")
				res, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.StatusCode != http.StatusOK {
					t.Errorf("status is %d, want 200", res.StatusCode)
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	updates.Wait()
	if len(q.events) != senders*each {
		t.Errorf("%d events are stored, want %d", len(q.events), senders*each)
	}
}
