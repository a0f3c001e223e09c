package target

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
)

var sampleTime = time.Date(2026, 3, 4, 5, 6, 7, 890_000_000, time.FixedZone("", 8*3600))

func sampleEvent() *event.Event {
	return &event.Event{
		ID: event.NewID("im", "1"), Endpoint: "shop/lazada-im", Type: "com.lazada.push.2", Source: "//open.lazada.com/apps/100132",
		Subject: "session-1", ContentType: event.ContentTypeJSON, Time: sampleTime, Received: sampleTime.Add(time.Second),
		Extensions: []event.Extension{{Name: "sellerid", Value: "20240305"}, {Name: "site", Value: "lazada_vn"}},
		Body:       []byte(`{"message_type":2, "seller_id":20240305}`),
	}
}

// newTarget returns a target for a URL; change may alter what it is made from.
func newTarget(t testing.TB, url string, change func(c *config.Target, s config.Secrets, o *HTTPOptions)) *HTTP {
	t.Helper()
	c := config.Target{Type: config.TargetHTTP, URL: url}
	s := config.Secrets{}
	o := HTTPOptions{Receiver: "lazada-im-0"}
	if change != nil {
		change(&c, s, &o)
	}
	h, err := NewHTTP(c, s, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// serve starts a server that answers with handler.
func serve(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

// flush sends the header, and makes what follows a chunked body.
func flush(t *testing.T, w http.ResponseWriter) {
	t.Helper()
	if err := http.NewResponseController(w).Flush(); err != nil {
		t.Error(err)
	}
}

// way is one of the ways to a target.
type way struct{ large, tls bool }

// ways differ in who sends: the receiver itself, or net/http because there is much to send, or because it is encrypted.
func ways() map[string]way {
	return map[string]way{"plain": {}, "a large event": {large: true}, "TLS": {tls: true}}
}

// target starts a server and returns a target for it.
func (w way) target(t *testing.T, s *httptest.Server, change func(c *config.Target)) *HTTP {
	t.Helper()
	if w.tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return newTarget(t, s.URL, func(c *config.Target, secrets config.Secrets, _ *HTTPOptions) {
		if w.tls {
			c.CABundleFile, secrets["ca"] = "ca", bundleOf(s)
		}
		if change != nil {
			change(c)
		}
	})
}

func (w way) event() *event.Event {
	e := sampleEvent()
	if w.large {
		large(e)
	}
	return e
}

func TestHTTP_request(t *testing.T) {
	var got *http.Request
	var gotBody []byte
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		got = r
		gotBody, _ = io.ReadAll(r.Body)
	})
	h := newTarget(t, s.URL+"/events?shop=1", nil)
	e := sampleEvent()
	if r := h.Send(t.Context(), e, 3); r != (Result{Class: Delivered, Outcome: "2xx", Detail: "target answered 200 OK"}) {
		t.Errorf("got %+v", r)
	}
	if got.Method != http.MethodPost || got.RequestURI != "/events?shop=1" || string(gotBody) != string(e.Body) || got.ContentLength != int64(len(e.Body)) {
		t.Errorf("got %s %s with %d bytes %q", got.Method, got.RequestURI, got.ContentLength, gotBody)
	}
	want := http.Header{
		"Ce-Specversion":     {"1.0"},
		"Ce-Id":              {e.ID.String()},
		"Ce-Type":            {"com.lazada.push.2"},
		"Ce-Source":          {"//open.lazada.com/apps/100132"},
		"Ce-Subject":         {"session-1"},
		"Ce-Partitionkey":    {"session-1"},
		"Ce-Time":            {"2026-03-03T21:06:07.890000000Z"},
		"Ce-Hookbayendpoint": {"shop/lazada-im"},
		"Ce-Sellerid":        {"20240305"},
		"Ce-Site":            {"lazada_vn"},
		"Content-Type":       {"application/json"},
		"Content-Length":     {"40"},
		"Hookbay-Attempt":    {"3"},
		"Hookbay-Receiver":   {"lazada-im-0"},
		"User-Agent":         {"Hookbay"},
	}
	if diff := cmp.Diff(want, got.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
}

func TestHTTP_bodyIsByteExact(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	tests := map[string]string{
		"JSON with odd spaces": "{ \"a\" :1.0,\r\n\"b\":\"\\u00e9é\" }\n",
		"every byte":           string(all),
		"not UTF-8":            "\xff\xfe{",
		"empty":                "",
		"one MiB":              strings.Repeat("0123456789abcdef", 1<<16),
	}
	bodies := make(chan string, 1)
	lengths := make(chan []string, 1)
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		bodies <- string(b)
		lengths <- r.TransferEncoding
	})
	h := newTarget(t, s.URL, nil)
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			e := sampleEvent()
			e.Body = []byte(body)
			e.ContentType = event.ContentTypeBytes
			if r := h.Send(t.Context(), e, 1); r.Class != Delivered {
				t.Fatalf("got %+v", r)
			}
			if got := <-bodies; got != body {
				t.Errorf("body of %d bytes came as %d other ones", len(body), len(got))
			}
			if got := <-lengths; got != nil {
				t.Errorf("transfer encoding %v, want a Content-Length", got)
			}
		})
	}
}

