//go:build linux

package target

import (
	"errors"
	"io"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
)

func TestHTTP_connectLimits(t *testing.T) {
	h, err := NewHTTP(config.Target{URL: "http://x/"}, nil, HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if dial, handshake := h.connections.dialer.Timeout, h.connections.newTransport().TLSHandshakeTimeout; dial != 5*time.Second || handshake != 5*time.Second {
		t.Errorf("dialling may take %s and the handshake %s, want 5 s each, as docs/targets.md says", dial, handshake)
	}

	tests := map[string]struct {
		url  string
		want Result
	}{
		"nobody takes the connection": {"http://" + full(t), Result{Class: Retryable, Outcome: OutcomeTimeout, Detail: "no connection within 5s"}},
		"the handshake stalls":        {"https://" + mute(t), Result{Class: Retryable, Outcome: OutcomeTimeout, Detail: "the TLS handshake took too long"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			// With an hour for the answer, it is the limit of the connection that ends it.
			cfg := config.Target{URL: tt.url, Timeout: config.Duration(time.Hour)}
			h, err := NewHTTP(cfg, nil, HTTPOptions{connectTimeout: 20 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			if diff := cmp.Diff(tt.want, h.Send(t.Context(), &event.Event{}, 1)); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

// mute returns the address of a server that takes connections and says nothing.
func mute(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, c) // until the other side gives up
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l.Addr().String()
}

// full returns the address of a server whose queue of connections is full and stays so: the system does not answer who connects.
func full(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	in4, ok := bound.(*syscall.SockaddrInet4)
	if !ok {
		t.Fatalf("the address is a %T", bound)
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(in4.Port))
	for range 16 {
		c, err := net.DialTimeout("tcp", addr, 100*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Skip("this system takes connections without end")
	return ""
}
