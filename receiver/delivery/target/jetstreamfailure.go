package target

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hookbay/hookbay/receiver/natsconn"
)

// The servers' codes of what they say of a message, where the library has no name for them.
const (
	codeTooLarge    jetstream.ErrorCode = 10054 // larger than the stream's max_msg_size
	codeStoreFailed jetstream.ErrorCode = 10077 // the stream is full, or its disk fails
	codeSealed      jetstream.ErrorCode = 10109
)

// cancelled is the result of an attempt that the receiver's stop ended.
func cancelled() Result {
	return Result{Class: Retryable, Outcome: OutcomeCancelled, Detail: "the receiver stopped before the answer came"}
}

// connectionFailure says why there is no connection to the servers.
func connectionFailure(ctx context.Context, err error) Result {
	if errors.Is(ctx.Err(), context.Canceled) {
		return cancelled()
	}
	r := Result{Class: Retryable, Outcome: OutcomeNetwork, Detail: printable(err.Error())}
	if forbidden, ok := errors.AsType[*forbiddenAddressError](err); ok {
		r.Outcome, r.Detail = OutcomeForbiddenAddress, forbidden.Error()
		return r
	}
	switch natsconn.Explain(err).Outcome {
	case natsconn.Auth:
		r.Outcome = OutcomeAuth
	case natsconn.TLS:
		r.Outcome = OutcomeTLS
	case natsconn.DNS:
		r.Outcome = OutcomeDNS
	case natsconn.Refused:
		r.Outcome = OutcomeRefused
	case natsconn.Timeout:
		r.Outcome = OutcomeTimeout
	}
	return r
}

// failure says what a message that was not stored means.
func (l natsLink) failure(ctx context.Context, m *nats.Msg, err error, start time.Time, timeout time.Duration) Result {
	refused, isAPI := errors.AsType[*jetstream.APIError](err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return cancelled()
	case isAPI:
		return streamFailure(refused)
	case errors.Is(err, nats.ErrMaxPayload):
		return Result{Class: Rejected, Outcome: OutcomeInvalid, Detail: "the message is larger than the servers take: " +
			"raise their max_payload, then replay the event"}
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return Result{Class: Retryable, Outcome: OutcomeNoTopic, Detail: fmt.Sprintf("no stream takes subject %s now: create one whose subjects include it, "+
			"or wait until it has a leader again", printable(m.Subject))}
	}
	if why := l.conn.Complaint(start); why != nil && natsconn.Explain(why).Outcome == natsconn.Auth {
		return Result{Class: Retryable, Outcome: OutcomeAuth, Detail: printable(natsconn.Explain(why).Error())}
	}
	if why := l.conn.Ready(); why != nil {
		return connectionFailure(ctx, why)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) {
		return Result{Class: Retryable, Outcome: OutcomeTimeout, Detail: fmt.Sprintf("no acknowledgement within %s", timeout)}
	}
	return Result{Class: Retryable, Outcome: OutcomeNetwork, Detail: "the connection broke before the stream had acknowledged it"}
}

// streamFailure says what a stream's refusal means.
func streamFailure(err *jetstream.APIError) Result {
	r := Result{Class: Retryable, Outcome: OutcomeUnavailable, Detail: "the stream refuses it for now: " + printable(err.Description)}
	switch err.ErrorCode {
	case codeTooLarge:
		r.Class, r.Outcome = Rejected, OutcomeInvalid
		r.Detail = "the message is larger than the stream takes: raise its max_msg_size, then replay the event"
	case codeStoreFailed:
		r.Detail = "the stream can't store it: " + printable(err.Description) + "; make room in it, or raise its limits"
	case codeSealed:
		r.Detail = "the stream is sealed: unseal it, or publish to another"
	}
	return r
}
