package ingest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/hookbay/hookbay/receiver/source"
)

// Marks in the head of a request that nothing after it is read of. No request can bear them by itself: no name holds a zero byte.
var (
	announced = []byte{0} // it announces a body that is too large to wait for
	malformed = []byte{0, 0}
)

// headReceived is called when a request's head is there, and what it returns bounds the body. A request whose body nobody wants to wait for, or whose
// end nobody can be sure of, is made one without a body, and its connection ends with the answer.
func (h *Handler) headReceived(head *fasthttp.RequestHeader) fasthttp.RequestConfig {
	switch proper, last := checkHead(head); {
	case !proper:
		cutShort(head, malformed)
	case int64(head.ContentLength()) > h.maxBody:
		cutShort(head, announced)
	case len(head.Peek("Expect")) > 0 && h.table.Load().find(head) == nil:
		withoutBody(head)
	case last:
		head.SetConnectionClose()
	}
	// With less than a byte fasthttp would take its own limit. What is beyond that byte, the handler reads.
	return fasthttp.RequestConfig{MaxRequestBodySize: 1}
}

func cutShort(head *fasthttp.RequestHeader, mark []byte) {
	withoutBody(head)
	head.SetCanonical(mark, mark)
}

// withoutBody also keeps who waits for "100 Continue" from being asked to send what nobody reads.
func withoutBody(head *fasthttp.RequestHeader) {
	head.SetContentLength(0)
	head.Del("Expect")
	head.SetConnectionClose()
}

func isMarked(head *fasthttp.RequestHeader, mark []byte) bool { return len(head.PeekBytes(mark)) > 0 }

// target splits what a request is for into host, path and query, as they were sent. The host of an absolute target counts before the
// header (RFC 9112, section 3.2.2). A target that names no host, or a user at one, is for nobody here.
func target(head *fasthttp.RequestHeader) (host, path, query []byte) {
	host, path = head.Host(), head.RequestURI()
	if len(path) > 0 && path[0] != '/' {
		_, rest, ok := bytes.Cut(path, []byte("://"))
		if !ok {
			return host, nil, nil // "*", and what is for proxies
		}
		slash := bytes.IndexAny(rest, "/?")
		if slash < 0 {
			slash = len(rest)
		}
		host, path = rest[:slash], rest[slash:]
		if len(host) == 0 || bytes.IndexByte(host, '@') >= 0 {
			return head.Host(), nil, nil
		}
	}
	path, query, _ = bytes.Cut(path, []byte{'?'})
	return host, path, query
}

// skip passes over what has arrived of a body that nobody wants. If that is not all of it, the connection ends with the answer, as nobody knows
// where the next request would begin.
func skip(ctx *fasthttp.RequestCtx) {
	body := ctx.RequestBodyStream()
	if body == nil {
		return
	}
	c, ok := ctx.Conn().(*connection)
	if !ok || c.SetReadDeadline(longAgo) != nil { // nothing is waited for
		ctx.SetConnectionClose()
		return
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		ctx.SetConnectionClose()
	}
}

var longAgo = time.Unix(1, 0)

// broken is called for what never becomes a request: its head is wrong, or it or the first byte of its body did not arrive. The connection ends then.
func (h *Handler) broken(ctx *fasthttp.RequestCtx, err error) {
	_, tooLarge := errors.AsType[*fasthttp.ErrSmallBuffer](err)
	switch {
	case tooLarge:
		headTooLarge.write(ctx, fasthttp.StatusRequestHeaderFieldsTooLarge)
	case isTimeout(err):
		tooSlow.write(ctx, fasthttp.StatusRequestTimeout)
	default:
		notUnderstood.write(ctx, fasthttp.StatusBadRequest)
	}
}

// failed is why a body did not arrive.
func (c *callback) failed(err error) *source.Refusal {
	c.ctx.SetConnectionClose() // nobody knows where a next request would begin
	if isTimeout(err) {
		return &source.Refusal{Reason: source.ReasonTooSlow, Status: fasthttp.StatusRequestTimeout, Detail: "the body did not arrive in time"}
	}
	c.cause = err
	return &source.Refusal{Reason: source.ReasonBadRequest, Status: fasthttp.StatusBadRequest, Detail: "the body broke off"}
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
