package target

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/publicroots"
)

const defaultTimeout = 10 * time.Second

// HTTPOptions are what an HTTP target does not take from the endpoint's configuration. The zero value is good.
type HTTPOptions struct {
	// Receiver is the replica's name in the header Hookbay-Receiver. Empty: the host's name.
	Receiver string
	// MaxIdleConns is how many idle connections are kept: the endpoint's MaxInFlight. Zero: 64.
	MaxIdleConns int
	// ForbidLoopback refuses loopback addresses too. Pods set it: the receiver's own admin port and those of containers beside it listen
	// there, and whoever may write a WebhookEndpoint is not thereby allowed to send requests to them.
	ForbidLoopback bool
	// Resolver finds the addresses of the target's name. Nil: the system's.
	Resolver *net.Resolver
	// Now is the clock. Nil: time.Now.
	Now func() time.Time

	// connectTimeout takes the place of the constant in tests.
	connectTimeout time.Duration
}

// HTTP posts events as CloudEvents 1.0 in HTTP binary mode: the platform's body byte for byte, the attributes as headers.
//
// It never goes to link-local, multicast, unspecified or cloud metadata addresses, whatever the target's name resolves to, and so
// ignores the proxies of the environment: a proxy would dial in its stead, unchecked. It does not follow redirects. One Send is
// one request: it is repeated only if not a byte of it had been written to a connection that turned out to be closed (and, where it is net/http that
// sends, by its own rule: if the user adds the header Idempotency-Key).
//
// What plain cannot send goes by net/http's transport: to https targets, and large events.
type HTTP struct {
	request     *http.Request
	constant    http.Header
	signer      *signer
	timeout     time.Duration
	plain       *plain // nil: all goes by net/http
	buffers     bufferPool
	connections *connections
	now         func() time.Time
}

var _ Target = (*HTTP)(nil)

