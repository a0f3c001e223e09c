package ingest

import (
	"log/slog"
	"net/http"
	"time"
)

// The server's bounds.
const (
	// writeTimeout ends connections that do not take their answer. It runs from the end of the head, so it leaves room for a slow body.
	writeTimeout = 20 * time.Second
	// idleTimeout is longer than proxies and platforms keep unused connections, 60 to 90 s: otherwise a callback could be sent into a
	// connection that is just being closed, and be lost.
	idleTimeout = 130 * time.Second
	// maxHeaderBytes is ample for both platforms; net/http would take 1 MiB.
	maxHeaderBytes = 16 << 10
)

// NewServer returns the handler's server that callbacks come in on: plain HTTP/1.1, which is what the platforms' ingress speaks to its backends.
// What net/http has to say concerns broken connections of strangers and is logged at debug level.
func NewServer(h *Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:   h,
		Protocols: protocols,
		// One deadline for head and body: each costs as much to set as it takes to check a signature.
		ReadTimeout:    h.requestTimeout,
		WriteTimeout:   writeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
