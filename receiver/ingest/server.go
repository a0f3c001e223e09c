package ingest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/hookbay/hookbay/receiver/conns"
)

// The server's bounds.
const (
	// writeTimeout ends connections that do not take their answer.
	writeTimeout = 20 * time.Second
	// idleTimeout is longer than proxies and platforms keep unused connections, 60 to 90 s: otherwise a callback could be sent into a
	// connection that is just being closed, and be lost.
	idleTimeout = 130 * time.Second
	// maxHead is ample for both platforms, in bytes. Each connection has that much memory for what it reads.
	maxHead = 8 << 10
	// shutdownPoll is how often Shutdown looks for connections that have become idle.
	shutdownPoll = 20 * time.Millisecond
	// freshPatience is how long Shutdown leaves a connection alone that has not been used yet: its first request may be on its way.
	freshPatience = 5 * time.Second
)

// Server is what callbacks come in on: plain HTTP/1.1, which is what the platforms' ingress speaks to its backends. fasthttp reads the
// requests, because it takes half of net/http's time for that (see docs/benchmarks.md); connections are this server's own: it accepts
// them, each has one goroutine, which survives a panic, and they end in the order that Shutdown promises.
type Server struct {
	http    fasthttp.Server
	handler *Handler
	log     *slog.Logger

	mu       sync.Mutex
	listener net.Listener
	open     map[*connection]struct{}
	closing  bool
	running  sync.WaitGroup // a goroutine for each connection
}

// NewServer returns the server that leads callbacks to h. What it has to say concerns broken connections of strangers and is logged at debug level.
func NewServer(h *Handler, log *slog.Logger) *Server {
	s := &Server{handler: h, log: log, open: map[*connection]struct{}{}}
	s.http = fasthttp.Server{
		Handler:        h.ServeHTTP,
		ErrorHandler:   h.broken,
		HeaderReceived: h.headReceived,
		ConnState:      noteState,
		// One deadline for head and body.
		ReadTimeout:           h.requestTimeout,
		WriteTimeout:          writeTimeout,
		IdleTimeout:           idleTimeout,
		ReadBufferSize:        maxHead,
		StreamRequestBody:     true, // larger bodies are read by the handler, when there is room for them
		NoDefaultServerHeader: true,
		NoDefaultContentType:  true,
		SecureErrorLogMessage: true,
		// Forms mean nothing to either platform.
		DisablePreParseMultipartForm: true,
		Logger:                       quiet{},
	}
	return s
}

// quiet drops what fasthttp logs: it might quote requests.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// Serve accepts connections until Shutdown or Close, then returns http.ErrServerClosed.
func (s *Server) Serve(port net.Listener) error {
	l := conns.Listen(port, s.handler.roster)
	s.mu.Lock()
	s.listener = l
	closing := s.closing
	s.mu.Unlock()
	if closing {
		return errors.Join(http.ErrServerClosed, l.Close())
	}
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			s.start(c.(*conns.Conn)) //nolint:forcetypeassert // It accepts nothing else.
		case s.stopped():
			return http.ErrServerClosed
		default:
			return err
		}
	}
}

func (s *Server) stopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// start gives a connection its goroutine.
func (s *Server) start(nc *conns.Conn) {
	c := newConnection(nc, s.handler.requestTimeout)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		c.cut()
		return
	}
	s.open[c] = struct{}{}
	s.running.Go(func() { s.serve(c) })
}

// serve leads one connection's requests to the handler. A panic outside of the stages would be a defect of the HTTP library: it costs this
// connection and no other.
func (s *Server) serve(c *connection) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("Connection handling panicked", "stack", string(debug.Stack()))
			c.cut()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, c)
	}()
	if err := s.http.ServeConn(c); err != nil {
		s.log.Debug("Connection ended", "error", err)
	}
}

// Shutdown closes the port and waits until no request is under way. Connections are closed as they become idle, and those that were never used
// after a grace. It returns ctx's error if that ends first; what is left then ends with Close.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.stopAccepting(); err != nil {
		return err
	}
	poll := time.NewTicker(shutdownPoll)
	defer poll.Stop()
	for !s.closeIdle(time.Now()) {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.running.Wait()
	return nil
}

// Close closes the port and cuts every connection.
func (s *Server) Close() error {
	err := s.stopAccepting()
	s.mu.Lock()
	for c := range s.open {
		c.cut()
	}
	s.mu.Unlock()
	s.running.Wait()
	return err
}

func (s *Server) stopAccepting() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil
	}
	s.closing = true
	if s.listener == nil {
		return nil
	}
	return s.listener.Close()
}

// closeIdle closes the connections that nothing is under way on, and says whether all are gone.
func (s *Server) closeIdle(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		switch state(c.state.Load()) {
		case fresh:
			if now.Sub(c.since) > freshPatience {
				c.cut()
			}
		case idle:
			c.cut()
		}
	}
	return len(s.open) == 0
}
