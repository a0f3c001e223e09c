package natsconn

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"
)

// errNotYet is why there is no connection at first.
var errNotYet = errors.New("no attempt has ended yet")

// dialer makes connections for the library, which calls it with its lock held.
//
// It refuses the library's first round of attempts, which Connect would wait for: all others are made in the background. It shuffles the addresses of
// a name, so that receivers spread over the servers behind it, and a closed connection ends its attempts at once.
type dialer struct {
	ctx     context.Context //nolint:containedctx // the library's interface has none
	conn    *Conn
	timeout time.Duration
	net     net.Dialer
	refuse  atomic.Int64 // how many attempts are still to be refused
}

func newDialer(ctx context.Context, c *Conn, o Options) *dialer {
	d := &dialer{ctx: ctx, conn: c, timeout: o.Timeout, net: net.Dialer{ControlContext: o.Control}}
	d.refuse.Store(int64(len(c.config.URLs)))
	return d
}

// Dial connects to one of the host's addresses.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	if d.refuse.Add(-1) >= 0 {
		return nil, errNotYet
	}
	if made := d.conn.made.Load(); made != nil && made.Opts.Nkey != "" {
		// The library asks for everything else that can be rotated. It reads this with the lock held, later in the same attempt.
		made.Opts.Nkey = d.conn.login.Load().publicKey
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	lookup, cancel := context.WithTimeout(d.ctx, d.timeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(lookup, host)
	if err != nil {
		return nil, err
	}
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] }) //nolint:gosec // no secret
	for _, addr := range addrs {
		var conn net.Conn
		if conn, err = d.dial(network, net.JoinHostPort(addr, port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

func (d *dialer) dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.ctx, d.timeout)
	defer cancel()
	conn, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	// A server that takes the connection and is silent would keep Close waiting.
	return &boundConn{Conn: conn, unbind: context.AfterFunc(d.ctx, func() { _ = conn.Close() })}, nil
}

// boundConn is a connection that is closed with the Conn it belongs to.
type boundConn struct {
	net.Conn
	unbind func() bool
}

// Close closes the connection.
func (c *boundConn) Close() error {
	c.unbind()
	return c.Conn.Close()
}
