package delivery

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/delivery/target"
)

// reportEvery is how often at most a dispatcher logs that its target fails, or that its buffer does.
const reportEvery = time.Minute

// reporter logs an endpoint's trouble without flooding: the first failure at once, then one summary a minute, and once when the target
// works again. Subjects are personal data and stay out: events are named by id and type.
type reporter struct {
	log *slog.Logger

	// failing is also read without the lock, so that deliveries to a good target never wait for one another here.
	failing atomic.Bool
	mu      sync.Mutex
	unsaid  int       // failures since the last line
	nextAt  time.Time // when the next line may be written

	bufferNextAt time.Time
}

func (r *reporter) failed(d *buffer.Delivery, res target.Result, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unsaid++
	if now.Before(r.nextAt) {
		return
	}
	r.log.Warn("Delivery failed", "id", d.Event.ID.String(), "type", d.Event.Type, "attempt", d.Attempt,
		"outcome", res.Outcome, "detail", res.Detail, "failures", r.unsaid)
	r.failing.Store(true)
	r.unsaid = 0
	r.nextAt = now.Add(reportEvery)
}

// delivered logs the recovery once for each line that told of a failure.
func (r *reporter) delivered() {
	if r.failing.Load() && r.failing.CompareAndSwap(true, false) {
		r.log.Info("Target accepts deliveries again")
	}
}

func (r *reporter) dead(d *buffer.Delivery, reason string) {
	r.log.Warn("Event became a dead letter", "id", d.Event.ID.String(), "type", d.Event.Type, "attempts", d.Attempt, "reason", reason)
}

func (r *reporter) bufferFailed(op string, err error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.bufferNextAt) {
		return
	}
	r.log.Error("Buffer failed, trying again", "operation", op, "error", err)
	r.bufferNextAt = now.Add(reportEvery)
}
