package conns

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// failing is a listener that returns these errors, one at a time, before it accepts.
type failing struct {
	net.Listener
	errs chan error
}

func (f *failing) Accept() (net.Conn, error) {
	select {
	case err := <-f.errs:
		return nil, err
	default:
		return f.Listener.Accept()
	}
}

func accepting(t *testing.T, most int, errs ...error) (*Listener, *Roster) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &failing{Listener: l, errs: make(chan error, len(errs))}
	for _, err := range errs {
		f.errs <- &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", err)}
	}
	r := NewRoster("admin", most, nil)
	listener := Listen(f, r)
	t.Cleanup(func() { _ = listener.Close() })
	return listener, r
}

func dial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

// Errors that pass end nothing, and each for want of files costs the connection that deserves its place least.
func TestListener_errors(t *testing.T) {
	l, r := accepting(t, 4)
	stranger := dial(t, l)
	if _, err := l.Accept(); err != nil {
		t.Fatal(err)
	}
	l.Listener.(*failing).errs = make(chan error, 3)
	for _, err := range []error{syscall.EMFILE, syscall.ECONNABORTED, syscall.ENFILE} {
		l.Listener.(*failing).errs <- &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", err)}
	}
	dial(t, l)
	if _, err := l.Accept(); err != nil {
		t.Errorf("Accept after errors that pass: %v", err)
	}
	if n, err := stranger.Read(make([]byte, 1)); err == nil || n > 0 {
		t.Error("the stranger is still there")
	}
	if r.Open() != 1 {
		t.Errorf("%d connections are open, want 1", r.Open())
	}
	broken, _ := accepting(t, 4, syscall.EBADF)
	if _, err := broken.Accept(); !errors.Is(err, syscall.EBADF) {
		t.Errorf("Accept returned %v, want the error that does not pass", err)
	}
}

// Closing ends a wait between two failures.
func TestListener_closesWhileItWaits(t *testing.T) {
	errs := make([]error, 1000)
	for i := range errs {
		errs[i] = syscall.EMFILE
	}
	l, _ := accepting(t, 4, errs...)
	ended := make(chan error)
	go func() {
		_, err := l.Accept()
		ended <- err
	}()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept returned %v, want net.ErrClosed", err)
	}
	if err := l.Close(); err == nil {
		t.Error("closing twice is no error, as a listener's is")
	}
}

// Connections that send half a request, or nothing, displace each other; one that was answered stays.
func TestTrack(t *testing.T) {
	const most, flood = 8, 50
	l, r := accepting(t, most)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })}
	Track(s, time.Now)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	good := dial(t, l)
	in := bufio.NewReader(good)
	ask := func() {
		t.Helper()
		if _, err := io.WriteString(good, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	ask()
	until(t, "the server says that the connection is idle", func() bool { return proven(r) })
	for n := range flood {
		c := dial(t, l)
		if n%2 == 0 {
			if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHo"); err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Fatal(err)
			}
		}
	}
	until(t, "the flood is accepted", func() bool { return testutil.ToFloat64(r.metrics.gone[whyStranger]) >= flood-most+1 })
	ask()
	if n := testutil.ToFloat64(r.metrics.gone[whyIdle]); n != 0 {
		t.Errorf("%v idle connections were displaced, want none", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = s.Shutdown(ctx)
	_ = s.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(time.Minute); !done(); <-again.C {
		if time.Now().After(deadline) {
			t.Fatalf("not so after a minute: %s", what)
		}
	}
}

func proven(r *Roster) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known.root.next != &r.known.root
}
