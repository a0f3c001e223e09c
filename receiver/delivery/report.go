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

// reporter logs an endpoint's trouble without flooding: the first failure of an outage at once, and at once when the target fails in another way, unless
// such lines follow each other fast (see floorMin); then one summary a minute, and once when the target works again. Subjects are personal data and
// stay out: events are named by id and type.
type reporter struct {
	log  *slog.Logger
	now  func() time.Time
	dead deadLetters

	// failing and unsaid are also used without the lock, so that deliveries to a good target never wait for one another here.
	failing atomic.Bool
	unsaid  atomic.Int64 // failures since the last line, of a failure or a recovery
	mu      sync.Mutex
	outcome string        // what the last line of a failure told
	saidAt  time.Time     // when that was written
	nextAt  time.Time     // when the next one may be
	floor   time.Duration // how long after saidAt, if the target works in between or fails in another way

	bufferNextAt time.Time
}

func newReporter(log *slog.Logger, now func() time.Time) *reporter {
	return &reporter{log: log, now: now, dead: deadLetters{log: log}}
}

// count takes note of a failed attempt as soon as it has ended: failed comes only when that is stored, and until then many others may have failed.
func (r *reporter) count() { r.unsaid.Add(1) }

func (r *reporter) failed(d *buffer.Delivery, res target.Result, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.nextAt) && !r.isNews(res, now) {
		return
	}
	r.log.Warn("Delivery failed", "id", d.Event.ID.String(), "type", d.Event.Type, "attempt", d.Attempt,
		"outcome", res.Outcome, "detail", res.Detail, "failures", max(1, r.unsaid.Load())) // 0: a recovery was told of meanwhile
	r.said(res, now)
}

// isNews says whether a line was written of another way to fail, and this one may be told of. It is called with the lock held, as are said and worksAgain.
func (r *reporter) isNews(res target.Result, now time.Time) bool {
	if !r.failing.Load() || res.Outcome == r.outcome {
		return false
	}
	return r.floor == floorMin || !now.Before(r.saidAt.Add(r.floor))
}

// said takes note of a line of a failure.
func (r *reporter) said(res target.Result, now time.Time) {
	if now.Sub(r.saidAt) >= reportEvery {
		r.floor = floorMin
	} else {
		r.floor = min(2*r.floor, reportEvery)
	}
	r.unsaid.Store(0)
	r.failing.Store(true)
	r.outcome, r.saidAt, r.nextAt = res.Outcome, now, now.Add(reportEvery)
}

// delivered logs the recovery once for each outage that was told of. What fails after it is another outage.
func (r *reporter) delivered() {
	if !r.failing.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.failing.Load() {
		return // another delivery was faster
	}
	r.log.Info("Target accepts deliveries again")
	r.worksAgain()
}

func (r *reporter) worksAgain() {
	r.failing.Store(false)
	r.unsaid.Store(0)
	r.nextAt = r.saidAt.Add(r.floor)
}

// down, stillDown and up tell of the breaker, which sees to it that down and up are few. failures counts those since the last answer.
func (r *reporter) down(res target.Result, failures int, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log.Warn("Target is down, deliveries pause", "outcome", res.Outcome, "detail", res.Detail, "failures", failures, "nextTryIn", wait.Round(time.Millisecond).String())
	r.said(res, r.now())
}

// stillDown tells of a probe that failed if it did so in another way than was told last.
func (r *reporter) stillDown(res target.Result, failures int, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if !r.isNews(res, now) {
		return
	}
	r.log.Warn("Target is still down, but fails in another way", "outcome", res.Outcome, "detail", res.Detail, "failures", failures,
		"nextTryIn", wait.Round(time.Millisecond).String())
	r.said(res, now)
}

// up is the recovery of a target that was down: delivered then has nothing to add.
func (r *reporter) up(after time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log.Info("Target is up, deliveries go on", "downFor", after.Round(time.Millisecond).String())
	r.worksAgain()
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
