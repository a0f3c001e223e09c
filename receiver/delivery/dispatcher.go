// Package delivery sends an endpoint's stored events to its target: one attempt at a time for each event, retries with backoff, dead
// letters for what cannot be delivered.
//
// Order is the buffer's: it hands out no event while an earlier one of its subject is leased or waits for a retry. So a worker never
// waits on behalf of an event; it settles a failed one with the time of its next attempt and takes another, and a failing subject
// holds up no other.
package delivery

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/delivery/target"
)

// The waits between tries when the buffer itself fails.
const (
	bufferRetryMin = 100 * time.Millisecond
	bufferRetryMax = 2 * time.Second
)

const defaultDrainTime = 10 * time.Second

// workersPerSlot is how many workers there may be for each attempt that may be under way: the others settle.
const workersPerSlot = 2

// Options are what a Dispatcher needs.
type Options struct {
	// Endpoint is "namespace/name", for logs and metrics.
	Endpoint string
	// Queue is where the endpoint's events come from.
	Queue buffer.Queue
	// Target is where they go. It stays the caller's to close, after Run has returned.
	Target target.Target
	// Policy says how. Zero values take its defaults.
	Policy Policy
	// Memory bounds the bodies under way, together with those of other dispatchers. Nil: one of its own.
	Memory *Memory
	// DrainTime is how long attempts under way may still take once Run's context has ended. Default: 10 s; negative: none.
	DrainTime time.Duration
	// Metrics are shared by all dispatchers. Nil: not measured.
	Metrics *Metrics
	// Log is where trouble is told. Nil: slog.Default.
	Log *slog.Logger
	// Now is the clock that ages and due times are told by. Nil: time.Now.
	Now func() time.Time
	// Rand returns numbers in [0, 1) for the jitter. Nil: math/rand. It is called from many goroutines.
	Rand func() float64
}

// Dispatcher delivers one endpoint's events until its context ends. To change a target or policy, start a new Dispatcher on the same
// queue and end the old one's context; both may run at once, since the queue leases an event to one of them only.
type Dispatcher struct {
	o       Options
	metrics *endpointMetrics
	report  *reporter
	breaker *breaker
	share   *share
	// turn is held by the one worker that leases: it waits for the target to be up, then for memory, then for an event.
	turn chan struct{}
	// slots holds one for each attempt under way. What is being settled has none: it waits for the disk, not for the target.
	slots chan struct{}
	crew  crew
}

// New returns a Dispatcher that does nothing before Run.
func New(o Options) *Dispatcher {
	o.Policy = o.Policy.withDefaults()
	if o.DrainTime == 0 {
		o.DrainTime = defaultDrainTime
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Memory == nil {
		o.Memory = NewMemory(0)
	}
	d := &Dispatcher{
		o:       o,
		metrics: o.Metrics.endpoint(o.Endpoint),
		report:  newReporter(o.Log.With("endpoint", o.Endpoint), o.Now),
		share:   &share{of: o.Memory},
		turn:    make(chan struct{}, 1),
		slots:   make(chan struct{}, o.Policy.MaxInFlight),
		crew:    crew{most: workersPerSlot * o.Policy.MaxInFlight},
	}
	d.breaker = newBreaker(breakerOptions{
		limit: o.Policy.MaxInFlight, unordered: o.Policy.Unordered, rand: o.Rand, metrics: d.metrics, report: d.report,
	})
	return d
}

// Run delivers until ctx ends or the buffer is closed, and must be called once. When ctx ends it leases nothing more at once, gives
// attempts under way DrainTime to finish, then cancels them and gives their events back, and returns when every worker has stopped.
//
// An outcome that the buffer fails to store is stored again until it succeeds, even after ctx has ended: otherwise a delivered event
// would be delivered twice, or its subject stand still. Closing the buffer ends that too, so whoever stops the process bounds the wait
// for Run and then closes the buffer.
func (d *Dispatcher) Run(ctx context.Context) {
	attempts, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stopDrain := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(max(0, d.o.DrainTime))
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-attempts.Done(): // Run has returned
		}
	})
	defer stopDrain()
	defer context.AfterFunc(ctx, d.breaker.retire)()
	defer d.breaker.retire()
	var wg sync.WaitGroup
	d.crew.join()
	wg.Go(func() { d.work(ctx, attempts, &wg) })
	wg.Wait()
	d.report.dead.close()
}