// The CloudEvents SDK is an independent reader, but does not decode percent signs: that is checked by hand.
func TestHTTP_cloudEventsSDKReadsIt(t *testing.T) {
	type read struct {
		ID, Type, Source, Subject, ContentType string
		Time                                   time.Time
		Extensions                             map[string]any
		Data                                   string
	}
	var got read
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		e, err := cehttp.NewEventFromHTTPRequest(r)
		if err != nil {
			t.Errorf("the SDK cannot read it: %v", err)
			return
		}
		if err := e.Validate(); err != nil {
			t.Errorf("the SDK finds it invalid: %v", err)
		}
		got = read{e.ID(), e.Type(), e.Source(), e.Subject(), e.DataContentType(), e.Time(), e.Extensions(), string(e.Data())}
	})
	h := newTarget(t, s.URL, nil)
	id := event.NewID("im", "1").String()
	tests := map[string]struct {
		change func(e *event.Event)
		want   read
	}{
		"plain": {
			change: func(*event.Event) {},
			want: read{
				id, "com.lazada.push.2", "//open.lazada.com/apps/100132", "session-1", "application/json", sampleTime.UTC(),
				map[string]any{"partitionkey": "session-1", "hookbayendpoint": "shop/lazada-im", "sellerid": "20240305", "site": "lazada_vn"},
				`{"message_type":2, "seller_id":20240305}`,
			},
		},
		"Chinese accounts, no extensions, bytes": {
			change: func(e *event.Event) {
				e.Subject, e.Extensions, e.ContentType, e.Body = "用户 1:卖家", nil, event.ContentTypeBytes, []byte("\xff\x00")
			},
			want: read{
				id, "com.lazada.push.2", "//open.lazada.com/apps/100132", "%E7%94%A8%E6%88%B7%201:%E5%8D%96%E5%AE%B6",
				"application/octet-stream", sampleTime.UTC(),
				map[string]any{"partitionkey": "%E7%94%A8%E6%88%B7%201:%E5%8D%96%E5%AE%B6", "hookbayendpoint": "shop/lazada-im"},
				"\xff\x00",
			},
		},
		"no subject, an empty extension": {
			change: func(e *event.Event) {
				e.Subject, e.Extensions = "", []event.Extension{{Name: "site"}}
			},
			want: read{
				id, "com.lazada.push.2", "//open.lazada.com/apps/100132", "", "application/json", sampleTime.UTC(),
				map[string]any{"hookbayendpoint": "shop/lazada-im"}, `{"message_type":2, "seller_id":20240305}`,
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e := sampleEvent()
			tc.change(e)
			if r := h.Send(t.Context(), e, 1); r.Class != Delivered {
				t.Fatalf("got %+v", r)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHTTP_statuses(t *testing.T) {
	for name, over := range ways() {
		t.Run(name, func(t *testing.T) { testStatuses(t, over) })
	}
}

func testStatuses(t *testing.T, over way) {
	t.Helper()
	delivered := []int{200, 201, 202, 204, 206, 299}
	retried := []int{404, 408, 409, 425, 429, 500, 501, 502, 503, 504, 599}
	rejected := []int{300, 301, 302, 303, 304, 307, 308, 399, 400, 401, 403, 405, 406, 410, 413, 415, 418, 422, 451, 499, 600, 999}
	status := 0
	h := over.target(t, httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Errorf("the redirect was followed to %s", r.URL)
		}
		w.Header().Set("Location", "/elsewhere?token=hidden")
		w.WriteHeader(status)
	})), nil)
	words := []string{2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx", 6: "odd_status", 9: "odd_status"}
	for class, codes := range map[Class][]int{Delivered: delivered, Retryable: retried, Rejected: rejected} {
		for _, status = range codes {
			r := h.Send(t.Context(), over.event(), 1)
			want := words[status/100]
			if status == http.StatusTooManyRequests {
				want = "throttled"
			}
			if r.Class != class || r.Outcome != want {
				t.Errorf("%d: got class %d, outcome %s; want class %d, outcome %s", status, r.Class, r.Outcome, class, want)
			}
			if !slices.Contains(Outcomes(), r.Outcome) {
				t.Errorf("%d: outcome %q is not in the list", status, r.Outcome)
			}
			if strings.Contains(r.Detail, "hidden") {
				t.Errorf("%d: the detail %q quotes the answer", status, r.Detail)
			}
		}
	}
	for code, want := range map[int]string{
		302: "target answered 302 Found: redirects are not followed, give the final address as the target",
		308: "target answered 308 Permanent Redirect: redirects are not followed, give the final address as the target",
		304: "target answered 304 Not Modified",
		400: "target answered 400 Bad Request",
		403: "target answered 403 Forbidden: look at the credentials in the target's bearerTokenRef and headers",
		404: "target answered 404 Not Found: look at the path in the target",
		405: "target answered 405 Method Not Allowed: nothing takes a POST there, look at the path in the target",
		410: "target answered 410 Gone: look at the path in the target",
	} {
		status = code
		if got := h.Send(t.Context(), over.event(), 1).Detail; got != want {
			t.Errorf("%d: got %q, want %q", code, got, want)
		}
	}
}

// Consumers sort by ce-time as text.
func TestEventHeader_timesSortAsText(t *testing.T) {
	second := time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("ICT", 7*3600))
	var got []string
	for _, after := range []time.Duration{0, time.Nanosecond, 9 * time.Millisecond, 10 * time.Millisecond, 130 * time.Millisecond, time.Second} {
		e := sampleEvent()
		e.Time = second.Add(after)
		got = append(got, header(nil, appendEvent(nil, e, 1)).Get("Ce-Time"))
	}
	if !slices.IsSorted(got) {
		t.Errorf("the order of the texts is not that of the times: %q", got)
	}
	if want := "2026-03-03T22:06:07.000000000Z"; got[0] != want {
		t.Errorf("got %q, want %q", got[0], want)
	}
}

