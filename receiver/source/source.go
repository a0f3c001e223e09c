// Package source is what a source plug-in is: the part of the receiver that knows one platform, and nothing else.
//
// A source knows how its platform signs, what its callbacks mean and which words it wants to hear. It knows nothing of HTTP
// servers, storage or retries: those belong to the stages around it. Package sourcetest holds the conformance suite that
// every source passes; package sources lists them.
package source

import (
	"crypto/sha256"
	"time"

	"github.com/hookbay/hookbay/receiver/event"
)

// Request is a callback as it came in.
type Request struct {
	// Query is the raw query string, without "?".
	Query string
	// Header holds the headers; nil: there are none.
	Header Header
	// Body is the raw body. It belongs to the request: a source must not change it or keep it beyond Identify's events.
	Body []byte
	// Received is the time to judge freshness by.
	Received time.Time
}

// Header looks headers up.
type Header interface {
	// Get returns the first value of a header, under its canonical name; empty if there is none.
	Get(name string) string
}

// Value returns the first value of a header, under its canonical name; empty if there is none.
func (r *Request) Value(name string) string {
	if r.Header == nil {
		return ""
	}
	return r.Header.Get(name)
}

// Proof says how a callback was verified.
type Proof struct {
	// Key is the position of the credential that matched in the endpoint's list, so that people see when the old key of a
	// rotation is no longer used; -1 if the endpoint accepts unsigned callbacks and this was one.
	Key int
	// Dated says that the platform sent its own time, and Skew how far that was ahead (+) of Received or behind (-).
	Dated bool
	Skew  time.Duration
	// Sum is the signature that the head claims, for a source that compares it with the body.
	Sum [sha256.Size]byte
}

// Source verifies, identifies and answers the callbacks of one platform for one endpoint. It is safe for concurrent use.
type Source interface {
	// VerifyHead checks what the query and the headers prove by themselves, before the body is read, which r does not have yet: a
	// flood that is refused here costs no body. The Proof is filled as far as it is known also when the callback is refused: a stale one
	// still tells of the clock's skew.
	VerifyHead(r *Request) (Proof, *Refusal)

	// VerifyBody checks what is left, given what VerifyHead returned for the same request: the raw bytes, in constant time, against
	// every live credential. Only what both let pass is verified.
	VerifyBody(r *Request, head Proof) (Proof, *Refusal)

	// Identify appends the events that a verified callback holds to dst: none if the endpoint's filter leaves it out, several if the
	// platform sent a batch. It fills everything but Endpoint and Received, and Time only where the platform gives one. It is
	// lenient: unknown fields and types are fine, integers never become floats. Tenant is never longer than MaxAttribute and may
	// share memory with the request.
	Identify(dst []event.Event, r *Request) ([]event.Event, *Refusal)

	// Answer returns the platform's own words: for a nil refusal "stored"; else why not. Body may be shared between calls.
	Answer(refusal *Refusal) Answer

	// AnswerWithin is the platform's time limit: a later answer counts as a failure.
	AnswerWithin() time.Duration
}

// Verify is VerifyHead and VerifyBody of a request that is there as a whole.
func Verify(s Source, r *Request) (Proof, *Refusal) {
	head := *r
	head.Body = nil
	proof, refusal := s.VerifyHead(&head)
	if refusal != nil {
		return proof, refusal
	}
	return s.VerifyBody(r, proof)
}

// Answer is what the platform is told. The status is 200, or the refusal's.
type Answer struct {
	ContentType string
	Body        []byte
}

// Reason is why a callback was not accepted: a bounded set, fit for a metric label.
type Reason string

// The reasons for a refusal. Sources use those that concern a platform's rules; ingest those of transport and storage.
const (
	ReasonSignatureMissing Reason = "signature_missing"
	ReasonSignatureWrong   Reason = "signature_wrong"
	ReasonStale            Reason = "stale"         // the platform's request time is outside the tolerance
	ReasonWrongApp         Reason = "wrong_app"     // another app's callback
	ReasonNotJSON          Reason = "not_json"      // and the platform does not sign the body
	ReasonBadCommand       Reason = "bad_command"   // the kind of callback is missing or contradictory
	ReasonMethod           Reason = "method"        // not POST
	ReasonTooLarge         Reason = "too_large"     // over the size limit
	ReasonTooSlow          Reason = "too_slow"      // the body did not arrive in time
	ReasonCannotStore      Reason = "cannot_store"  // disk full, engine away
	ReasonNotDelivered     Reason = "not_delivered" // there is no buffer, and the target did not take it
	ReasonSuspended        Reason = "suspended"     // there is no buffer, and delivery is suspended
	ReasonNotUsable        Reason = "not_usable"    // a credential of the endpoint cannot be used
	ReasonShuttingDown     Reason = "shutting_down" // the receiver stops
	ReasonBadRequest       Reason = "bad_request"   // the body broke off
	ReasonOverloaded       Reason = "overloaded"    // more callbacks than the receiver has room for, or can store in time
	ReasonRateLimited      Reason = "rate_limited"  // more callbacks than the endpoint's rate limit allows
	ReasonInternal         Reason = "internal"      // a defect of the receiver; the log has the details
)

// Refusal says why a callback is not accepted. It is never a secret: Detail reaches the platform's console and the log.
type Refusal struct {
	Reason Reason
	// Status is the HTTP status of the answer.
	Status int
	// Detail helps the person who set it up wrong and tells an attacker nothing. Lower-case, one line.
	Detail string
}
