package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/source"
)

// sender plays a platform for one subject of one endpoint: one callback after the other, each sent again until it is acknowledged, as often as
// the platform would.
type sender struct {
	w        *world
	endpoint *endpoint
	subject  int
	count    int
	tries    int // for each callback
	random   *rand.Rand
}

// endpoint is what a platform knows of an endpoint, and its present credential.
type endpoint struct {
	key, path string
	source    config.Source

	mu      sync.Mutex
	sim     source.Simulator
	changes int // of the credential, of the clock, of the endpoint being there: refusals across one prove nothing
	pending int // of those, under way
}

func (e *endpoint) now() (sim source.Simulator, changes int, settled bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sim, e.changes, e.pending == 0
}

// change marks the time in which the receiver may refuse what is good, until the function that it returns is called.
func (e *endpoint) change() (done func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.changes++
	e.pending++
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.changes++ // an answer that was given before this may be judged after it
		e.pending--
	}
}

// run sends until all is sent or ctx ends.
func (s *sender) run(ctx context.Context) {
	for n := 0; n < s.count && s.w.turn(ctx); n++ {
		r := &record{endpoint: s.endpoint.key, subject: s.subject, n: n, reject: s.random.IntN(40) == 0}
		body := s.body(n)
		for try := range s.tries {
			if s.send(ctx, r, body) || ctx.Err() != nil {
				break
			}
			wait(ctx, time.Duration(1+s.random.IntN(4*(try+1)))*time.Millisecond)
		}
		if s.random.IntN(3) == 0 {
			wait(ctx, time.Duration(s.random.IntN(8))*time.Millisecond)
		}
		if r.acked && s.random.IntN(30) == 0 { // a repeat although it was acknowledged: the answer got lost on its way
			s.send(ctx, r, body)
		}
		s.w.sent.Add(1)
	}
}

// turn waits until a platform may send one callback more. The story deals the turns out, so that something is on its way at each step. False:
// ctx has ended.
func (w *world) turn(ctx context.Context) bool {
	select {
	case <-w.turns:
	case <-w.freely:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// deal hands out turns.
func (w *world) deal(n int) {
	for range n {
		select {
		case w.turns <- struct{}{}:
		default: // more than all platforms send
		}
	}
}

// body is the simulator's, made longer by noise that does not compress, so that tables fill.
func (s *sender) body(n int) []byte {
	sim, _, _ := s.endpoint.now()
	noise := make([]byte, 200+s.random.IntN(1500))
	for i := range noise {
		noise[i] = byte(s.random.Uint32()) //nolint:gosec // noise
	}
	b := append(hex.AppendEncode([]byte(`{"noise":"`), noise), `",`...)
	return append(b, sim.Vary(sim.Samples()[0], n, s.subject)[1:]...)
}

// send sends a callback once and says whether it was acknowledged.
func (s *sender) send(ctx context.Context, r *record, body []byte) bool {
	l := s.w.current(ctx)
	if l == nil {
		return false
	}
	sim, changes, _ := s.endpoint.now()
	signed, err := sim.Sign(body, s.w.now())
	if err != nil {
		s.w.model.complain("sign: %v", err)
		return false
	}
	// The platform waits no longer than its limit; here it has a little more patience, since the machine is busy with other stories.
	ctx, cancel := context.WithTimeout(ctx, 2*sim.AnswerWithin())
	defer cancel()
	url := "http://" + l.app.ListenAddr().String() + s.endpoint.path
	if signed.Query != "" {
		url += "?" + signed.Query
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		s.w.model.complain("make a request: %v", err)
		return false
	}
	req.Header = http.Header(signed.Header)
	s.w.model.send(r, body)
	res, err := l.client.Do(req)
	if err != nil {
		s.w.count(effectNoAnswer, "")
		return false
	}
	answer, err := io.ReadAll(res.Body)
	if err := res.Body.Close(); err != nil || ctx.Err() != nil {
		return false
	}
	if err != nil {
		s.w.count(effectNoAnswer, "")
		return false
	}
	acked := false
	l.while(func() { acked = s.judge(l, r, sim, changes, res.StatusCode, answer) })
	if acked {
		l.saw(sightAck)
	}
	return acked
}

// judge takes an answer as the platform would.
func (s *sender) judge(l *life, r *record, sim source.Simulator, changes, status int, answer []byte) bool {
	if sim.Judge(status, answer) == nil {
		s.w.model.ack(r)
		return true
	}
	_, since, settled := s.endpoint.now()
	switch {
	case status == http.StatusServiceUnavailable:
		s.w.count(effect503, "")
	case since != changes || !settled:
		s.w.count(effectRefused, strconv.Itoa(status))
	default:
		s.w.model.complain("life %d: %s is answered with %d, without need: %.200q", l.number, r, status, answer)
	}
	return false
}

// wait returns early if ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
