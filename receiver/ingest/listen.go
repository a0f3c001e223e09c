package ingest

import (
	"errors"
	"io"
	"net/http"

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
	case !c.ctx.IsPost():
		return &source.Refusal{Reason: source.ReasonMethod, Status: http.StatusMethodNotAllowed, Detail: "only POST is allowed"}
	case isMarked(&c.ctx.Request.Header, announced):
		return tooLarge()
	case isMarked(&c.ctx.Request.Header, malformed):
		return &source.Refusal{Reason: source.ReasonBadRequest, Status: http.StatusBadRequest, Detail: "the request is not proper HTTP/1.1"}
	case c.ep.buffered && h.pace.full(c.ep.within/2, 0, c.start):
		return overloaded
	}
	return nil
}

// queue takes a place among those that wait to be stored, now that the body is there. It may have taken a while to arrive, so that it is time to look
// again whether the callback can be stored in time.
func (h *Handler) queue(c *callback) *source.Refusal {
	c.arrived = h.now()
	if !c.ep.buffered {
		return nil
	}
	if h.pace.full(c.ep.within/2, c.arrived.Sub(c.start), c.arrived) {
		return overloaded
	}
	c.place = h.pace.enter(c.arrived)
	return nil
}

// read takes the body in. A small body has arrived with the head, as nearly all do. Memory for a larger one grows only as it really
// arrives: announcing a length costs a stranger nothing, sending it does.
func (h *Handler) read(c *callback) *source.Refusal {
	body := c.ctx.RequestBodyStream()
	if body == nil { // there is none
		c.bodyRead = true
		return nil
	}
	// fasthttp makes headers that follow the body headers of the request. What the source has verified of it would be something else then.
	head, headers := &c.ctx.Request.Header, 0
	if head.ContentLength() < 0 { // in chunks
		headers = head.Len()
	}
	for {
		if len(c.buf) == cap(c.buf) && !h.grow(c) {
			return overloaded
		}
		n, err := body.Read(c.buf[len(c.buf):cap(c.buf)])
		c.buf = c.buf[:len(c.buf)+n]
		switch {
		case int64(len(c.buf)) > h.maxBody:
			return tooLarge()
		case errors.Is(err, io.EOF) && (head.ContentLength() > len(c.buf) || brokeOff(c.ctx)):
			return c.failed(io.ErrUnexpectedEOF) // fasthttp takes the end of the connection for that of the body
		case errors.Is(err, io.EOF) && headers > 0 && head.Len() != headers:
			return &source.Refusal{Reason: source.ReasonBadRequest, Status: http.StatusBadRequest, Detail: "headers follow the body"}
		case errors.Is(err, io.EOF):
			c.req.Body, c.bodyRead = c.buf, true
			return nil
		case err != nil:
			return c.failed(err)
		}
	}
}

// grow doubles the buffer, no further than one byte more than a body may have, if there is room for it.
func (h *Handler) grow(c *callback) bool {
	size := min(2*int64(cap(c.buf)), max(h.maxBody+1, int64(cap(c.buf))+1))
	if !h.room.widen(c, size-int64(cap(c.buf))) {
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

// overloaded refuses what there is no room or no time for.
var overloaded = &source.Refusal{
	Reason: source.ReasonOverloaded, Status: http.StatusServiceUnavailable, Detail: "too many callbacks at once, send it again",
}