func TestHTTP_retryAfter(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	tests := map[string]struct {
		status int
		value  string
		want   time.Duration
	}{
		"none":                         {429, "", 0},
		"seconds":                      {429, "120", 2 * time.Minute},
		"seconds with a 503":           {503, "7", 7 * time.Second},
		"a date":                       {503, "Wed, 04 Mar 2026 05:07:07 GMT", time.Minute},
		"a date that is past":          {503, "Wed, 04 Mar 2026 05:00:00 GMT", 0},
		"a date far away":              {503, "Wed, 04 Mar 2099 05:00:00 GMT", 24 * time.Hour},
		"seconds beyond any duration":  {503, "9223372036854775807", 24 * time.Hour},
		"negative":                     {503, "-1", 0},
		"nonsense":                     {503, "soon", 0},
		"with an answer that is final": {400, "120", 0},
		"with success":                 {200, "120", 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if tc.value != "" {
					w.Header().Set("Retry-After", tc.value)
				}
				w.WriteHeader(tc.status)
			})
			h := newTarget(t, s.URL, func(_ *config.Target, _ config.Secrets, o *HTTPOptions) { o.Now = func() time.Time { return now } })
			if got := h.Send(t.Context(), sampleEvent(), 1).RetryAfter; got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestHTTP_keepsConnections(t *testing.T) {
	tests := map[string]struct {
		answer   http.HandlerFunc
		wantConn int64 // for five events
	}{
		"no body":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, 1},
		"a small body": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ok":true}`) }, 1},
		"a chunked body at the limit": {func(w http.ResponseWriter, _ *http.Request) {
			flush(t, w)
			_, _ = w.Write(make([]byte, maxAnswer))
		}, 1},
		"an error with a body": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "busy", http.StatusServiceUnavailable) }, 1},
		"a body too long to read": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1048576")
			_, _ = w.Write(make([]byte, 1<<20))
		}, 5},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for way, over := range ways() {
				var conns atomic.Int64
				s := httptest.NewUnstartedServer(tc.answer)
				s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
					if state == http.StateNew {
						conns.Add(1)
					}
				}
				h := over.target(t, s, nil)
				for range 5 {
					if r := h.Send(t.Context(), over.event(), 1); r.Outcome != "2xx" && r.Outcome != "5xx" {
						t.Fatalf("%s: got %+v", way, r)
					}
				}
				if got := conns.Load(); got != tc.wantConn {
					t.Errorf("%s: got %d connections for 5 deliveries, want %d", way, got, tc.wantConn)
				}
			}
		})
	}
}

