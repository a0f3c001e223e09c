package ingest

import (
	"net"
	"time"
)

// Listener returns l with connections that may stay unused before their first request for as long as between two. Proxies and platforms open
// connections before they need them. net/http allows a new one no more than a request takes to arrive, and a callback that is sent
// into a connection that is just being closed is lost.
func (h *Handler) Listener(l net.Listener) net.Listener {
	return listener{Listener: l, requestTimeout: h.requestTimeout}
}

type listener struct {
	net.Listener
	requestTimeout time.Duration
}

// Accept leaves alone what is no TCP connection.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &connection{TCPConn: tcp, requestTimeout: l.requestTimeout}, err
	}
	return c, err
}

// connection sets the deadlines of its first read itself. From then on they are net/http's.
type connection struct {
	*net.TCPConn
	requestTimeout time.Duration
	used           bool // net/http has one reader at a time
}

func (c *connection) Read(p []byte) (int, error) {
	if c.used {
		return c.TCPConn.Read(p)
	}
	if err := c.SetReadDeadline(time.Now().Add(idleTimeout)); err != nil {
		return 0, err
	}
	n, err := c.TCPConn.Read(p)
	c.used = true
	if err != nil {
		return n, err // as it is: net/http tells one from the other by its type
	}
	return n, c.SetReadDeadline(time.Now().Add(c.requestTimeout))
}
