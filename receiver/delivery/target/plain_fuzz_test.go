package target

import (
	"context"
	"io"
	"log"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
)

// canned is a connection that answers what is written to it with bytes, some at a time, and then is closed by the other side.
type canned struct {
	net.Conn // nil
	answer   []byte
	atOnce   int
	asked    chan struct{}
	once     sync.Once
}

func newCanned(answer []byte, atOnce int) *canned {
	return &canned{answer: answer, atOnce: atOnce, asked: make(chan struct{})}
}

func (c *canned) Write(b []byte) (int, error) {
	c.once.Do(func() { close(c.asked) })
	return len(b), nil
}

func (c *canned) Read(b []byte) (int, error) {
	<-c.asked
	if len(c.answer) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), c.atOnce)], c.answer)
	c.answer = c.answer[n:]
	return n, nil
}

func (c *canned) Close() error                     { c.once.Do(func() { close(c.asked) }); return nil }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }
func (c *canned) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *canned) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// Whatever comes back, plain takes it for the same as net/http does, and keeps no connection over which more has come than the answer.
func FuzzPlain_answer(f *testing.F) {
	log.SetOutput(io.Discard) // net/http tells of what came unasked
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more",
		"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok",
		"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 503 Later\r\nRetry-After: 7\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2;x=y\r\nok\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nx",
		"HTTP/1.1 302 Found\r\nLocation: /\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n",
		"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
		"220 mail.example.com ESMTP\r\n", "\x15\x03\x01\x00\x02\x02\x46", "",
	} {
		f.Add([]byte(answer), 4096)
		f.Add([]byte(answer), 1)
	}
	h, err := NewHTTP(config.Target{Type: config.TargetHTTP, URL: "http://chat.shop.svc/"}, nil, HTTPOptions{})
	if err != nil {
		f.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0)
	f.Fuzz(func(t *testing.T, answer []byte, atOnce int) {
		if atOnce < 1 || len(answer) > 2*maxAnswerHeader {
			return
		}
		conn := newCanned(answer, atOnce)
		c := newPlainConn(conn)
		var got Result
		resp, _, err := c.exchange(t.Context(), []byte("request"), time.Now().Add(time.Hour))
		if err != nil {
			got = failure(t.Context(), err, time.Hour)
		} else {
			got = judge(resp, now)
		}
		if c.usable && (err != nil || c.reader.Buffered() > 0 || resp.StatusCode < 200) {
			t.Errorf("the connection is kept: %v, %d bytes more", err, c.reader.Buffered())
		}

		transport := h.connections.newTransport()
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return newCanned(answer, atOnce), nil }
		defer transport.CloseIdleConnections()
		var want Result
		resp, err = transport.RoundTrip(h.newRequest(t.Context(), sampleEvent(), nil))
		if err != nil {
			want = failure(t.Context(), err, time.Hour)
		} else {
			drain(resp, func() {})
			_ = resp.Body.Close() // the answer is known
			want = judge(resp, now)
		}
		if got != want {
			t.Errorf("%q: got %+v, net/http %+v", answer, got, want)
		}
	})
}
