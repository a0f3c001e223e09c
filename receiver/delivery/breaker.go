package delivery

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/event"
)

const (
	// breakerRun is how many different subjects must have failed, one after another and none delivered in between, before the target counts as down. A
	// target that fails half of its attempts comes to that once in a million attempts; so many poisoned subjects at once are none.
	breakerRun = 20
	// The pauses between two probes, before jitter: they double.
	breakerPauseMin = time.Second
	breakerPauseMax = 30 * time.Second
	// breakerRetryAfter is how far a probe's Retry-After is honoured: beyond it, a target that is back would wait for too long.
	breakerRetryAfter = 5 * time.Minute
)

// breaker keeps a dead target from being hammered. It opens when nothing but failures of the target itself have come back for a while, of many
// subjects; then one attempt at a time, a probe, finds out whether it is back, with growing pauses. It closes gradually: each attempt that the target
// answers allows one more at once, so that they double with each round trip.
//
// It reads the time itself: pauses must not grow when the clock is set.
type breaker struct {
	o breakerOptions

	mu       sync.Mutex
	changed  chan struct{} // closed when more may be allowed; nil: nobody waits
	allowed  int           // attempts at once; 0: open
	inFlight int           // of this epoch, probes not counted
	epoch    int           // counts the openings: what began before one says nothing of what came after it
	run      []uint64      // the subjects that failed since the last answer; of each just a hash
	seed     maphash.Seed
	probing  bool
	probeAt  time.Time     // when the next probe may begin
	pause    time.Duration // the last one, before jitter
	opened   time.Time
	closed   time.Time
	outcome  string // of the last failure, while it is open
	failures int    // of the target since the last answer
	last     Failure
	retired  bool
}

type breakerOptions struct {
	limit     int  // of attempts at once while the target works
	unordered bool // a subject may have several attempts under way: its events count each for themselves
	atOnce    bool // it closes at once, because no backlog waits behind it
	rand      func() float64
	metrics   *endpointMetrics
	report    *reporter
}

func newBreaker(o breakerOptions) *breaker {
	return &breaker{o: o, allowed: o.limit, run: make([]uint64, 0, breakerRun), seed: maphash.MakeSeed()}
}

// ticket is the breaker's leave for an attempt.
type ticket struct {
	epoch int
	probe bool
}

// wait waits until an attempt may begin; false if ctx ended first.
func (b *breaker) wait(ctx context.Context) bool {
	for {
		b.mu.Lock()
		wait, ok := b.ask()
		if !ok && b.changed == nil {
			b.changed = make(chan struct{})
		}
		changed := b.changed
		b.mu.Unlock()
		if ok {
			return ctx.Err() == nil
		}
		if !await(ctx, changed, wait) {
			return false
		}
	}
}

// await waits for a change, or as long as wait if that isn't zero; false if ctx ended first.
func await(ctx context.Context, changed <-chan struct{}, wait time.Duration) bool {
	var due <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-changed:
	case <-due:
	case <-ctx.Done():
		return false
	}
	return true
}

// ask says whether an attempt may begin; if not, how long to wait for that at most, or 0 if it takes the end of another attempt. It is called with
// the lock held.
func (b *breaker) ask() (wait time.Duration, ok bool) {
	switch {
	case b.allowed > 0:
		return 0, b.inFlight < b.allowed
	case b.probing:
		return 0, false
	}
	wait = time.Until(b.probeAt)
	return wait, wait <= 0
}

// enter begins an attempt if it may; leave must follow.
func (b *breaker) enter() (ticket, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.ask(); !ok {
		return ticket{}, false
	}
	t := ticket{epoch: b.epoch, probe: b.allowed == 0}
	if t.probe {
		b.probing = true
	} else {
		b.inFlight++
	}
	return t, true
}

// mayEnter says whether enter would let an attempt begin now, as far as the target is concerned and not how many are under way.
func (b *breaker) mayEnter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.ask()
	return ok || b.allowed > 0
}

// refusal is the error for an event that is not even tried.
func (b *breaker) refusal() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Errorf("%w: it is down (%s), and only tried now and then", buffer.ErrNotDelivered, b.outcome)
}

// leave ends an attempt with what came of it.
func (b *breaker) leave(t ticket, e *event.Event, res target.Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	current := t.epoch == b.epoch
	switch {
	case current && t.probe:
		b.probing = false
	case current:
		b.inFlight--
	}
	if res.Class != target.Delivered && res.Outcome != target.OutcomeCancelled {
		b.last = Failure{At: time.Now(), Outcome: res.Outcome, Detail: res.Detail}
	}
	switch {
	case res.Outcome == target.OutcomeCancelled: // nobody knows what would have come of it
	case res.Class != target.Retryable || !slices.Contains(targetFailures, res.Outcome):
		b.answered()
	case !current: // the target is known to be down
		b.failures++
	case b.allowed == 0:
		b.failures++
		b.open(res)
	default:
		b.failures++
		b.failed(e, res)
	}
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// targetFailures is what says that a target is down.
var targetFailures = target.Failures()

// answered takes note that the target works: also of an answer to an attempt that began before it was known to be down. It is called with the lock
// held, as are failed and open.
func (b *breaker) answered() {
	b.run, b.failures = b.run[:0], 0
	switch {
	case b.allowed == 0:
		b.allowed, b.inFlight = 1, 0
		if b.o.atOnce {
			b.allowed = b.o.limit
		}
		b.closed = time.Now()
		if !b.retired {
			b.o.metrics.open[b.outcome].Dec()
			b.o.report.up(b.closed.Sub(b.opened))
		}
	case b.allowed < b.o.limit:
		b.allowed++
	}
}

func (b *breaker) failed(e *event.Event, res target.Result) {
	subject := maphash.String(b.seed, e.Subject)
	if b.o.unordered || e.Subject == "" {
		subject = maphash.Bytes(b.seed, e.ID[:])
	}
	if !slices.Contains(b.run, subject) {
		b.run = append(b.run, subject)
	}
	if len(b.run) == breakerRun {
		b.open(res)
	}
}

// open opens it, or keeps it open after a probe that failed.
func (b *breaker) open(res target.Result) {
	now := time.Now()
	first := b.allowed > 0
	if first && now.Sub(b.closed) > breakerPauseMax {
		b.pause = 0 // otherwise the target comes and goes, and is given more time
	}
	b.pause = min(max(2*b.pause, breakerPauseMin), breakerPauseMax)
	wait := b.pause/2 + time.Duration(b.o.rand()*float64(b.pause/2))
	wait = max(wait, min(res.RetryAfter, breakerRetryAfter))
	b.probeAt = now.Add(wait)
	if first {
		b.run, b.opened = b.run[:0], now
		b.epoch++
		b.allowed, b.inFlight, b.probing = 0, 0, false
	}
	if b.retired {
		return
	}
	if first {
		b.o.metrics.opened[res.Outcome].Inc()
		b.o.report.down(res, b.failures, wait)
	} else {
		b.o.metrics.open[b.outcome].Dec()
		b.o.report.stillDown(res, b.failures, wait)
	}
	b.o.metrics.open[res.Outcome].Inc()
	b.outcome = res.Outcome
}

// retire has it no longer counted or told of: another takes its place. The attempts under way still end with leave.
func (b *breaker) retire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.retired && b.allowed == 0 {
		b.o.metrics.open[b.outcome].Dec()
	}
	b.retired = true
}
