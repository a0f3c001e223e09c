// Package target is where events go: one file a kind of target.
package target

import (
	"context"
	"time"

	"github.com/hookbay/hookbay/receiver/event"
)

// Target sends one event, once. It is safe for concurrent use.
type Target interface {
	// Send makes one attempt, number attempt from 1, and returns when it is over or ctx ends.
	Send(ctx context.Context, e *event.Event, attempt int) Result
	// Close lets go of idle connections. Attempts under way end by themselves.
	Close()
}

// Class is what an attempt's result means for the event.
type Class uint8

// The classes of results.
const (
	// Delivered: the target has it.
	Delivered Class = iota + 1
	// Retryable: another attempt may succeed.
	Retryable
	// Rejected: no attempt will succeed.
	Rejected
)

// Result is how an attempt ended.
type Result struct {
	Class Class
	// Outcome is a short bounded word for metrics: "2xx", "5xx", "timeout", "refused".
	Outcome string
	// Detail says it to a person: "target answered 503 Service Unavailable". Never holds a secret.
	Detail string
	// RetryAfter is the target's own wish, zero if it had none.
	RetryAfter time.Duration
}