// work is one worker. ctx ends the leasing, attempts ends the attempts under way.
func (d *Dispatcher) work(ctx, attempts context.Context, wg *sync.WaitGroup) {
	for {
		lease, leave, ok := d.next(ctx)
		if !ok {
			return
		}
		if d.crew.begin() {
			wg.Go(func() { d.work(ctx, attempts, wg) })
		}
		d.attempt(attempts, lease, leave)
		d.share.give(len(lease.Event.Body))
		if !d.crew.end(d.o.Now()) {
			return
		}
	}
}

// next leases an event, with the breaker's leave to send it; false means that there is nothing more to do.
func (d *Dispatcher) next(ctx context.Context) (*buffer.Delivery, ticket, bool) {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, ticket{}, false
	}
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ticket{}, false
	}
	pause := bufferRetryMin
	for d.breaker.wait(ctx) && d.share.wait(ctx) {
		lease, err := d.o.Queue.Next(ctx)
		if err == nil && ctx.Err() == nil {
			if leave, ok := d.breaker.enter(); ok {
				d.share.take(len(lease.Event.Body))
				return lease, leave, true
			}
		}
		if err == nil {
			d.o.Queue.Release(lease) // leased in the instant of the stop, or when the target had just turned out to be down
			continue
		}
		if ctx.Err() != nil || errors.Is(err, buffer.ErrClosed) {
			break
		}
		d.report.bufferFailed("next", err, d.o.Now())
		if !sleep(ctx, pause) {
			break
		}
		pause = min(2*pause, bufferRetryMax)
	}
	<-d.slots
	return nil, ticket{}, false
}

// attempt sends a leased event and ends its lease.
func (d *Dispatcher) attempt(ctx context.Context, lease *buffer.Delivery, leave ticket) {
	d.metrics.inFlight.Inc()
	d.o.Metrics.underWay.Add(1)
	start := d.o.Now()
	res := d.o.Target.Send(ctx, &lease.Event, lease.Attempt)
	end := d.o.Now()
	<-d.slots
	if res.Class == target.Retryable && res.Outcome != target.OutcomeCancelled {
		d.report.count()
	}
	d.breaker.leave(leave, &lease.Event, res)
	d.o.Metrics.underWay.Add(-1)
	d.metrics.inFlight.Dec()
	d.metrics.ended(res.Outcome, end.Sub(start))

	if res.Class == target.Retryable && ctx.Err() != nil {
		d.o.Queue.Release(lease) // the stop, not the target, made it fail: it does not count
		return
	}
	v := d.o.Policy.decide(res, lease, end, d.o.Rand())
	if !d.settle(lease, v.outcome) {
		return
	}
	switch {
	case v.dead != "":
		d.metrics.dead[v.dead].Inc()
		d.report.dead.add(lease, v.outcome.Reason)
	case v.outcome.Verdict == buffer.Retry:
		d.report.failed(lease, res, end)
	default:
		d.metrics.lag.Observe(max(0, end.Sub(lease.Event.Received).Seconds()))
		d.report.delivered()
	}
}

// settle returns true when the outcome is stored, false when the buffer was closed before, or another receiver has taken the event over: then that
// one delivers it again, and here it is forgotten.
func (d *Dispatcher) settle(lease *buffer.Delivery, o buffer.Outcome) bool {
	ctx := context.Background() // no stop cancels it, see Run
	wait := bufferRetryMin
	for {
		err := d.o.Queue.Settle(ctx, lease, o)
		if err == nil {
			return true
		}
		if errors.Is(err, buffer.ErrClosed) {
			return false
		}
		if errors.Is(err, buffer.ErrLeaseLost) {
			d.metrics.lost.Inc()
			return false
		}
		d.report.bufferFailed("settle", err, d.o.Now())
		sleep(ctx, wait)
		wait = min(2*wait, bufferRetryMax)
	}
}

// sleep returns false if ctx ended first.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
