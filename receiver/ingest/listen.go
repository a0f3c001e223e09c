package ingest

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/hookbay/hookbay/receiver/source"
)

// What the pool keeps. The platforms' usual callbacks fit a small buffer; one that grew for a rare one is given back to the collector.
const (
	smallBody   = 8 << 10  // bytes
	largestKept = 64 << 10 // bytes
	mostKept    = 128      // events
)

// listen decides from the head of the request whether its body is worth reading.
func (h *Handler) listen(c *callback) *source.Refusal {
	switch {
	case c.r.Method != http.MethodPost:
		return &source.Refusal{Reason: source.ReasonMethod, Status: http.StatusMethodNotAllowed, Detail: "only POST is allowed"}
	case c.r.ContentLength > h.maxBody:
		return tooLarge()
	case !h.room.enter(c):
		return overloaded()
	}
	return nil
}

// read takes the body in. A body of known length needs one read if it is small and has arrived with the head, as nearly all do. Memory
// for a larger one grows only as it really arrives: announcing a length costs a stranger nothing, sending it does.
func (h *Handler) read(c *callback) *source.Refusal {
	body := c.r.Body
	if c.r.ContentLength < 0 {
		body = http.MaxBytesReader(c.w, body, h.maxBody) // past the limit it has the server close the connection, without awaiting the rest
	}
	for {
		if len(c.buf) == cap(c.buf) && !h.grow(c) {
			return overloaded()
		}
		n, err := body.Read(c.buf[len(c.buf):cap(c.buf)])
		c.buf = c.buf[:len(c.buf)+n]
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			c.req.Body = c.buf
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return &source.Refusal{Reason: source.ReasonTooSlow, Status: http.StatusRequestTimeout, Detail: "the body did not arrive in time"}
		default:
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				return tooLarge()
			}
			c.cause = err
			return &source.Refusal{Reason: source.ReasonBadRequest, Status: http.StatusBadRequest, Detail: "the body broke off"}
		}
	}
}

// grow doubles the buffer, no further than one byte more than a body may have, if there is room for it.
func (h *Handler) grow(c *callback) bool {
	size := min(2*int64(cap(c.buf)), max(h.maxBody+1, int64(cap(c.buf))+1))
	if !h.room.widen(size - int64(cap(c.buf))) {
		return false
	}
	larger := make([]byte, len(c.buf), size)
	copy(larger, c.buf)
	c.buf = larger
	return true
}

func tooLarge() *source.Refusal {
	return &source.Refusal{Reason: source.ReasonTooLarge, Status: http.StatusRequestEntityTooLarge, Detail: "the body is too large"}
}

func overloaded() *source.Refusal {
	return &source.Refusal{Reason: source.ReasonOverloaded, Status: http.StatusServiceUnavailable, Detail: "too many callbacks at once, send it again"}
}

// room bounds the callbacks under way and the memory of their bodies.
type room struct {
	maxRequests, maxBytes int64
	requests, bytes       atomic.Int64
}

// enter takes a place and room for the callback's buffer. A callback that entered must leave.
func (r *room) enter(c *callback) bool {
	if r.requests.Add(1) <= r.maxRequests && r.widen(int64(cap(c.buf))) {
		return true
	}
	r.requests.Add(-1)
	return false
}

// widen takes room for more bytes.
func (r *room) widen(bytes int64) bool {
	if r.bytes.Add(bytes) <= r.maxBytes {
		return true
	}
	r.bytes.Add(-bytes)
	return false
}

func (r *room) leave(c *callback) {
	r.bytes.Add(-int64(cap(c.buf)))
	r.requests.Add(-1)
}
