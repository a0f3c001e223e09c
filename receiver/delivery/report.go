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

// floorMin is how long after an outage's line the first line of the next outage may come. It doubles with each outage that begins within
// a minute of the line before: a target that fails now and then must not write a line for each failure.
const floorMin = time.Second

// reporter logs an endpoint's trouble without flooding: the first failure of an outage at once, unless outages follow each other fast
// (see floorMin), then one summary a minute, and once when the target works again. Subjects are personal data and stay out: events are named by id and type.
type reporter struct {
	log *slog.Logger

	// failing is also read without the lock, so that deliveries to a good target never wait for one another here.
	failing atomic.Bool
	mu      sync.Mutex
	unsaid  int           // failures since the last line, of a failure or a recovery
	saidAt  time.Time     // when the last line of a failure was written
	nextAt  time.Time     // when the next one may be
	floor   time.Duration // how long after saidAt, if the target works in between

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
	if now.Sub(r.saidAt) >= reportEvery {
		r.floor = floorMin
	} else {
		r.floor = min(2*r.floor, reportEvery)
	}
	r.failing.Store(true)
	r.unsaid = 0
	r.saidAt, r.nextAt = now, now.Add(reportEvery)
}

// delivered logs the recovery once for each outage that was told of. What fails after it is another outage.
func (r *reporter) delivered() {
	if !r.failing.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.failing.CompareAndSwap(true, false) {
		return // another delivery was faster
	}
	r.log.Info("Target accepts deliveries again")
	r.unsaid = 0
	r.nextAt = r.saidAt.Add(r.floor)
}

// down and up tell of the breaker, which sees to it that they are few.
func (r *reporter) down(res target.Result, wait time.Duration) {
	r.log.Warn("Target is down, deliveries pause", "outcome", res.Outcome, "detail", res.Detail, "nextTryIn", wait.Round(time.Millisecond).String())
}

func (r *reporter) up(after time.Duration) {
	r.log.Info("Target is up, deliveries go on", "downFor", after.Round(time.Millisecond).String())
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
