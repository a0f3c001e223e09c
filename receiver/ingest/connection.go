package ingest

import (
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/hookbay/hookbay/receiver/conns"
)

// state is what a connection is doing.
type state int32

const (
	fresh  state = iota // nothing has come in yet
	active              // a request is coming in, or its answer is going out
	idle                // between two requests
)

const (
	// lingerTime and lingerBytes bound the farewell of a connection whose answer may have overtaken what the client is still sending: closed at
	// once, the system would tell the client that the connection broke, and the answer would be lost.
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 256 << 10
)

// connection is one TCP connection. It may stay unused before its first request for as long as between two: proxies and platforms open connections
// before they need them, and a callback that is sent into a connection that is just being closed is lost.
type connection struct {
	*conns.Conn
	requestTimeout time.Duration
	since          time.Time    // when it was accepted
	state          atomic.Int32 // a state
	cutOff         atomic.Bool  // there is nobody to say farewell to
	begun          time.Time    // when the callback came that is at work; zero: none is. The goroutine's own
	ended          bool         // nothing more can be read. The goroutine's own
	fetched        bool         // something was read since the last request was answered. The goroutine's own
	reads, writes  deadline
}

func newConnection(c *conns.Conn, requestTimeout time.Duration) *connection {
	return &connection{Conn: c, requestTimeout: requestTimeout, since: time.Now()}
}

// noteState is fasthttp's ConnState. It calls a connection active before anything has come in: Read knows better.
func noteState(nc net.Conn, s fasthttp.ConnState) {
	c, ok := nc.(*connection)
	switch {
	case !ok:
	case s == fasthttp.StateIdle:
		c.state.Store(int32(idle))
		c.end()
	case s == fasthttp.StateActive && state(c.state.Load()) != fresh:
		c.state.Store(int32(active))
	}
}

// begin says that the connection has delivered a verified callback, and is not to be displaced until that is answered.
func (c *connection) begin(now time.Time) {
	c.begun = now
	c.Begin()
}

// end says that it is answered.
func (c *connection) end() {
	if !c.begun.IsZero() {
		c.End(c.begun)
		c.begun = time.Time{}
	}
}

// isStranger says whether a request comes on a connection that has never delivered a verified callback.
func isStranger(ctx *fasthttp.RequestCtx) bool {
	c, ok := ctx.Conn().(*connection)
	return ok && !c.Proven()
}

// floods says whether a stranger has sent this request before it had the answer to the last one. No platform does so, and a connection that always
// has a next request at hand never waits, but keeps a processor from all others for as long as the scheduler lets it. It is to be called once for
// each request, at its end.
func floods(ctx *fasthttp.RequestCtx) bool {
	c, ok := ctx.Conn().(*connection)
	if !ok {
		return false
	}
	waited := c.fetched
	c.fetched = false
	return !waited && !c.Proven()
}

// brokeOff says whether a request that seems to be complete was cut off instead: fasthttp takes an end of the connection between two chunks, or in
// what follows the last, for that of the body. It asks for more only if there must be more.
func brokeOff(ctx *fasthttp.RequestCtx) bool {
	c, ok := ctx.Conn().(*connection)
	return ok && c.ended
}

// SetDeadline implements net.Conn. See deadline.
func (c *connection) SetDeadline(t time.Time) error {
	c.reads.wanted, c.writes.wanted = t, t
	return nil
}

// SetReadDeadline implements net.Conn. See deadline.
func (c *connection) SetReadDeadline(t time.Time) error {
	c.reads.wanted = t
	return nil
}

// SetWriteDeadline implements net.Conn. See deadline.
func (c *connection) SetWriteDeadline(t time.Time) error {
	c.writes.wanted = t
	return nil
}

// Read sets the deadlines of the first read. From then on they are the server's.
func (c *connection) Read(p []byte) (int, error) {
	first := state(c.state.Load()) == fresh
	if first {
		c.reads.wanted = time.Now().Add(idleTimeout)
	}
	if c.reads.due(time.Until) {
		if err := c.Conn.SetReadDeadline(c.reads.wanted); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Read(p)
	c.ended, c.fetched = err != nil, c.fetched || n > 0
	if first && err == nil {
		c.state.Store(int32(active))
		c.reads.wanted = time.Now().Add(c.requestTimeout)
	}
	return n, err // as it is: the server tells one from the other by its type
}

// Write says nothing to who has said nothing: a client that used the connection just then would take it for its answer.
func (c *connection) Write(p []byte) (int, error) {
	if state(c.state.Load()) == fresh {
		return len(p), nil
	}
	if c.writes.due(time.Until) {
		if err := c.Conn.SetWriteDeadline(c.writes.wanted); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}

// Close ends the connection. After an answer it waits, for a moment, until the client has seen it and closes its side.
func (c *connection) Close() error {
	if tcp, ok := c.Conn.Conn.(*net.TCPConn); ok && state(c.state.Load()) == active && !c.cutOff.Load() && tcp.CloseWrite() == nil {
		_ = tcp.SetReadDeadline(time.Now().Add(lingerTime)) // if it fails, so does the next read
		_, _ = io.CopyN(io.Discard, tcp, lingerBytes)       // nobody wants it any more
	}
	return c.Conn.Close()
}

// cut closes the connection at once.
func (c *connection) cut() {
	c.cutOff.Store(true)
	_ = c.Conn.Close() // its goroutine sees the end
}
