// Package natsconn connects to NATS: for the buffer in a stream, and for the target that is a subject.
//
// A connection never gives up. It is made and made again in the background, after pauses that grow and are jittered, and for as long as it isn't there
// Ready says why and what to do, and whatever is published fails at once instead of being sent later, when nobody waits for it any more. There is one
// exception: after an error that the library does not know, or a line that is too long for the server, it closes the connection for good. Ended tells, and
// whoever owns the connection makes another: subscriptions and all that waits for answers end with it. Credentials
// are asked for at each attempt, so Replace is all that a rotation takes: one that is still good is not disturbed, and the next attempt has the new one.
//
// No credential is in any error or log line.
package natsconn

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/publicroots"
)

const (
	// defaultTimeout bounds making one connection, for each address.
	defaultTimeout = 2 * time.Second
	// A server that is silent is left after pings·(maxPings+1): whoever waits for an acknowledgement has a second or two.
	pingInterval = 2 * time.Second
	maxPings     = 2
	// writeTimeout ends a connection whose server takes nothing any more.
	writeTimeout = 4 * time.Second
	// The pauses between two rounds of attempts, before jitter: they double.
	pauseMin = 100 * time.Millisecond
	pauseMax = 4 * time.Second
	// inboxPrefix tells Hookbay's answers from others', for accounts that give permissions by subject; it is within what "_INBOX.>" permits.
	inboxPrefix = "_INBOX.hookbay"
)

// Options are what a connection does not take from the configuration. The zero value is good.
type Options struct {
	// Name is what the servers show of the connection. Empty: "hookbay".
	Name string
	// Log is told when the connection is lost, and when it is back. Nil: slog.Default.
	Log *slog.Logger
	// Timeout bounds one attempt at one address. Zero: 2 s.
	Timeout time.Duration
	// Control is a net.Dialer's ControlContext: it may refuse an address. Nil: none is.
	Control func(ctx context.Context, network, address string, c syscall.RawConn) error
}

// Conn is a connection that comes back by itself. Publish and its like fail with nats.ErrReconnectBufExceeded while it isn't there.
type Conn struct {
	*nats.Conn

	config config.NATS
	login  atomic.Pointer[login]
	log    *slog.Logger
	state  state
	made   atomic.Pointer[nats.Conn] // Conn, for what runs before Connect has returned
	stop   context.CancelFunc

	closing   atomic.Bool // also when it has ended: nothing more is taken note of
	ended     atomic.Bool
	complaint atomic.Pointer[complaint]
}

// complaint is what a server said unasked: of a subject that the user may not publish to, it says nothing in answer.
type complaint struct {
	err error
	at  time.Time
}

// Connect begins to connect, and returns before there is a connection: Ready tells, and Wait waits. Its errors are about credentials that are
// missing or can't be used; they name the field, beginning with that of config.NATS.
func Connect(c config.NATS, s config.Secrets, o Options) (*Conn, error) {
	l, err := newLogin(&c, s)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	ctx, stop := context.WithCancel(context.Background())
	conn := &Conn{config: c, log: o.Log.With("nats", hosts(c.URLs)), stop: stop}
	conn.login.Store(l)
	conn.state.is(errNotYet)
	made, err := conn.options(ctx, o).Connect()
	if err != nil { // only for what can't be tried at all
		stop()
		return nil, fmt.Errorf("connect to NATS at %s: %w", hosts(c.URLs), err)
	}
	conn.Conn = made
	conn.made.Store(made)
	return conn, nil
}

func (c *Conn) options(ctx context.Context, o Options) nats.Options {
	n := nats.GetDefaultOptions()
	n.Servers = c.config.URLs
	n.Name = cmp.Or(o.Name, "hookbay")
	n.Timeout, n.PingInterval, n.MaxPingsOut, n.FlusherTimeout = o.Timeout, pingInterval, maxPings, writeTimeout
	n.InboxPrefix = inboxPrefix
	n.MaxReconnect, n.RetryOnFailedConnect, n.IgnoreAuthErrorAbort = -1, true, true
	n.ReconnectBufSize = -1
	n.CustomReconnectDelayCB = c.pause
	n.CustomDialer, n.SkipHostLookup = newDialer(ctx, c, o), true
	n.ConnectedCB, n.ReconnectedCB = c.connected, c.connected
	n.DisconnectedErrCB = c.lost
	n.ClosedCB, n.NoCallbacksAfterClientClose = func(n *nats.Conn) { c.givenUp(n.LastError()) }, true
	n.ReconnectErrCB = func(_ *nats.Conn, err error) { c.failed(err) }
	n.AsyncErrorCB = func(_ *nats.Conn, _ *nats.Subscription, err error) { c.asynchronous(err) }
	n.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if c.config.CABundleFile == "" {
		publicroots.Provide() // a server may ask for TLS whatever its URL says
	}
	c.addLogin(&n)
	return n
}

