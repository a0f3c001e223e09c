package ingest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/hookbay/hookbay/receiver/source"
)

// taken is one request that a server has read from a connection.
type taken struct {
	method, uri, host, key string
	body                   string
	status                 int
	broken                 error // why the body did not come to its end
}

func (r taken) String() string {
	return fmt.Sprintf("%s %q host %q key %q body %q broken %v: %d", r.method, r.uri, r.host, r.key, r.body, r.broken, r.status)
}

func list(requests []taken) string {
	var b strings.Builder
	for i, r := range requests {
		fmt.Fprintf(&b, "%d. %s\n", i+1, r)
	}
	return b.String()
}

// ours gives what comes in on a connection to the server of this package, and checks that it leaves nothing behind.
func ours(t *testing.T, w *wire) (requests []taken) {
	t.Helper()
	var body string
	src := &fakeSource{verify: func(r *source.Request) *source.Refusal {
		body = string(r.Body)
		return nil
	}}
	var log bytes.Buffer
	h := NewHandler(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	h.Update([]Endpoint{{Name: "shop/a", Path: "/shop/a", Source: src, Queue: &fakeQueue{}}})
	s := NewServer(h, slog.New(slog.NewTextHandler(&log, nil)))
	serveOne := s.http.Handler
	s.http.Handler = func(ctx *fasthttp.RequestCtx) {
		head := &ctx.Request.Header
		host, _, _ := target(head)
		r := taken{method: string(head.Method()), uri: string(head.RequestURI()), host: string(host)}
		body = ""
		serveOne(ctx)
		r.key, r.body, r.status = string(head.Peek("Key")), body, ctx.Response.StatusCode()
		requests = append(requests, r)
	}
	run(s, w)
	if strings.Contains(log.String(), "panic") {
		t.Errorf("it panicked:\n%s", log.String())
	}
	if open, held, waiting := h.roster.Open(), h.room.held.Load()+h.room.strangers.Load(), h.pace.waiting.Load(); open != 0 || held != 0 || waiting != 0 {
		t.Errorf("%d connections, %d bytes and %d that wait are left", open, held, waiting)
	}
	return requests
}

// theirs gives it to net/http's, one request after the other: empty lines before a request, which fasthttp passes over as RFC 9112, section 2.2, wants
// it, are not shown to net/http, which refuses them.
func theirs(raw []byte) (requests []taken) {
	left := bytes.NewReader(raw)
	in := bufio.NewReader(left)
	for {
		for b, err := in.Peek(2); err == nil && (b[0] == '\n' || string(b) == "\r\n"); b, err = in.Peek(2) {
			_, _ = in.Discard(1 + bytes.IndexByte(b, '\n'))
		}
		start := len(raw) - left.Len() - in.Buffered()
		r, err := http.ReadRequest(in)
		if err != nil {
			return requests
		}
		_, broken := io.Copy(io.Discard, r.Body)
		one := theirsAlone(raw[start : len(raw)-left.Len()-in.Buffered()])
		if len(one) != 1 {
			return requests
		}
		requests = append(requests, one[0])
		if r.Close || broken != nil {
			return requests
		}
	}
}

// theirsAlone has net/http serve one request. It takes none if that is not proper.
func theirsAlone(raw []byte) (requests []taken) {
	run(&http.Server{
		ReadTimeout: 5 * time.Second, MaxHeaderBytes: maxHead, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		DisableGeneralOptionsHandler: true,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			request := taken{
				method: r.Method, uri: r.RequestURI, host: r.Host, key: r.Header.Get("Key"), body: string(body), status: http.StatusOK, broken: err,
			}
			switch {
			case err != nil:
				request.status = http.StatusBadRequest
			case r.URL.Path != "/shop/a":
				request.status = http.StatusNotFound
			case r.Method != http.MethodPost:
				request.status = http.StatusMethodNotAllowed
			}
			requests = append(requests, request)
			w.WriteHeader(request.status)
		}),
	}, newWire(raw, len(raw)+1, false))
	return requests
}

// run has a server serve one connection until it ends, and stops it.
func run(s interface {
	Serve(l net.Listener) error
	Close() error
}, w *wire,
) {
	go func() { _ = s.Serve(listenOn(w)) }() // ends with Close
	<-w.closed
	synctest.Wait()
	_ = s.Close()
	synctest.Wait()
}

// startClock has fasthttp start, outside of any bubble, the goroutine that keeps its date for as long as the process lives.
func startClock() { _ = (&fasthttp.ResponseHeader{}).Header() }

// Whatever comes in on a connection, the requests that we take out of it must be those that net/http would: where two servers disagree about the end of
// a request, one that passes through both can hide another. What this found is in TestHandler_answers.
func FuzzServer_agreesWithNetHTTP(f *testing.F) {
	startClock()
	for _, seed := range seeds {
		f.Add([]byte(seed), uint16(0))
		f.Add([]byte(seed), uint16(1<<14))
	}
	f.Fuzz(func(t *testing.T, raw []byte, step uint16) {
		synctest.Test(t, func(t *testing.T) {
			us, them := ours(t, newWire(bytes.Clone(raw), int(step)+1, false)), theirs(raw)
			if why := disagreement(us, them); why != "" {
				t.Errorf("%s\n%q\nwe took\n%snet/http took\n%s", why, raw, list(us), list(them))
			}
		})
	})
}

// disagreement says what of the requests that we took is not what net/http took. To refuse more than net/http does is fine.
func disagreement(us, them []taken) string {
	for i, r := range us {
		switch good := r.status < 300; {
		case r.status >= 500:
			return fmt.Sprintf("our answer to request %d is %d", i+1, r.status)
		case i >= len(them) && good:
			return fmt.Sprintf("we took request %d, which net/http refuses", i+1)
		case i >= len(them):
			continue
		case good && them[i].broken != nil && !knownHarmless(us, them, i):
			return fmt.Sprintf("we took request %d, whose body is not proper to net/http", i+1)
		case r.method != them[i].method || r.uri != them[i].uri:
			return fmt.Sprintf("request %d is another one", i+1)
		case good && (r.host != them[i].host || r.body != them[i].body || r.key != them[i].key):
			return fmt.Sprintf("request %d has other content", i+1)
		}
	}
	return ""
}

// knownHarmless says that request i, which net/http takes the whole body of, is wrong only in the empty line that ends it, such as a lone line feed. The
// body is the same, and as the connection ends with our answer there is no next request to disagree about.
func knownHarmless(us, them []taken, i int) bool {
	return i == len(us)-1 && us[i].body == them[i].body && strings.Contains(them[i].broken.Error(), "trailer")
}

// Whatever comes in on a connection that its other end leaves open, it must end, in the time that a request and the wait for the next one may take, and
// leave no goroutine behind: the bubble does not end before they do.
func FuzzServer_ends(f *testing.F) {
	startClock()
	for _, seed := range seeds {
		f.Add([]byte(seed), uint16(1<<14))
		f.Add([]byte(seed[:len(seed)/2]), uint16(0))
	}
	f.Fuzz(func(t *testing.T, raw []byte, step uint16) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			ours(t, newWire(bytes.Clone(raw), int(step)+1, true))
			if took, most := time.Since(start), idleTimeout+10*time.Second; took > most {
				t.Errorf("it took %s, more than %s, to end\n%q", took, most, raw)
			}
		})
	})
}
