package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// arrival is one delivery attempt as the target saw it.
type arrival struct {
	mark     string // of the callback, empty if it has none
	lifetime int    // of the receiver: how often it had been killed
	status   int    // that it was answered with; 0 if the connection was cut instead
	header   http.Header
	body     []byte
}

// delivered reports whether the target told the receiver that it has the event.
func (a arrival) delivered() bool { return a.status/100 == 2 }

// answerFunc is what the target does with an attempt: the status to answer with after a delay; 0 cuts the connection.
type answerFunc func(a arrival) (status int, delay time.Duration)

func answerWith(status int) answerFunc {
	return func(arrival) (int, time.Duration) { return status, 0 }
}

func answerSlowly(delay time.Duration) answerFunc {
	return func(arrival) (int, time.Duration) { return http.StatusOK, delay }
}

// target is a service that events are delivered to. It records every attempt in the order of arrival and answers as it is told.
type target struct {
	addr   string
	server *httptest.Server // nil while the target is down

	mu       sync.Mutex
	answer   answerFunc
	lifetime int
	arrivals []arrival
	has      map[string]bool // marks of the events that it has taken
	conns    map[net.Conn]bool
}

func newTarget(t *testing.T) *target {
	t.Helper()
	tgt := &target{addr: freeAddress(t), answer: answerWith(http.StatusOK), has: map[string]bool{}, conns: map[net.Conn]bool{}}
	tgt.up(t)
	t.Cleanup(func() {
		if tgt.server != nil {
			tgt.server.CloseClientConnections()
			tgt.server.Close()
		}
	})
	return tgt
}

// url is the address of the target.
func (tgt *target) url() string { return "http://" + tgt.addr + "/events" }

// up listens, on the same address each time.
func (tgt *target) up(t *testing.T) {
	t.Helper()
	var listener net.Listener
	waitFor(t, "the target's address is free", func() error {
		var err error
		listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", tgt.addr)
		return err
	})
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: tgt, ConnState: tgt.track, ReadHeaderTimeout: patience}}
	server.Start()
	tgt.server = server
}

// down stops listening. No answer is lost on the way: attempts are cut off before they are answered until the last answer is out.
func (tgt *target) down(t *testing.T) {
	t.Helper()
	tgt.set(answerWith(0))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := tgt.server.Config.Shutdown(ctx); err != nil {
		t.Fatalf("take the target down: %v", err)
	}
	tgt.server.Close()
	tgt.server = nil
}

// set changes what the target answers from now on.
func (tgt *target) set(answer answerFunc) {
	tgt.mu.Lock()
	defer tgt.mu.Unlock()
	tgt.answer = answer
}

func (tgt *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/sentinel" {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the receiver was killed while it sent: no attempt was made
	}
	var marked struct{ Mark string }
	_ = json.Unmarshal(body, &marked) // bodies of other tests have no mark, and need not be JSON
	a := arrival{mark: marked.Mark, header: r.Header.Clone(), body: body}

	tgt.mu.Lock()
	a.lifetime = tgt.lifetime
	status, delay := tgt.answer(a)
	i := len(tgt.arrivals)
	tgt.arrivals = append(tgt.arrivals, a)
	tgt.mu.Unlock()

	if delay > 0 {
		<-time.After(delay) // also if the receiver is gone: a slow service does not notice
	}
	if status == 0 {
		panic(http.ErrAbortHandler) // net/http's way to cut a connection
	}
	tgt.mu.Lock()
	tgt.arrivals[i].status = status
	if tgt.arrivals[i].delivered() {
		tgt.has[a.mark] = true
	}
	tgt.mu.Unlock()
	w.WriteHeader(status)
}

// track keeps the list of connections that are open.
func (tgt *target) track(c net.Conn, state http.ConnState) {
	tgt.mu.Lock()
	defer tgt.mu.Unlock()
	switch state {
	case http.StateNew:
		tgt.conns[c] = true
	case http.StateClosed, http.StateHijacked:
		delete(tgt.conns, c)
	default:
	}
}

// nextLifetime is called when the receiver is dead. What it had sent until then is counted to it: connections are accepted
// in the order they were made, so once one of our own has been served and is the only one left, nothing of the dead is to come.
func (tgt *target) nextLifetime(t *testing.T) {
	t.Helper()
	if tgt.server != nil {
		client := &http.Client{Transport: &http.Transport{}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+tgt.addr+"/sentinel", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		client.CloseIdleConnections()
		waitFor(t, "the dead receiver's connections are closed", func() error {
			tgt.mu.Lock()
			defer tgt.mu.Unlock()
			if n := len(tgt.conns); n > 0 {
				return fmt.Errorf("%d are open", n)
			}
			return nil
		})
	}
	tgt.mu.Lock()
	defer tgt.mu.Unlock()
	tgt.lifetime++
}

// taken is how many marked events the target has.
func (tgt *target) taken() int {
	tgt.mu.Lock()
	defer tgt.mu.Unlock()
	return len(tgt.has)
}

// log returns all attempts so far.
func (tgt *target) log() []arrival {
	tgt.mu.Lock()
	defer tgt.mu.Unlock()
	return append([]arrival(nil), tgt.arrivals...)
}

// waitTaken waits until the target has n marked events.
func (tgt *target) waitTaken(t *testing.T, n int) {
	t.Helper()
	waitProgress(t, fmt.Sprintf("%d events are delivered", n), n, tgt.taken)
}

// waitArrival waits for the first attempt, from number from on, that is wanted.
func (tgt *target) waitArrival(t *testing.T, from int, wanted func(arrival) bool) arrival {
	t.Helper()
	var found arrival
	waitFor(t, "an event arrives at the target", func() error {
		tgt.mu.Lock()
		defer tgt.mu.Unlock()
		for _, a := range tgt.arrivals[from:] {
			if wanted(a) {
				found = a
				return nil
			}
		}
		return errors.New("it did not")
	})
	return found
}

// waitFor polls until check returns nil, and fails with its error when that takes longer than patience.
func waitFor(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waiting until %s: %v", what, err)
		}
		pause(t)
	}
}
