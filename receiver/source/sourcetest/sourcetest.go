// Package sourcetest is the conformance suite that every source plug-in passes.
package sourcetest

import (
	"net/textproto"
	"slices"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

// Harness says how to make a source and what is particular to its platform.
type Harness struct {
	// Source returns the source of an endpoint with these live credentials, in this order.
	Source func(tb testing.TB, credentials ...string) source.Source
	// OtherApp returns the source of an endpoint of another app of the platform, which has the same credentials.
	OtherApp func(tb testing.TB, credentials ...string) source.Source
	// Simulator plays the platform for Source's app, with this credential.
	Simulator func(tb testing.TB, credential string) source.Simulator

	// Window is how far the platform's request time may be from now, inclusive; zero: the platform signs no time.
	Window time.Duration
	// BodySigned says that the signature covers the body, and SignedQuery and SignedHeader name the parameters and headers any
	// change of which must be noticed.
	BodySigned                bool
	SignedQuery, SignedHeader []string
	// NotJSON is why a body that is not JSON is refused; empty: it is kept as an event of type Unparsed.
	NotJSON  source.Reason
	Unparsed string

	// Unknown is a callback of a kind that the platform may add tomorrow, and UnknownType the type of its event.
	Unknown, UnknownType string
	// Tenant is that of the first sample's event.
	Tenant string
	// Stored is the answer to a callback that is safe, byte for byte; Refused the answer to a refusal with the detail `say "why"`.
	Stored, Refused string
	// Within is the platform's time limit.
	Within time.Duration
}

// The credentials of the suite: the live one, another, and the two of a rotation.
const (
	credential      = "kX7s2Qv9LmT4bWn8RcYd1ZpE6HgJ0uAf" //nolint:gosec // it opens nothing
	otherCredential = "kX7s2Qv9LmT4bWn8RcYd1ZpE6HgJ0uAg" //nolint:gosec // it opens nothing
)

// now is when the suite's callbacks come in.
var now = time.Date(2025, 7, 2, 7, 10, 15, 250_000_000, time.UTC)

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	t.Run("Verify", h.verify)
	t.Run("Identify", h.identify)
	t.Run("Answer", h.answer)
	t.Run("Simulator", h.simulator)
	t.Run("concurrent use", h.concurrent)
}

// request is body as the platform would send it at the time at.
func request(tb testing.TB, sim source.Simulator, body []byte, at time.Time) *source.Request {
	tb.Helper()
	signed, err := sim.Sign(body, at)
	if err != nil {
		tb.Fatalf("Sign: %v", err)
	}
	header := textproto.MIMEHeader{}
	for name, values := range signed.Header {
		header[name] = append([]string(nil), values...)
	}
	return &source.Request{Query: signed.Query, Header: header, Body: append([]byte(nil), body...), Received: at}
}

// clone copies a request, so that a test can tamper with the copy.
func clone(r *source.Request) *source.Request {
	c := *r
	header := textproto.MIMEHeader{}
	for name, values := range headerOf(r) {
		header[name] = append([]string(nil), values...)
	}
	c.Header = header
	c.Body = append([]byte(nil), r.Body...)
	return &c
}

// headerOf returns the headers of a request that request made.
func headerOf(r *source.Request) textproto.MIMEHeader {
	header, _ := r.Header.(textproto.MIMEHeader)
	return header
}

// accept fails the test unless the request is verified and identified, and returns its events.
func accept(tb testing.TB, s source.Source, r *source.Request) []event.Event {
	tb.Helper()
	if _, refusal := source.Verify(s, r); refusal != nil {
		tb.Fatalf("Verify: refused as %s: %s", refusal.Reason, refusal.Detail)
	}
	events, refusal := s.Identify(nil, r)
	if refusal != nil {
		tb.Fatalf("Identify: refused as %s: %s", refusal.Reason, refusal.Detail)
	}
	return events
}

// refuse fails the test unless the request is refused, with one of the reasons if there are any.
func refuse(tb testing.TB, s source.Source, r *source.Request, want ...source.Reason) {
	tb.Helper()
	_, refusal := source.Verify(s, r)
	if refusal == nil {
		_, refusal = s.Identify(nil, r)
	}
	if refusal == nil {
		tb.Errorf("accepted query %q, header %q, want a refusal %v", r.Query, r.Header, want)
		return
	}
	checkRefusal(tb, refusal)
	if len(want) > 0 && !slices.Contains(want, refusal.Reason) {
		tb.Errorf("refused as %s: %s, want %v", refusal.Reason, refusal.Detail, want)
	}
}
