package ingest

import (
	"log/slog"
	"net/http"
	"time"
)

// The server's bounds.
const (
	// headerTimeout ends connections that send their head slowly: no platform needs longer, and each holds memory.
	headerTimeout = 5 * time.Second
	// readTimeout is the backstop behind the handler's own body timeout, for requests that no endpoint takes.
	readTimeout = 10 * time.Second
	// writeTimeout ends connections that do not take their answer. It runs from the end of the head, so it leaves room for a slow body.
	writeTimeout = 20 * time.Second
	// idleTimeout is longer than proxies and platforms keep unused connections, 60 to 90 s: otherwise a callback could be sent into a
	// connection that is just being closed, and be lost.
	idleTimeout = 130 * time.Second
	// maxHeaderBytes is ample for both platforms; net/http would take 1 MiB.
	maxHeaderBytes = 16 << 10
)

// NewServer returns the server that callbacks come in on: plain HTTP/1.1, which is what the platforms' ingress speaks to its backends.
// What net/http has to say concerns broken connections of strangers and is logged at debug level.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