// NewHTTP returns the target that cfg describes. Its errors name the field and never hold a secret.
func NewHTTP(cfg config.Target, secrets config.Secrets, o HTTPOptions) (*HTTP, error) {
	if o.Receiver == "" {
		o.Receiver, _ = os.Hostname() // without a name the header is left out
	}
	if o.MaxIdleConns <= 0 {
		o.MaxIdleConns = 64
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.connectTimeout == 0 {
		o.connectTimeout = connectTimeout
	}
	g := guard{forbidLoopback: o.ForbidLoopback}
	u, err := parseURL(cfg.URL, g)
	if err != nil {
		return nil, err
	}
	h := &HTTP{timeout: time.Duration(cfg.Timeout), now: o.Now}
	if h.timeout <= 0 {
		h.timeout = defaultTimeout
	}
	var token string
	if cfg.BearerTokenFile != "" {
		if token, err = secrets.Credential(cfg.BearerTokenFile); err != nil {
			return nil, fmt.Errorf("target.bearerTokenFile: %w", err)
		}
	}
	if cfg.SigningSecretFile != "" {
		secret, err := secrets.Credential(cfg.SigningSecretFile)
		if err != nil {
			return nil, fmt.Errorf("target.signingSecretFile: %w", err)
		}
		if h.signer, err = newSigner(secret, o.Now); err != nil {
			return nil, fmt.Errorf("target.signingSecretFile %q: %w", cfg.SigningSecretFile, err)
		}
	}
	if h.constant, err = constantHeader(cfg, token, o.Receiver); err != nil {
		return nil, err
	}
	h.request = &http.Request{
		Method: http.MethodPost, URL: u, Host: u.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if host := h.constant.Get("Host"); host != "" {
		h.request.Host = host // net/http takes it from here alone
		h.constant.Del("Host")
	}
	roots, err := rootCAs(cfg.CABundleFile, secrets)
	if err != nil {
		return nil, err
	}
	address := ""
	if h.plain = newPlain(h.request, h.constant); h.plain != nil {
		address = h.plain.address
	}
	h.connections = newConnections(o, roots, address)
	return h, nil
}

// parseURL never quotes the URL in an error: its query may hold a token.
func parseURL(raw string, g guard) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return nil, errors.New("target.url is not an absolute http or https URL: write it as https://host/path")
	}
	if u.User != nil {
		return nil, errors.New("target.url holds a user name: remove it and use a bearer token")
	}
	if u.Fragment != "" {
		return nil, errors.New("target.url has a fragment (#…), which is never sent: remove it")
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil {
		if err := g.check(addr); err != nil {
			return nil, fmt.Errorf("target.url: %w", err)
		}
	}
	return u, nil
}

// rootCAs returns nil, which means the system's, if no bundle is named.
func rootCAs(file config.SecretFile, secrets config.Secrets) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := secrets.Get(file)
	if err != nil {
		return nil, fmt.Errorf("target.caBundleFile: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(pem)) {
		return nil, fmt.Errorf("target.caBundleFile %q holds no certificate: put PEM blocks \"BEGIN CERTIFICATE\" into it", file)
	}
	return pool, nil
}

// Send makes one attempt.
func (h *HTTP) Send(ctx context.Context, e *event.Event, attempt int) Result {
	start := time.Now()
	timeout, end := h.timeout, start.Add(h.timeout)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(end) { // of a platform that waits
		timeout, end = max(0, deadline.Sub(start).Round(time.Millisecond)), deadline
	}
	b := h.buffers.get()
	defer h.buffers.put(b)
	b.fields = h.appendFields(b.fields, e, attempt)
	if h.plain == nil || h.plain.size(b.fields, e.Body) > maxPlain {
		return h.sendOther(ctx, e, b.fields, timeout)
	}
	b.request = h.plain.request(b.request, b.fields, e.Body)
	resp, err := h.connections.at(h.now()).send(ctx, b.request, end) //nolint:bodyclose // The connection is already kept or closed.
	if err != nil {
		return h.failure(ctx, err, timeout)
	}
	return judge(resp, h.now())
}

// sendOther sends by net/http what plain does not.
func (h *HTTP) sendOther(ctx context.Context, e *event.Event, fields []byte, timeout time.Duration) Result {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	ctx, end := boundConnections(ctx)
	defer end()
	// The transport itself, not an http.Client: a client follows redirects and puts the URL into its errors.
	if h.request.URL.Scheme == "https" && h.connections.tls.RootCAs == nil {
		publicroots.Provide() // not before: who only checks an endpoint needs none
	}
	resp, err := h.connections.at(h.now()).RoundTrip(h.newRequest(ctx, e, fields))
	if err != nil {
		return h.failure(ctx, err, timeout)
	}
	defer func() { _ = resp.Body.Close() }() // the answer is known
	drain(resp, cancel)
	return judge(resp, h.now())
}

// mostConnections is how many connections one attempt may use. net/http takes another one for as long as each turns out to be closed, or the other
// side of it says that it goes away.
const mostConnections = 5

var errConnections = errors.New("no connection lasted until the answer")

// boundConnections returns a context that ends, with errConnections, if a request that is sent with it wants more connections than it may use.
func boundConnections(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var used atomic.Int32
	trace := &httptrace.ClientTrace{GetConn: func(string) {
		if used.Add(1) > mostConnections {
			cancel(errConnections)
		}
	}}
	return httptrace.WithClientTrace(ctx, trace), func() { cancel(nil) }
}

// failure also tells what is likely where nobody asked for TLS: a server that expects it often hangs up on anything else.
func (h *HTTP) failure(ctx context.Context, err error, timeout time.Duration) Result {
	r := failure(ctx, err, timeout)
	if r.Outcome == OutcomeReset && h.request.URL.Scheme == "http" {
		r.Detail += "; if it speaks TLS, write https:// in the target"
	}
	return r
}

// appendFields appends the fields of an attempt's header that are its own, with the signature if there is one.
func (h *HTTP) appendFields(b []byte, e *event.Event, attempt int) []byte {
	b = appendEvent(b, e, attempt)
	if h.signer != nil {
		b = h.signer.appendSignature(b, e.ID.String(), e.Body)
	}
	return b
}

func (h *HTTP) newRequest(ctx context.Context, e *event.Event, fields []byte) *http.Request {
	req := h.request.WithContext(ctx)
	req.Header = header(h.constant, fields)
	if len(e.Body) == 0 {
		req.Body = http.NoBody
		return req
	}
	req.ContentLength = int64(len(e.Body))
	req.Body = newBody(e.Body)
	req.GetBody = func() (io.ReadCloser, error) { return newBody(e.Body), nil }
	return req
}

// newBody is of a type that net/http knows to be in memory: it then writes header and body in one go.
func newBody(b []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(b)) }

// Close lets go of idle connections.
func (h *HTTP) Close() { h.connections.close() }
