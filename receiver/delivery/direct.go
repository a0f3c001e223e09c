package delivery

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/event"
)

// Direct delivers one endpoint's events while the platform waits for its answer: it stands where a buffer's queue would, for an endpoint that
// has none. What the target does not take at the first attempt is the platform's to send again. There is no order, except within one
// callback, no de-duplication, no retry and no dead letter.
//
// It lives as long as the endpoint: Aim changes what it delivers to, so that no callback fails which is on its way during a
// change.
type Direct struct {
	o       DirectOptions
	metrics *endpointMetrics

	mu       sync.Mutex
	aim      *aim // nil: closed
	underWay sync.WaitGroup
}

// DirectOptions are what a Direct needs.
type DirectOptions struct {
	// Endpoint is "namespace/name", for metrics.
	Endpoint string
	// Metrics are shared by all endpoints. Nil: not measured.
	Metrics *Metrics
	// Log is where it is told that the target is down, and up again. Nil: slog.Default.
	Log *slog.Logger
	// Now is the clock that metrics are told by. Nil: time.Now.
	Now func() time.Time
}

// Aim is what a Direct delivers to.
type Aim struct {
	// Target is where events go. The Direct closes it when it is no longer used.
	Target target.Target
	// MaxInFlight bounds the attempts under way at once. Zero: 64.
	MaxInFlight int
	// Suspend refuses all events.
	Suspend bool
}

// aim is an Aim and who uses it.
type aim struct {
	Aim
	slots   chan struct{} // holds one for each attempt under way
	breaker *breaker
	users   int // guarded by Direct.mu, as is retired
	retired bool
}

func (d *Direct) newAim(a Aim) *aim {
	limit := Policy{MaxInFlight: a.MaxInFlight}.withDefaults().MaxInFlight
	return &aim{Aim: a, slots: make(chan struct{}, limit), breaker: newBreaker(breakerOptions{
		limit: limit, atOnce: true, rand: rand.Float64, metrics: d.metrics, report: newReporter(d.o.Log.With("endpoint", d.o.Endpoint), d.o.Now),
	})}
}

// NewDirect returns a Direct that delivers to first.
func NewDirect(o DirectOptions, first Aim) *Direct {
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	d := &Direct{o: o, metrics: o.Metrics.endpoint(o.Endpoint)}
	d.aim = d.newAim(first)
	return d
}

// Aim delivers to next from now on. Attempts under way end where they began, and their target is closed then. A closed Direct closes next's
// target at once.
func (d *Direct) Aim(next Aim) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.aim == nil {
		next.Target.Close()
		return
	}
	d.aim.retire()
	d.aim = d.newAim(next)
}

// Close has further events refused with buffer.ErrClosed and the target closed once the attempts under way have ended.
func (d *Direct) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.aim != nil {
		d.aim.retire()
		d.aim = nil
	}
}

// Wait waits, after Close, until no attempt is under way. Their contexts bound the wait.
func (d *Direct) Wait() { d.underWay.Wait() }

// Append makes one attempt for each event, one after another, and returns nil when the target has taken all of them. The first that it
// does not take, or not before ctx or the target's timeout ends, is the last. While the target is down, all but a probe now and then are refused
// at once. Errors: buffer.ErrNotDelivered with what happened,
// buffer.ErrSuspended, buffer.ErrClosed. Whatever the error, events may have been delivered.
func (d *Direct) Append(ctx context.Context, events []event.Event) (buffer.Appended, error) {
	a := d.enter()
	if a == nil {
		return buffer.Appended{}, buffer.ErrClosed
	}
	defer d.leave(a)
	if a.Suspend {
		return buffer.Appended{}, buffer.ErrSuspended
	}
	if !a.breaker.mayEnter() { // not worth the wait for a slot
		return buffer.Appended{}, a.breaker.refusal()
	}
	select {
	case a.slots <- struct{}{}:
	case <-ctx.Done():
		return buffer.Appended{}, fmt.Errorf("%w: %d attempts are under way already, which is delivery.maxInFlight", buffer.ErrNotDelivered, cap(a.slots))
	}
	defer func() { <-a.slots }()
	for i := range events {
		if ctx.Err() != nil {
			return buffer.Appended{}, fmt.Errorf("%w: the time was over after %d of %d events", buffer.ErrNotDelivered, i, len(events))
		}
		leave, ok := a.breaker.enter()
		if !ok {
			return buffer.Appended{}, a.breaker.refusal()
		}
		if res := d.attempt(ctx, a, leave, events[i]); res.Class != target.Delivered {
			return buffer.Appended{}, fmt.Errorf("%w: %s", buffer.ErrNotDelivered, res.Detail)
		}
	}
	return buffer.Appended{Stored: len(events)}, nil
}

// attempt sends a copy of the event's body: a target that answers before it has read everything is still being sent the rest when the
// caller already uses its memory for another callback.
func (d *Direct) attempt(ctx context.Context, to *aim, leave ticket, e event.Event) target.Result {
	e.Body = bytes.Clone(e.Body)
	d.metrics.inFlight.Inc()
	d.o.Metrics.underWay.Add(1)
	start := d.o.Now()
	res := to.Target.Send(ctx, &e, 1)
	end := d.o.Now()
	to.breaker.leave(leave, &e, res)
	d.o.Metrics.underWay.Add(-1)
	d.metrics.inFlight.Dec()
	d.metrics.ended(res.Outcome, end.Sub(start))
	if res.Class == target.Delivered {
		d.metrics.lag.Observe(max(0, end.Sub(e.Received).Seconds()))
	}
	return res
}

// enter returns what to deliver to, in use until leave; nil if the Direct is closed.
func (d *Direct) enter() *aim {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.aim != nil {
		d.aim.users++
		d.underWay.Add(1)
	}
	return d.aim
}

func (d *Direct) leave(a *aim) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a.users--
	a.closeIfUnused()
	d.underWay.Done()
}

// retire is called with the lock held, as is closeIfUnused.
func (a *aim) retire() {
	a.retired = true
	a.breaker.retire()
	a.closeIfUnused()
}

func (a *aim) closeIfUnused() {
	if a.retired && a.users == 0 {
		a.Target.Close()
	}
}