// addLogin has what the login holds asked for at each attempt.
func (c *Conn) addLogin(n *nats.Options) {
	switch {
	case c.config.CredentialsFile != "":
		n.UserJWT = func() (string, error) { return c.login.Load().jwt, nil }
		n.SignatureCB = c.sign
	case c.config.NKeySeedFile != "":
		n.Nkey = c.login.Load().publicKey // the dialer keeps it up to date
		n.SignatureCB = c.sign
	case c.config.UserFile != "":
		n.UserInfo = func() (string, string) {
			l := c.login.Load()
			return l.user, l.password
		}
	case c.config.TokenFile != "":
		n.TokenHandler = func() string { return c.login.Load().token }
	}
	if c.config.CABundleFile != "" {
		n.Secure = true
		n.RootCAsCB = func() (*x509.CertPool, error) { return c.login.Load().roots, nil }
	}
	if c.config.CertificateFile != "" {
		n.Secure = true
		n.TLSCertCB = func() (tls.Certificate, error) { return *c.login.Load().certificate, nil }
	}
}

// sign proves to the server that the key is ours.
func (c *Conn) sign(nonce []byte) ([]byte, error) { return c.login.Load().key.Sign(nonce) }

// Replace has other credentials used from the next attempt to connect on, which is at once if there is no connection now. One that there is stays
// for as long as the server lets it. On an error nothing has changed.
func (c *Conn) Replace(s config.Secrets) error {
	l, err := newLogin(&c.config, s)
	if err != nil {
		return err
	}
	c.login.Store(l)
	if c.Ready() != nil && !c.closing.Load() {
		return c.ForceReconnect()
	}
	return nil
}

// Ready returns nil if the connection is there, else why it isn't and what to do. It never waits.
func (c *Conn) Ready() error {
	err := c.state.now()
	if err == nil {
		return nil
	}
	return fmt.Errorf("no connection to NATS at %s: %w", hosts(c.config.URLs), explain(err))
}

// Wait waits until the connection is there. When ctx ends before, or the connection has ended and does not come back, it returns Ready's error.
func (c *Conn) Wait(ctx context.Context) error {
	if c.closing.Load() {
		return c.Ready()
	}
	if c.state.wait(ctx) {
		return nil
	}
	if err := c.Ready(); err != nil {
		return err
	}
	return ctx.Err()
}

// Close ends the connection for good; an attempt under way ends at once.
func (c *Conn) Close() {
	c.closing.Store(true)
	c.stop()
	c.state.is(nats.ErrConnectionClosed)
	c.Conn.Close()
}

// Ended says whether the connection is over though nobody closed it. It does not come back: close it and connect anew. Ready says why.
func (c *Conn) Ended() bool { return c.ended.Load() }

// givenUp is called when the library has closed the connection by itself.
func (c *Conn) givenUp(err error) {
	if !c.closing.CompareAndSwap(false, true) {
		return
	}
	c.stop()
	why := &endedError{err}
	c.state.is(why)
	c.ended.Store(true)
	c.log.Warn("Connection to NATS has ended and is made anew when it is needed", "error", explain(why))
}

// Complaint returns the last that a server said unasked since a time, nil if it said nothing: that the user may not publish to a subject, say.
func (c *Conn) Complaint(since time.Time) error {
	if last := c.complaint.Load(); last != nil && !last.at.Before(since) {
		return last.err
	}
	return nil
}

// pause is called after each round of attempts, and before the first one after a loss.
func (c *Conn) pause(round int) time.Duration {
	if made := c.made.Load(); made != nil {
		if err := made.LastError(); err != nil {
			c.failed(err) // a refusal of the first login is told nowhere else
		}
	}
	longest := min(pauseMin<<min(round-1, 10), pauseMax)
	if round == 1 {
		return rand.N(longest) //nolint:gosec // jitter is no secret
	}
	return longest/2 + rand.N(longest/2) //nolint:gosec // jitter is no secret
}

func (c *Conn) connected(n *nats.Conn) {
	if c.closing.Load() {
		return
	}
	c.state.is(nil)
	c.log.Info("Connected to NATS", "server", n.ConnectedServerName(), "address", n.ConnectedAddr())
}

func (c *Conn) lost(n *nats.Conn, err error) {
	if err == nil {
		err = nats.ErrDisconnected
	}
	if !n.IsClosed() && !c.closing.Load() && c.state.is(err) {
		c.log.Warn("Connection to NATS is lost and made again", "error", explain(err))
	}
}

// failed takes note of an attempt that failed, and tells of it unless the one before failed for the same reason.
func (c *Conn) failed(err error) {
	if err == nil || errors.Is(err, errNotYet) || c.closing.Load() {
		return
	}
	if c.state.is(err) {
		c.log.Warn("NATS cannot be reached and is tried again", "error", explain(err))
	}
}

// asynchronous takes note of what the server says unasked.
func (c *Conn) asynchronous(err error) {
	switch {
	case err == nil:
	case c.state.now() != nil:
		c.failed(err)
	default:
		c.complaint.Store(&complaint{err, time.Now()})
		c.log.Warn("NATS reports an error", "error", explain(err))
	}
}

// hosts is what may be shown of addresses.
func hosts(urls []string) string {
	shown := make([]string, 0, len(urls))
	for _, raw := range urls {
		if u, err := url.Parse(raw); err == nil {
			shown = append(shown, u.Host)
		}
	}
	return strings.Join(shown, ", ")
}
