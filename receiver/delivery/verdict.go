package delivery

import (
	"fmt"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/delivery/target"
)

// Why an event became a dead letter: the values of the metric label reason.
const (
	deadRejected = "rejected" // the target's answer says that no attempt will succeed
	deadExpired  = "expired"  // it failed and was older than MaxAge
)

// verdict is what becomes of an event.
type verdict struct {
	outcome buffer.Outcome
	// dead is one of the reasons above if the event is a dead letter, else empty.
	dead string
}

// decide judges a finished attempt. random is in [0, 1).
func (p Policy) decide(r target.Result, d *buffer.Delivery, now time.Time, random float64) verdict {
	switch r.Class {
	case target.Delivered:
		return verdict{outcome: buffer.Outcome{Verdict: buffer.Delivered}}
	case target.Rejected:
		return verdict{outcome: buffer.Outcome{Verdict: buffer.Dead, Reason: r.Detail}, dead: deadRejected}
	}
	if now.Sub(d.Event.Received) > p.MaxAge {
		reason := fmt.Sprintf("still failing after %s: %s", p.MaxAge, r.Detail)
		return verdict{outcome: buffer.Outcome{Verdict: buffer.Dead, Reason: reason}, dead: deadExpired}
	}
	return verdict{outcome: buffer.Outcome{Verdict: buffer.Retry, RetryAt: now.Add(p.backoff(d.Attempt, r.RetryAfter, random))}}
}
