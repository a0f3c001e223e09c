package target

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// connectTimeout bounds the dialling, and then the TLS handshake.
	connectTimeout = 5 * time.Second
	// idleTimeout is below the idle timeout of common servers (Node.js closes after 5 s): a request that meets a connection
	// which the other side is just closing fails, and nobody can tell whether it was seen.
	idleTimeout = 4 * time.Second
	// maxAnswerHeader bounds an answer's header, in bytes.
	maxAnswerHeader = 64 << 10
	// An HTTP/2 connection whose other end vanished is found by pings; otherwise every attempt on it would run into its timeout.
	pingAfter   = 15 * time.Second
	pingTimeout = 5 * time.Second
	// connectionAge is after how long connections are given up, also those that are always in use: the target's name may lead elsewhere by then, or a
	// Service have other pods.
	connectionAge = time.Minute
	// retireAgain is after how long connections that are given up are looked at once more.
	retireAgain = 100 * time.Millisecond
)

// connections are the connections to a target. net/http itself keeps one for as long as it is used, and so holds on to an address that the target has
// left; therefore a new set of connections takes the place of the old one every connectionAge. What is under way on old ones ends there.
type connections struct {
	dialer  *net.Dialer
	address string // for those that are dialled here and not by net/http
	tls     *tls.Config
	maxIdle int
	timeout time.Duration // of dialling, and of the TLS handshake
	current atomic.Pointer[generation]
}

// generation is one set: net/http's connections, and those without it.
type generation struct {
	*http.Transport
	pool    *pool
	dialer  *net.Dialer
	address string
	born    time.Time
}

func newConnections(o HTTPOptions, roots *x509.CertPool, address string) *connections {
	c := &connections{
		address: address,
		dialer:  &net.Dialer{Timeout: o.connectTimeout, ControlContext: guard{forbidLoopback: o.ForbidLoopback}.control, Resolver: o.Resolver},
		maxIdle: o.MaxIdleConns, timeout: o.connectTimeout,
		tls: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(0)},
	}
	c.current.Store(c.newGeneration(o.Now()))
	return c
}

func (c *connections) newGeneration(now time.Time) *generation {
	return &generation{Transport: c.newTransport(), pool: &pool{max: c.maxIdle}, dialer: c.dialer, address: c.address, born: now}
}

// retire closes connections when they no longer are in use.
func (g *generation) retire() {
	g.CloseIdleConnections()
	g.pool.retire()
	// Over HTTP/2 the end of a request is known a moment before its connection counts as idle.
	time.AfterFunc(retireAgain, g.CloseIdleConnections)
}

func (c *connections) newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // see HTTP
		DialContext:            c.dialer.DialContext,
		TLSClientConfig:        c.tls.Clone(), // the transport adds to it; sessions are shared
		TLSHandshakeTimeout:    c.timeout,
		ForceAttemptHTTP2:      true, // a dialer of one's own switches it off otherwise
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		DisableCompression:     true, // the answer's body is thrown away
		MaxIdleConns:           c.maxIdle,
		MaxIdleConnsPerHost:    c.maxIdle,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxAnswerHeader,
	}
}

// at is what to send by. A clock that was set back ages connections, too, rather than keep them for as long as it lags.
func (c *connections) at(now time.Time) *generation {
	g := c.current.Load()
	if age := now.Sub(g.born); age >= 0 && age < connectionAge {
		return g
	}
	if c.current.CompareAndSwap(g, c.newGeneration(now)) {
		g.retire()
	}
	return c.current.Load()
}

// close lets go of idle connections.
func (c *connections) close() { c.current.Load().retire() }
