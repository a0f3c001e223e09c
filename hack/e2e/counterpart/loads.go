package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hookbay/hookbay/hack/e2e/control"
	"github.com/hookbay/hookbay/hack/e2e/platform"
)

const (
	// perConnection is how many subjects share a kept connection, and freshEach says which of them make a new one for each callback:
	// platforms call from many machines, some of which keep their connections.
	perConnection = 8
	freshEach     = 4
	// patience is how long an answer is waited for, to tell late ones from those that never come.
	patience = 10 * time.Second
	// keptFor is how long an unused connection is kept. It is less than a receiver that stops waits for the last callback on a connection before
	// it closes it: whoever keeps connections for longer may send into one that is just being closed.
	keptFor = 5 * time.Second
	// maxAnswer is more than any answer has.
	maxAnswer = 64 << 10
)

// loads are those that were started.
type loads struct {
	ctx   context.Context //nolint:containedctx // that of the process: loads outlive the requests that start them
	books *books

	mu      sync.Mutex
	running map[string]*load
}

func newLoads(ctx context.Context, books *books) *loads {
	return &loads{ctx: ctx, books: books, running: map[string]*load{}}
}

// load is callbacks that keep coming.
type load struct {
	control.Load
	name   string
	books  *books
	wanted string        // answer
	limit  time.Duration // for it
	fresh  *http.Client
	kept   []*http.Client
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu         sync.Mutex
	credential string
}

// start begins a load.
func (l *loads) start(name string, want control.Load) error {
	if want.Subjects < 1 || want.Interval <= 0 {
		return errors.New("write Subjects and Interval")
	}
	roots := x509.NewCertPool()
	if want.CA != "" && !roots.AppendCertsFromPEM([]byte(want.CA)) {
		return errors.New("CA: write PEM certificates")
	}
	if want.CA == "" {
		roots = nil
	}
	n := &load{Load: want, name: name, books: l.books, credential: want.Credential, wanted: platform.LazadaOK, limit: platform.LazadaLimit}
	switch want.Source {
	case control.Lazada:
	case control.TencentIM:
		n.wanted, n.limit = platform.TencentOK, platform.TencentLimit
	default:
		return fmt.Errorf("there is no platform %q", want.Source)
	}
	n.fresh = n.client(roots, false)
	for range (want.Subjects + perConnection - 1) / perConnection {
		n.kept = append(n.kept, n.client(roots, true))
	}
	if err := l.books.open(name, want.Subjects); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(l.ctx)
	n.stop = cancel
	begin := time.Now()
	for subject := range want.Subjects {
		first := begin.Add(want.Interval * time.Duration(subject) / time.Duration(want.Subjects))
		n.done.Go(func() { n.converse(ctx, subject, first) })
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running[name] = n
	return nil
}

func (l *loads) find(name string) *load {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running[name]
}

// sign changes a load's credential.
func (l *loads) sign(name, credential string) bool {
	n := l.find(name)
	if n == nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.credential = credential
	return true
}

// stop ends a load, and returns when its last callback is answered. It may be called again.
func (l *loads) stop(name string) bool {
	n := l.find(name)
	if n == nil {
		return false
	}
	n.stop()
	n.done.Wait()
	for _, c := range append(n.kept, n.fresh) {
		c.CloseIdleConnections()
	}
	return true
}

// client is one machine of the platform.
func (n *load) client(roots *x509.CertPool, keep bool) *http.Client {
	dialer := &net.Dialer{Timeout: patience}
	return &http.Client{
		Timeout: patience,
		Transport: &http.Transport{
			DisableKeepAlives: !keep,
			IdleConnTimeout:   keptFor,
			TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if n.Dial != "" {
					address = n.Dial
				}
				return dialer.DialContext(ctx, network, address)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// converse sends one subject's callbacks at their times until ctx ends. One whose time has come while the one before it is not answered follows at once.
func (n *load) converse(ctx context.Context, subject int, next time.Time) {
	client := n.kept[subject/perConnection]
	if subject%freshEach == 0 {
		client = n.fresh
	}
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	for i := 0; ; i++ {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		n.send(context.WithoutCancel(ctx), client, mark{load: n.name, subject: subject, n: i})
		next = next.Add(n.Interval)
		timer.Reset(time.Until(next))
	}
}

// send sends a callback and books what came of it.
func (n *load) send(ctx context.Context, client *http.Client, m mark) {
	n.mu.Lock()
	credential := n.credential
	n.mu.Unlock()
	sent := time.Now()
	status, body, err := n.post(ctx, client, m, credential, sent)
	at := time.Now()
	if err == nil && status == http.StatusOK && body == n.wanted {
		n.books.acknowledged(m, at.Sub(sent), n.limit)
		return
	}
	if err == nil && status == http.StatusServiceUnavailable && at.Sub(sent) >= n.limit*4/5 {
		n.books.slow(m)
		return
	}
	f := control.Failure{Mark: m.String(), Sent: sent, At: at, Kind: control.Answer, Status: status, Text: body}
	if err != nil {
		f.Kind, f.Text = kind(err), err.Error()
	}
	n.books.failed(m, f)
}

func (n *load) post(ctx context.Context, client *http.Client, m mark, credential string, at time.Time) (status int, answer string, err error) {
	message := platform.Message{Conversation: m.subject, N: m.n, Mark: m.String(), Padding: n.Padding}
	var r *http.Request
	if n.Source == control.Lazada {
		r, err = platform.LazadaRequest(ctx, n.URL, n.App, credential, platform.LazadaMessage(message))
	} else {
		body := platform.TencentMessage(message)
		r, err = platform.TencentRequest(ctx, n.URL, n.App, platform.TencentMessageCommand, credential, at, body)
	}
	if err != nil {
		return 0, "", err
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end, or broken
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, string(body), err
}

// kind tells what broke.
func kind(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return control.Dial
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return control.Silent
	}
	return control.Cut
}
