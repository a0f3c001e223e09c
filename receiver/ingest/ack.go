package ingest

import (
	"net/http"
	"strconv"
	"time"

	"github.com/hookbay/hookbay/receiver/source"
)

// prepared is an answer whose headers are made already.
type prepared struct {
	contentType, contentLength []string
	body                       []byte
}

func prepare(a source.Answer) prepared {
	return prepared{contentType: []string{a.ContentType}, contentLength: []string{strconv.Itoa(len(a.Body))}, body: a.Body}
}

// noSuchPath is what strangers hear: nothing of what is served here. It is never written to.
var noSuchPath = prepare(source.Answer{ContentType: "application/json", Body: []byte(`{"error":"no such path"}`)})

// The headers of refusals, shared by all answers and never written to.
var (
	allowPost       = []string{http.MethodPost}
	retryAfter      = []string{"5"} // seconds
	retryNext       = []string{"1"} // seconds: rates are whole and at least one a second
	closeConnection = []string{"close"}
)

// write sends the answer. The keys are canonical, so they can be set without being looked at again.
func (p *prepared) write(w http.ResponseWriter, status int) {
	header := w.Header()
	header["Content-Type"] = p.contentType
	header["Content-Length"] = p.contentLength
	w.WriteHeader(status)
	_, _ = w.Write(p.body) // A client that is gone will send the callback again.
}

// refuse tells the platform, in its own words, why its callback is not accepted, and counts and logs it.
func (h *Handler) refuse(c *callback, refusal *source.Refusal) {
	answer := prepare(h.words(c.ep, refusal))
	header := c.w.Header()
	switch refusal.Status {
	case http.StatusMethodNotAllowed:
		header["Allow"] = allowPost
	case http.StatusServiceUnavailable:
		header["Retry-After"] = retryAfter
	case http.StatusTooManyRequests:
		header["Retry-After"] = retryNext
	}
	switch refusal.Reason {
	case source.ReasonTooSlow, source.ReasonBadRequest:
		header["Connection"] = closeConnection // nobody knows where a next request would begin
	case source.ReasonTooLarge:
		_ = http.NewResponseController(c.w).SetReadDeadline(time.Now()) // or net/http would wait for the rest
	}
	answer.write(c.w, refusal.Status)
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