// A body that never ends, at full speed or trickling, is given up; the status counts.
func TestHTTP_endlessBody(t *testing.T) {
	tests := map[string]func(w io.Writer, done <-chan struct{}){
		"at full speed": func(w io.Writer, _ <-chan struct{}) {
			for {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		},
		"stalled": func(w io.Writer, done <-chan struct{}) {
			_, _ = io.WriteString(w, "{")
			<-done
		},
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			for way, over := range ways() {
				s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					w.WriteHeader(http.StatusOK)
					flush(t, w)
					body(w, r.Context().Done())
				}))
				h := over.target(t, s, func(c *config.Target) { c.Timeout = config.Duration(time.Hour) })
				if r := h.Send(t.Context(), over.event(), 1); r.Class != Delivered {
					t.Errorf("%s: got %+v, want delivered", way, r)
				}
			}
		})
	}
}

func TestHTTP_environmentProxyIsIgnored(t *testing.T) {
	h := newTarget(t, "http://example.com/", nil)
	if h.connections.at(time.Now()).Proxy != nil {
		t.Error("a proxy would dial without the check of addresses")
	}
}

func TestHTTP_cancelled(t *testing.T) {
	arrived := make(chan struct{})
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server sees the connection close
		close(arrived)
		<-r.Context().Done()
	})
	h := newTarget(t, s.URL, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	want := Result{Class: Retryable, Outcome: "cancelled", Detail: "the receiver stopped before the answer came"}
	if r := h.Send(ctx, sampleEvent(), 1); r != want {
		t.Errorf("got %+v, want %+v", r, want)
	}
}

func BenchmarkHTTP_Send(b *testing.B) {
	s := serve(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	h := newTarget(b, s.URL, nil)
	e := sampleEvent()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r := h.Send(b.Context(), e, 1); r.Class != Delivered {
				b.Errorf("got %+v", r)
			}
		}
	})
}

func BenchmarkHTTP_newRequest(b *testing.B) {
	h := newTarget(b, "http://chat.shop.svc:8080/events", nil)
	e := sampleEvent()
	b.ReportAllocs()
	for b.Loop() {
		_ = h.newRequest(b.Context(), e, h.appendFields(nil, e, 1))
	}
}
