package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hookbay/hookbay/hack/e2e/control"
)

// target is the user's service.
type target struct {
	addr  string
	books *books

	changing sync.Mutex   // held while it goes away or comes back
	server   *http.Server // nil while it is away

	mu        sync.Mutex
	behaviour control.Target
}

func newTarget(addr string, books *books) *target { return &target{addr: addr, books: books} }

// set changes the behaviour. When it returns, the target listens, or does not.
func (t *target) set(ctx context.Context, want control.Target) error {
	t.changing.Lock()
	defer t.changing.Unlock()
	t.mu.Lock()
	t.behaviour = want
	t.mu.Unlock()
	switch {
	case want.Away && t.server != nil:
		server := t.server
		t.server = nil
		return server.Shutdown(ctx) // what has been taken is answered
	case !want.Away && t.server == nil:
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", t.addr)
		if err != nil {
			return fmt.Errorf("target: %w", err)
		}
		t.server = &http.Server{Handler: t, ReadHeaderTimeout: 10 * time.Second}
		go func(server *http.Server) { _ = server.Serve(listener) }(t.server) // ends with Shutdown, which reports what matters
	}
	return nil
}

// ServeHTTP takes an event, or does what it was told instead.
func (t *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the receiver is gone, and has delivered nothing
	}
	t.mu.Lock()
	b := t.behaviour
	t.mu.Unlock()
	if b.Delay > 0 {
		select {
		case <-time.After(b.Delay):
		case <-r.Context().Done():
			return
		}
	}
	if b.Status != 0 && b.Status/100 != 2 {
		w.WriteHeader(b.Status)
		return
	}
	var marked struct{ Mark string }
	_ = json.Unmarshal(body, &marked) // what has no mark is not from here
	if m, ok := parseMark(marked.Mark); ok {
		t.books.delivered(m, replica(r.Header.Get("Hookbay-Receiver")))
	}
}

// replica is the name of a pod's Deployment: the pod's without the two random parts at its end. A replica has a volume, so it goes on where the pod
// before it ended.
func replica(pod string) string {
	for range 2 {
		if i := strings.LastIndexByte(pod, '-'); i > 0 {
			pod = pod[:i]
		}
	}
	return pod
}
