package target

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
)

// large has an event sent by net/http although its target is plain.
func large(e *event.Event) { e.Body = bytes.Repeat([]byte("0123456789abcdef"), maxPlain/16) }

// What is sent does not depend on who sends it.
func TestPlain_sendsWhatNetHTTPSends(t *testing.T) {
	tests := map[string]struct {
		path        string
		headers     []config.Header
		token, sign string
		change      func(e *event.Event)
	}{
		"the sample":         {change: func(*event.Event) {}},
		"a path and a query": {path: "/a%20b/é?shop=1&x=%41", change: func(*event.Event) {}},
		"a question mark":    {path: "/?", change: func(*event.Event) {}},
		"no body":            {change: func(e *event.Event) { e.Body = nil }},
		"no type of content": {change: func(e *event.Event) { e.ContentType = "" }},
		"neither subject nor time nor extensions": {change: func(e *event.Event) {
			e.Subject, e.Time, e.Extensions = "", time.Time{}, []event.Extension{{Name: "site"}, {Value: "x"}}
		}},
		"what is encoded": {change: func(e *event.Event) {
			e.Subject, e.Type, e.Source, e.Endpoint = "用户 1:卖家", "a\r\nX-Injected: 1", "\"%\xff", "é/%"
			e.Extensions = []event.Extension{{Name: "site", Value: "a\r\n\r\nb"}}
			e.ContentType = " text/plain; charset=utf-8 "
		}},
		"a token, a signature, headers, a host": {
			path: "/x", token: "secret-token", sign: signingSecret(32), change: func(*event.Event) {},
			headers: []config.Header{{Name: "x-tenant", Value: "shop"}, {Name: "X-Tenant", Value: " second "}, {Name: "user-agent", Value: "Shop/1"}, {Name: "Host", Value: "chat.example.com"}},
		},
		"no user agent, a host that is none": {
			headers: []config.Header{{Name: "user-agent"}, {Name: "host", Value: "a b"}}, change: func(*event.Event) {},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			requests := make(chan string, 1)
			address := listen(t, func(c *net.TCPConn) {
				var raw bytes.Buffer
				readRequest(readThrough{c, io.TeeReader(c, &raw)})
				requests <- raw.String()
				_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
			})
			e := sampleEvent()
			tc.change(e)
			h := newTarget(t, "http://"+address+tc.path, func(c *config.Target, s config.Secrets, o *HTTPOptions) {
				c.Headers = tc.headers
				if tc.token != "" {
					c.BearerTokenFile, s["token"] = "token", tc.token
				}
				if tc.sign != "" {
					c.SigningSecretFile, s["sign"] = "sign", tc.sign
				}
				o.Now = func() time.Time { return sampleTime }
			})
			if h.plain == nil {
				t.Skip("there is only net/http on this system")
			}
			if r := h.Send(t.Context(), e, 3); r.Class != Delivered {
				t.Fatalf("got %+v", r)
			}
			got := <-requests
			h.plain = nil
			if r := h.Send(t.Context(), e, 3); r.Class != Delivered {
				t.Fatalf("by net/http: got %+v", r)
			}
			if diff := cmp.Diff(sorted(t, <-requests), sorted(t, got)); diff != "" {
				t.Errorf("(-net/http +plain):\n%s", diff)
			}
		})
	}
}

// readThrough is a connection that is read by another way.
type readThrough struct {
	net.Conn
	io.Reader
}

func (r readThrough) Read(b []byte) (int, error) { return r.Reader.Read(b) }

// sorted returns a request's lines, the fields of the header in the order of their names.
func sorted(t *testing.T, request string) []string {
	t.Helper()
	header, body, ok := strings.Cut(request, "\r\n\r\n")
	if !ok {
		t.Fatalf("no request: %q", request)
	}
	lines := strings.Split(header, "\r\n")
	slices.SortStableFunc(lines[1:], func(a, b string) int {
		a, _, _ = strings.Cut(a, ":")
		b, _, _ = strings.Cut(b, ":")
		return strings.Compare(a, b)
	})
	return append(lines, body)
}

// script is a target that answers each connection's requests with texts, one after another, and then keeps it open. It counts both.
type script struct {
	address               string
	connections, requests atomic.Int64
	closed                atomic.Int64 // connections that the other side has closed
}

func runScript(t *testing.T, answers ...string) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := &script{address: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.connections.Add(1)
			go s.serve(c, answers)
		}
	}()
	return s
}

func (s *script) serve(c net.Conn, answers []string) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	for i := 0; ; i++ {
		req, err := http.ReadRequest(r)
		if err != nil {
			s.closed.Add(1)
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		s.requests.Add(1)
		answer, hangUp := strings.CutSuffix(answers[min(i, len(answers)-1)], hangUp)
		_, _ = io.WriteString(c, answer)
		if hangUp {
			return
		}
	}
}

// hangUp, at the end of an answer, has the script close the connection.
const hangUp = "\x00hang up"

