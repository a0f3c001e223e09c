//go:build linux

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"time"

	"github.com/valyala/fasthttp"
)

// The baselines. What they have in common is that they keep nothing.
const (
	// NetHTTP is a handler of net/http that reads the body and answers 200.
	NetHTTP = "nethttp"
	// FastHTTP is a handler of fasthttp that has the body read and answers 200.
	FastHTTP = "fasthttp"
	// Proxy is httputil.ReverseProxy.
	Proxy = "proxy"
	// Sink is where deliveries and the proxy's requests go to: the least that fasthttp does, counting what is new.
	Sink = "sink"
)

// Baselines are what StartBaseline and Serve take.
func Baselines() []string { return []string{NetHTTP, FastHTTP, Proxy, Sink} }

const (
	readTimeout = 30 * time.Second
	maxBody     = 4 << 20
)

// Serve is a baseline: it prints its address to w and serves until it is killed.
func Serve(ctx context.Context, name, target string, w io.Writer) error {
	if !slices.Contains(Baselines(), name) {
		return fmt.Errorf("-serve: write one of %v instead of %q", Baselines(), name)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w, l.Addr()); err != nil {
		return err
	}
	switch name {
	case FastHTTP:
		return serveFast(l, func(c *fasthttp.RequestCtx) { _ = c.PostBody() })
	case Sink:
		return serveFast(l, newSink().handle)
	case Proxy:
		p, err := newProxy(target)
		if err != nil {
			return err
		}
		return serveNet(l, p)
	default:
		return serveNet(l, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // a body that breaks off ends the connection
		}))
	}
}

func serveNet(l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: readTimeout}
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func serveFast(l net.Listener, h fasthttp.RequestHandler) error {
	s := &fasthttp.Server{
		Handler: h, ReadTimeout: readTimeout, MaxRequestBodySize: maxBody,
		NoDefaultServerHeader: true, NoDefaultDate: true, NoDefaultContentType: true,
	}
	return s.Serve(l)
}

// newProxy returns a reverse proxy that is as good as it gets: connections are kept, as many as there are requests, and buffers are reused.
func newProxy(target string) (http.Handler, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("-target: %w", err)
	}
	const many = 1024
	return &httputil.ReverseProxy{
		Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(u) },
		Transport:  &http.Transport{MaxIdleConns: many, MaxIdleConnsPerHost: many, DisableCompression: true},
		BufferPool: &buffers{free: make(chan []byte, many)},
	}, nil
}

// buffers keeps buffers for the proxy.
type buffers struct{ free chan []byte }

var _ httputil.BufferPool = (*buffers)(nil)

// Get returns a buffer.
func (b *buffers) Get() []byte {
	select {
	case buf := <-b.free:
		return buf
	default:
		return make([]byte, 32<<10)
	}
}

// Put takes it back.
func (b *buffers) Put(buf []byte) {
	select {
	case b.free <- buf:
	default:
	}
}
