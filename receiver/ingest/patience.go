package ingest

import (
	"context"
	"sync"
	"time"
)

// patience is a context that ends when the time to store is over. It does what context.WithTimeout does, and is used again and again: each
// callback needs one, and nearly none of them ever ends. So that a callback costs no change of a timer, the timer is not stopped when one is
// stored: when it comes, it looks who has the patience now, and for how long.
type patience struct {
	context.Context // which never ends
	over            chan struct{}
	timer           *time.Timer

	mu       sync.Mutex
	deadline time.Time // zero: nobody has it
	wakes    time.Time // when the timer comes; zero: it does not
	ended    bool
}

func newPatience() *patience {
	p := &patience{Context: context.Background(), over: make(chan struct{})}
	p.timer = time.AfterFunc(time.Hour, p.wake)
	p.timer.Stop()
	return p
}

// wake is called when the timer comes.
func (p *patience) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wakes = time.Time{}
	if p.deadline.IsZero() {
		return
	}
	if rest := time.Until(p.deadline); rest > 0 {
		p.set(rest)
		return
	}
	p.ended = true
	close(p.over)
}

// set has the timer come in a while.
func (p *patience) set(d time.Duration) {
	p.wakes = time.Now().Add(d)
	p.timer.Reset(d)
}

// begin lets the time run.
func (p *patience) begin(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = time.Now().Add(d)
	if p.wakes.IsZero() || p.wakes.After(p.deadline) {
		p.set(d)
	}
}

// stop says whether the time was not over yet: only then can it be used again.
func (p *patience) stop() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = time.Time{}
	return !p.ended
}

// Deadline implements context.Context.
func (p *patience) Deadline() (time.Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.deadline, true
}

// Done implements context.Context.
func (p *patience) Done() <-chan struct{} { return p.over }

// Err implements context.Context.
func (p *patience) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return context.DeadlineExceeded
	}
	return nil
}

var _ context.Context = (*patience)(nil)
