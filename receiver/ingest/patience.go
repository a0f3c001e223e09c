package ingest

import (
	"context"
	"sync/atomic"
	"time"
)

// patience is a context that ends when the time to store is over. It does what context.WithTimeout does, and is used again and again: each
// callback needs one, and nearly none of them ever ends.
type patience struct {
	context.Context // which never ends
	over            chan struct{}
	ended           atomic.Bool
	deadline        time.Time
	timer           *time.Timer
}

func newPatience() *patience {
	p := &patience{Context: context.Background(), over: make(chan struct{})}
	p.timer = time.AfterFunc(time.Hour, p.end)
	p.timer.Stop()
	return p
}

func (p *patience) end() {
	p.ended.Store(true)
	close(p.over)
}

// begin lets the time run.
func (p *patience) begin(d time.Duration) {
	p.deadline = time.Now().Add(d)
	p.timer.Reset(d)
}

// stop says whether the time was not over yet: only then can it be used again.
func (p *patience) stop() bool { return p.timer.Stop() }

// Deadline implements context.Context.
func (p *patience) Deadline() (time.Time, bool) { return p.deadline, true }

// Done implements context.Context.
func (p *patience) Done() <-chan struct{} { return p.over }

// Err implements context.Context.
func (p *patience) Err() error {
	if p.ended.Load() {
		return context.DeadlineExceeded
	}
	return nil
}

var _ context.Context = (*patience)(nil)
