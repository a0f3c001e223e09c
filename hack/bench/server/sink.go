//go:build linux

package server

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// countPath is where a sink tells its Count.
const countPath = "/count"

// Count is what a sink has taken.
type Count struct {
	// Requests are all, Events those of different ids. Requests without an id, such as the proxy's, are in Requests only.
	Requests, Events int
}

// sink counts.
type sink struct {
	mu       sync.Mutex
	requests int
	seen     map[[16]byte]struct{}
}

func newSink() *sink { return &sink{seen: map[[16]byte]struct{}{}} }

func (s *sink) handle(c *fasthttp.RequestCtx) {
	if string(c.Path()) == countPath {
		s.tell(c)
		return
	}
	_ = c.PostBody()
	var id [16]byte
	n, err := hex.Decode(id[:], c.Request.Header.Peek("Ce-Id")[:min(32, len(c.Request.Header.Peek("Ce-Id")))])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if n == len(id) && err == nil {
		s.seen[id] = struct{}{}
	}
}

func (s *sink) tell(c *fasthttp.RequestCtx) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := json.NewEncoder(c).Encode(Count{Requests: s.requests, Events: len(s.seen)}); err != nil {
		c.Error(err.Error(), fasthttp.StatusInternalServerError)
	}
}

// Counted asks a sink.
func (p *Process) Counted(ctx context.Context) (Count, error) {
	var c Count
	body, err := get(ctx, "http://"+p.Addr+countPath)
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(body, &c)
}

// answerTimeout is how long a server may take to tell of itself, on a machine that is busy.
const answerTimeout = 30 * time.Second

// get asks a server over a connection of its own.
func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Close = true
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // what was read is all that counts
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %.200s", url, resp.Status, body)
	}
	return body, err
}
