//go:build linux

package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// running starts a baseline in this process.
func running(t *testing.T, name, target string) *Process {
	t.Helper()
	r, w := io.Pipe()
	go func() { // until the tests end
		err := Serve(context.Background(), name, target, w) // it outlives the test: nothing stops a baseline but the end of its process
		_ = w.CloseWithError(errors.Join(io.ErrUnexpectedEOF, err))
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return &Process{Addr: strings.TrimSpace(line)}
}

func post(t *testing.T, addr, id string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/events?a=b", strings.NewReader(strings.Repeat("x", 100_000)))
	if err != nil {
		t.Fatal(err)
	}
	if id != "" {
		req.Header.Set("Ce-Id", id)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the answer is %s, want 200", resp.Status)
	}
}

func TestServe(t *testing.T) {
	sink := running(t, Sink, "")
	for _, name := range []string{NetHTTP, FastHTTP, Proxy} {
		t.Run(name, func(t *testing.T) { post(t, running(t, name, "http://"+sink.Addr).Addr, "") })
	}
	c, err := sink.Counted(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := (Count{Requests: 1}); c != want {
		t.Errorf("the target counts %+v, want %+v: the proxy's request", c, want)
	}
	if err := Serve(t.Context(), "apache", "", io.Discard); err == nil {
		t.Error("a baseline that there is not serves")
	}
}

// TestSink: repeated deliveries of an event count once.
func TestSink(t *testing.T) {
	sink := running(t, Sink, "")
	for _, id := range []string{strings.Repeat("a", 32), strings.Repeat("b", 32), strings.Repeat("a", 32), "", "short", strings.Repeat("z", 32)} {
		post(t, sink.Addr, id)
	}
	c, err := sink.Counted(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := (Count{Requests: 6, Events: 2}); c != want {
		t.Errorf("the sink counts %+v, want %+v", c, want)
	}
}

// TestReceiver_Metrics sums over endpoints, and over the kinds of targets.
func TestReceiver_Metrics(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("testdata", "metrics.txt"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) })}
	t.Cleanup(func() { _ = s.Close() })
	go func() { _ = s.Serve(l) }()
	r := &Receiver{Admin: l.Addr().String()}
	got, err := r.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := Metrics{Stored: 12, Duplicates: 3, Backlog: 9, Delivered: 9, Attempts: 11, Disk: 4096, Goroutines: 77, Heap: 1 << 20}
	if got != want {
		t.Errorf("Metrics = %+v, want %+v", got, want)
	}
}
