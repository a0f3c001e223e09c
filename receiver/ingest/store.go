package ingest

import (
	"errors"
	"net/http"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/source"
)

// store returns once the events are durable, or, for an endpoint without a buffer, with the target. It does not depend on the client staying: an event whose sender has hung up is worth as
// much, and Tencent never sends it again.
func (h *Handler) store(c *callback) *source.Refusal {
	if len(c.events) == 0 {
		c.outcome = filtered
		return nil
	}
	if refusal := c.ep.limits.admit(c.events, c.start); refusal != nil {
		return refusal
	}
	c.waited = true
	c.patience.begin(timeToStore(c.ep.within, c.arrived.Sub(c.start)))
	defer func() {
		if !c.patience.stop() {
			c.patience = newPatience()
		}
	}()
	c.borrowed = true // unless Append returns with success
	appended, err := c.ep.Queue.Append(c.patience, c.events)
	if err != nil {
		c.cause = err
		return cannotStore(err)
	}
	c.borrowed = false
	c.outcome = duplicate
	if appended.Stored > 0 {
		c.outcome = stored
	}
	return nil
}

// timeToStore is how long storing may take: until four fifths of the platform's limit are over, so that it hears a clear 503 rather than a
// late 200. An event that is stored just then nevertheless is a duplicate when the platform repeats it. A body that took most of the
// limit to arrive still gets one fifth: where the platform does not repeat, trying is all that can save the event.
func timeToStore(within, elapsed time.Duration) time.Duration {
	return max(within*4/5-elapsed, within/5)
}

func cannotStore(err error) *source.Refusal {
	refusal := &source.Refusal{Reason: source.ReasonCannotStore, Status: http.StatusServiceUnavailable, Detail: "cannot store it now, send it again"}
	switch {
	case errors.Is(err, buffer.ErrClosed):
		refusal.Reason, refusal.Detail = source.ReasonShuttingDown, "the receiver stops, send it again"
	case errors.Is(err, buffer.ErrTooLarge):
		refusal.Reason, refusal.Status, refusal.Detail = source.ReasonTooLarge, http.StatusRequestEntityTooLarge, "it is too large to be stored"
	case errors.Is(err, buffer.ErrNotDelivered):
		refusal.Reason, refusal.Detail = source.ReasonNotDelivered, "the target did not take it, send it again"
	case errors.Is(err, buffer.ErrSuspended):
		refusal.Reason, refusal.Detail = source.ReasonSuspended, "delivery is suspended, send it again later"
	}
	return refusal
}
