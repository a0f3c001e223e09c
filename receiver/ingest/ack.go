package ingest

import (
	"net/http"

	"github.com/valyala/fasthttp"

	"github.com/hookbay/hookbay/receiver/source"
)

// prepared is an answer, ready to be sent.
type prepared struct {
	contentType string
	body        []byte
}

func prepare(a source.Answer) prepared { return prepared{contentType: a.ContentType, body: a.Body} }

// What strangers hear: nothing of what is served here. Never written to.
var (
	noSuchPath    = prepare(source.Answer{ContentType: "application/json", Body: []byte(`{"error":"no such path"}`)})
	headTooLarge  = prepare(source.Answer{ContentType: "application/json", Body: []byte(`{"error":"the request's head is too large"}`)})
	tooSlow       = prepare(source.Answer{ContentType: "application/json", Body: []byte(`{"error":"the request did not arrive in time"}`)})
	notUnderstood = prepare(source.Answer{ContentType: "application/json", Body: []byte(`{"error":"the request is not proper HTTP/1.1"}`)})
)

// When to come again, in seconds.
const (
	retryAfter = "5"
	retryNext  = "1" // rates are whole and at least one a second
)

// write sets the answer. The server sends it, and does not change the body.
func (p *prepared) write(ctx *fasthttp.RequestCtx, status int) {
	ctx.Response.SetStatusCode(status)
	ctx.Response.Header.SetContentType(p.contentType)
	ctx.Response.SetBodyRaw(p.body)
}

// refuse tells the platform, in its own words, why its callback is not accepted, and counts and logs it.
func (h *Handler) refuse(c *callback, refusal *source.Refusal) {
	answer := c.ep.busy
	if refusal != overloaded {
		answer = prepare(h.words(c.ep, refusal))
	}
	header := &c.ctx.Response.Header
	switch refusal.Status {
	case http.StatusMethodNotAllowed:
		header.Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", retryAfter)
	case http.StatusTooManyRequests:
		header.Set("Retry-After", retryNext)
	}
	if !c.bodyRead {
		skip(c.ctx)
	}
	answer.write(c.ctx, refusal.Status)
	c.ep.metrics.refused(refusal.Reason, c.start)
	h.logRefusal(c, refusal)
}

// words asks the source for its words; one that panics is answered for.
func (h *Handler) words(ep *endpoint, refusal *source.Refusal) (answer source.Answer) {
	defer func() {
		if p := recover(); p != nil {
			h.logPanic(ep, p)
			answer = source.Answer{ContentType: "application/json", Body: []byte(`{"error":"refused"}`)}
		}
	}()
	return ep.Source.Answer(refusal)
}
