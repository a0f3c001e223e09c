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

// announced marks, in the head of a request, a body that is too large to wait for. No request can say so itself: no name holds a zero byte.
var announced = []byte{0}

// headReceived is called when a request's head is there, and what it returns bounds the body. One that announces more than a body may have is
// made one without a body, and its connection ends with the answer: nothing of it is waited for.
func (h *Handler) headReceived(head *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if int64(head.ContentLength()) > h.maxBody {
		head.SetContentLength(0)
		head.SetCanonical(announced, announced)
		head.SetConnectionClose()
	}
	// With less than a byte fasthttp would take its own limit. What is beyond that byte, the handler reads.
	return fasthttp.RequestConfig{MaxRequestBodySize: 1}
}

func announcedTooLarge(head *fasthttp.RequestHeader) bool { return len(head.PeekBytes(announced)) > 0 }

// ambiguous says whether two servers could disagree about where the request ends: it gives its length twice over (RFC 9112, section 6.1).
func ambiguous(head *fasthttp.RequestHeader) bool {
	if head.ContentLength() != -1 { // that is: in chunks
		return false
	}
	raw, name := bytes.ToLower(head.RawHeaders()), []byte("content-length:")
	return bytes.HasPrefix(raw, name) || bytes.Contains(raw, append([]byte{'\n'}, name...))
}

// target splits what a request is for into host, path and query, as they were sent. The host of an absolute target counts before the
// header (RFC 9112, section 3.2.2).
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
