package ingest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// attacker plays strangers until its context ends. It never fails a test: what becomes of strangers is not what the tests are about.
type attacker struct {
	ctx   context.Context
	addr  string
	done  sync.WaitGroup
	there sync.WaitGroup // until each has come once
	pause time.Duration  // before one comes back
}

// each runs n attackers, each of which does its worst again and again.
func (a *attacker) each(n int, worst func(c net.Conn)) {
	a.there.Add(n)
	for range n {
		a.done.Go(func() {
			there := sync.OnceFunc(a.there.Done)
			defer there()
			for a.ctx.Err() == nil {
				c, err := (&net.Dialer{}).DialContext(a.ctx, "tcp", a.addr)
				if err != nil {
					continue
				}
				there()
				stop := context.AfterFunc(a.ctx, func() { _ = c.Close() })
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				worst(c)
				stop()
				_ = c.Close()
				select {
				case <-a.ctx.Done():
				case <-time.After(a.pause):
				}
			}
		})
	}
}

// wait reads until the server ends the connection.
func wait(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// repeat sends text and reads one answer, again and again while the connection lasts.
func (a *attacker) repeat(text string) func(net.Conn) {
	return func(c net.Conn) {
		in := bufio.NewReader(c)
		for a.ctx.Err() == nil {
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
	}
}

// goodConn is a platform's connection. It is kept open as long as the server lets it.
type goodConn struct {
	net.Conn
	in *bufio.Reader
}

func connect(t *testing.T, addr string) *goodConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &goodConn{Conn: c, in: bufio.NewReader(c)}
}

// callBack sends a good callback and returns the status of its answer.
func (c *goodConn) callBack(body string) (int, error) {
	if _, err := fmt.Fprintf(c, "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close() //nolint:errcheck // Only read.
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// Whatever strangers do, callbacks on connections that have proven themselves are all taken, and so are those on new ones.
func TestAttacks(t *testing.T) {
	const connections, senders, each = 128, 4, 100
	large := strings.Repeat("x", 600_000)
	badLarge := "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: bad\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 1_000_000)
	tests := map[string]struct {
		attack func(*attacker)

		onlyOld bool // new connections have no promise
	}{
		"connections that say nothing": {
			attack: func(a *attacker) { a.each(2*connections, wait) },
		},
		"half a head, and then nothing": {
			attack: func(a *attacker) {
				a.each(2*connections, func(c net.Conn) {
					_, _ = io.WriteString(c, "POST /shop/a HTTP/1.1\r\nHo")
					wait(c)
				})
			},
		},
		"a head a byte at a time": {
			attack: func(a *attacker) {
				a.each(connections/2, func(c net.Conn) {
					for _, b := range []byte("POST /shop/a HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("y", 200)) {
						if _, err := c.Write([]byte{b}); err != nil {
							return
						}
					}
				})
			},
		},
		"heads without bodies": {
			attack: func(a *attacker) {
				a.each(2*connections, func(c net.Conn) {
					_, _ = io.WriteString(c, "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nContent-Length: 100\r\n\r\n")
					wait(c)
				})
			},
		},
		"large bodies that never end": {
			attack: func(a *attacker) {
				a.each(connections/2, func(c net.Conn) {
					_, _ = io.WriteString(c, "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nContent-Length: 600001\r\n\r\n"+large)
					wait(c)
				})
			},
		},
		"wrong keys": {
			attack: func(a *attacker) {
				a.each(8, a.repeat(strings.ReplaceAll(post("/shop/a", "Key: bad\r\n", "one"), "Connection: close\r\n", "")))
			},
		},
		"wrong keys with a megabyte each": {
			attack: func(a *attacker) { a.each(8, a.repeat(badLarge)) },
		},
		"unknown paths": {
			attack: func(a *attacker) { a.each(8, a.repeat("GET /wp-login.php HTTP/1.1\r\nHost: x\r\n\r\n")) },
		},
		"many requests at once on each connection": {
			attack: func(a *attacker) {
				a.each(8, func(c net.Conn) {
					_, _ = io.WriteString(c, strings.Repeat("POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: bad\r\nContent-Length: 3\r\n\r\none", 500))
					_ = c.(*net.TCPConn).CloseWrite()
					wait(c)
				})
			},
		},
		"a byte in each chunk": {
			attack: func(a *attacker) {
				a.each(8, a.repeat("POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: bad\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat("1\r\nx\r\n", 2_000)+"0\r\n\r\n"))
			},
		},
		"new connections without end": {
			attack: func(a *attacker) {
				a.pause = 0
				a.each(16, func(net.Conn) {})
			},
			onlyOld: true,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h, ts := serve(t, Options{MaxConnections: connections, MaxBytes: 8 << 20}, &fakeSource{}, &fakeQueue{})
			var old []*goodConn
			for n := range senders {
				c := connect(t, ts.addr)
				if status, err := c.callBack(fmt.Sprint("first ", n)); status != http.StatusOK {
					t.Fatalf("before the attack: %d, %v", status, err)
				}
				old = append(old, c)
			}
			ctx, stop := context.WithCancel(t.Context())
			a := &attacker{ctx: ctx, addr: ts.addr, pause: 500 * time.Millisecond}
			tt.attack(a)
			a.there.Wait() // whoever connects from now on is accepted after them
			var done sync.WaitGroup
			for s, c := range old {
				done.Go(func() {
					for n := range each {
						if status, err := c.callBack(fmt.Sprintf("old-%d-%d", s, n)); status != http.StatusOK {
							t.Errorf("callback %d of old connection %d: %d, %v", n, s, status, err)
							return
						}
					}
				})
			}
			if !tt.onlyOld {
				done.Go(func() {
					for n := range each / 4 {
						c := connect(t, ts.addr)
						if status, err := c.callBack(fmt.Sprintf("new-%d", n)); status != http.StatusOK {
							t.Errorf("new connection %d: %d, %v", n, status, err)
							return
						}
						_ = c.Close()
					}
				})
			}
			done.Wait()
			stop()
			a.done.Wait()
			if n := testutil.ToFloat64(h.metrics.unrouted); name == "unknown paths" && n == 0 {
				t.Error("no unknown path was asked for: there was no attack")
			}
			if open := h.roster.Open(); open > connections {
				t.Errorf("%d connections are open, more than %d", open, connections)
			}
		})
	}
}