func TestPlain_answers(t *testing.T) {
	const good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	tests := map[string]struct {
		answer      string
		wantOutcome string
		wantConns   int64 // for three attempts
	}{
		"a length":                        {good, "2xx", 1},
		"no content":                      {"HTTP/1.1 204 No Content\r\n\r\n", "2xx", 1},
		"not modified, with a length":     {"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "3xx", 1},
		"a reason that is missing":        {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "2xx", 1},
		"lines that end with LF alone":    {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "2xx", 1},
		"chunks":                          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", "2xx", 1},
		"chunks and a trailer":            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n", "2xx", 1},
		"chunks that are none":            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nok\r\n", "2xx", 3},
		"a body of 64 KiB":                {"HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n" + strings.Repeat("x", 1<<16), "2xx", 1},
		"a body of more":                  {"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n" + strings.Repeat("x", 1<<16+1), "2xx", 3},
		"a long header":                   {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 60<<10) + "\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20000), "2xx", 1},
		"100 Continue first":              {"HTTP/1.1 100 Continue\r\n\r\n" + good, "2xx", 1},
		"early hints, twice, first":       {strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 2) + good, "2xx", 1},
		"102 with a length first":         {"HTTP/1.1 102 Processing\r\nContent-Length: 5\r\n\r\n" + good, "2xx", 1},
		"another protocol":                {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "odd_status", 3},
		"a status below 100":              {"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n", "odd_status", 3},
		"HTTP/1.0":                        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "2xx", 3},
		"HTTP/1.0 that keeps alive":       {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", "2xx", 1},
		"a connection to be closed":       {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "2xx", 3},
		"closed without having said so":   {good + hangUp, "2xx", 3},
		"a body up to the end":            {"HTTP/1.1 200 OK\r\n\r\nok" + hangUp, "2xx", 3},
		"a body that breaks off":          {"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok" + hangUp, "2xx", 3},
		"a body that is longer than said": {good + ", and more", "2xx", 3},
		"a second answer unasked":         {good + good, "2xx", 3},
		"a body where none may be":        {"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", "2xx", 3},
		"lengths that contradict":         {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", "network", 3},
		"a negative length":               {"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", "not_http", 3},
		"an unknown encoding":             {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", "not_http", 3},
		"half a status line":              {"HTTP/1.1 20" + hangUp, "not_http", 3},
		"half a header":                   {"HTTP/1.1 200 OK\r\nContent-Le" + hangUp, "not_http", 3},
		"nothing":                         {hangUp, "reset", 3},
		"interim answers alone":           {"HTTP/1.1 100 Continue\r\n\r\n" + hangUp, "reset", 3},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := runScript(t, tc.answer)
			h := newTarget(t, "http://"+s.address, nil)
			for i := range 3 {
				if r := h.Send(t.Context(), sampleEvent(), 1); r.Outcome != tc.wantOutcome {
					t.Errorf("attempt %d: got %+v, want %s", i, r, tc.wantOutcome)
				}
				if tc.wantConns > 1 {
					eventually(t, "the connection is of no more use", func() bool { return !keptIsQuiet(h) })
				}
			}
			if got := s.requests.Load(); got != 3 {
				t.Errorf("%d requests for 3 attempts", got)
			}
			if got := s.connections.Load(); got != tc.wantConns {
				t.Errorf("%d connections for 3 attempts, want %d", got, tc.wantConns)
			}
			h.plain = nil
			if r := h.Send(t.Context(), sampleEvent(), 1); r.Outcome != tc.wantOutcome {
				t.Errorf("by net/http: got %+v, want %s", r, tc.wantOutcome)
			}
		})
	}
}

// What is too long for plain goes by net/http, and what is just not goes by plain.
func TestPlain_largeRequests(t *testing.T) {
	s, all, _ := countingServer(t, false, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	h := newTarget(t, s.URL, nil)
	if h.plain == nil {
		t.Skip("there is only net/http on this system")
	}
	e := sampleEvent()
	most := maxPlain - h.plain.size(h.appendFields(nil, e, 1), nil)
	for i, size := range []int{most, most + 1, most} {
		e.Body = make([]byte, size)
		if r := h.Send(t.Context(), e, 1); r.Class != Delivered {
			t.Errorf("%d bytes: got %+v", size, r)
		}
		if got, want := all.Load(), min(int64(i)+1, 2); got != want || kept(h) != 1 {
			t.Errorf("%d bytes: %d connections so far, %d kept by plain; want %d, 1", size, got, kept(h), want)
		}
	}
}

func TestPlain_isForPlainHTTPAlone(t *testing.T) {
	tests := map[string]string{ // what is dialled
		"http://chat.shop.svc":         "chat.shop.svc:80",
		"http://chat_1.shop.svc:8080/": "chat_1.shop.svc:8080",
		"http://[2001:db8::1]:81/":     "[2001:db8::1]:81",
		"http://bücher.example/":       "xn--bcher-kva.example:80",
		"https://chat.shop.svc":        "",
	}
	for url, want := range tests {
		h := newTarget(t, url, nil)
		got := ""
		if h.plain != nil {
			got = h.plain.address
		}
		if got != want && canLook {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
}
