package conns

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// The pauses after errors of accept that pass: they double while the errors go on.
const (
	firstPause   = 5 * time.Millisecond
	longestPause = time.Second
)

// Listener accepts connections that have a place in a roster. It goes on where accepting fails because the process has too many files open, and
// closes a connection for each such failure.
type Listener struct {
	net.Listener
	roster *Roster
	once   sync.Once
	closed chan struct{}
}

// Listen returns l with its connections in the roster.
func Listen(l net.Listener, r *Roster) *Listener {
	return &Listener{Listener: l, roster: r, closed: make(chan struct{})}
}

// Accept returns the next connection, a *Conn, or the error that ends accepting.
func (l *Listener) Accept() (net.Conn, error) {
	pause := firstPause
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			if !passes(err) {
				return nil, err
			}
			if exhausted(err) {
				l.roster.Displace()
			}
			if !l.wait(pause) {
				return nil, net.ErrClosed
			}
			pause = min(2*pause, longestPause)
			continue
		}
		pause = firstPause
		c := &Conn{Conn: accepted}
		// Nobody uses the connection before Accept returns, so that end can't come too early.
		if c.Entry = l.roster.Enter(func() { _ = c.Conn.Close() }); c.Entry != nil {
			return c, nil
		}
	}
}

// wait waits, and says whether the listener is still open.
func (l *Listener) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.closed:
		return false
	}
}

// Close ends accepting.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// exhausted says that there are too many files open, here or in the whole system, or no memory for another connection.
func exhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}

// passes says that accepting may work again later, or for the next connection.
func passes(err error) bool {
	return exhausted(err) || errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EINTR)
}

// Conn is a connection with its place.
type Conn struct {
	net.Conn
	*Entry
}

// Close closes the connection and gives its place back.
func (c *Conn) Close() error {
	err := c.Conn.Close()
	c.Leave()
	return err
}

// Track has a server of net/http tell when a request of a connection that a Listener accepted has been answered: that proves it, and is what its
// idleness counts from.
func Track(s *http.Server, now func() time.Time) {
	s.ConnState = func(conn net.Conn, state http.ConnState) {
		if c, ok := conn.(*Conn); ok && state == http.StateIdle {
			c.Begin()
			c.End(now())
		}
	}
}
