package target

import (
	"bufio"
	"errors"
	"math"
	"net"
	"sync"
	"syscall"
	"time"
)

// plainConn is a connection that belongs to one attempt at a time, or to a pool. It has no goroutine.
type plainConn struct {
	net.Conn
	raw       syscall.RawConn // nil: whether it is open cannot be seen
	reader    *bufio.Reader   // reads from the plainConn
	left      int64           // how much may still be read
	served    bool            // it has been used for a request
	usable    bool            // and may be for another
	idleSince time.Time
	interrupt func() // ends what is under way; made once
}

// noLimit is for left.
const noLimit = math.MaxInt64

// errLongHeader is for a header that does not end within maxAnswerHeader.
var errLongHeader = errors.New("response headers exceeded the limit")

func newPlainConn(conn net.Conn) *plainConn {
	c := &plainConn{Conn: conn}
	c.reader = bufio.NewReader(c)
	c.interrupt = func() { _ = c.SetDeadline(time.Unix(1, 0)) } // fails only on a closed connection
	if s, ok := conn.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			c.raw = raw
		}
	}
	return c
}

// Read reads for the parser of answers, no more than what is left.
func (c *plainConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, errLongHeader
	}
	if int64(len(b)) > c.left {
		b = b[:c.left]
	}
	n, err := c.Conn.Read(b)
	c.left -= int64(n)
	return n, err
}

// pool keeps connections between requests, for as long as idleTimeout. Those that were used last are used first, so that what is too many
// becomes idle.
type pool struct {
	max int

	mu      sync.Mutex
	idle    []*plainConn // by idleSince
	sweeper *time.Timer  // nil: not set, because none is idle
	retired bool
}

// take returns a connection with its deadline set to end, or nil if none is kept that is still good.
func (p *pool) take(end time.Time) *plainConn {
	for {
		c := p.last()
		if c == nil {
			return nil
		}
		if time.Since(c.idleSince) < idleTimeout && c.SetDeadline(end) == nil && c.quiet() {
			return c
		}
		_ = c.Close() // the other side has closed it, or is about to, or talks without having been asked
	}
}

func (p *pool) last() *plainConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c
}

// keep takes a connection for another request, or closes it.
func (p *pool) keep(c *plainConn) {
	if !p.add(c) {
		_ = c.Close() // there are enough
	}
}

func (p *pool) add(c *plainConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.retired || len(p.idle) >= p.max || c.raw == nil {
		return false
	}
	c.idleSince = time.Now()
	p.idle = append(p.idle, c)
	if p.sweeper == nil {
		p.sweeper = time.AfterFunc(idleTimeout, p.sweep)
	}
	return true
}

// sweep closes what has been idle for too long, and comes back when there is more to do.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.retired {
		return
	}
	now := time.Now()
	n := 0
	for n < len(p.idle) && now.Sub(p.idle[n].idleSince) >= idleTimeout {
		_ = p.idle[n].Close() // as agreed with nobody, see idleTimeout
		n++
	}
	rest := copy(p.idle, p.idle[n:])
	clear(p.idle[rest:])
	p.idle = p.idle[:rest]
	p.sweeper = nil
	if rest > 0 {
		p.sweeper = time.AfterFunc(idleTimeout-now.Sub(p.idle[0].idleSince), p.sweep)
	}
}

// retire closes what is idle, and has what is in use closed when it no longer is.
func (p *pool) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = true
	if p.sweeper != nil {
		p.sweeper.Stop()
		p.sweeper = nil
	}
	for _, c := range p.idle {
		_ = c.Close() // it serves nobody
	}
	p.idle = nil
}
