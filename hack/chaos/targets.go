package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/event"
)

// mood is how all targets behave at present.
type mood struct {
	failing int             // in percent of the attempts
	slow    time.Duration   // at most
	stuck   <-chan struct{} // none answers before it is closed
}

// fakeTarget takes events, fails, is slow, and refuses some for good: always the same ones.
type fakeTarget struct {
	l *life

	mu     sync.Mutex
	random *rand.Rand
}

func (l *life) target(e *config.Endpoint) (target.Target, error) {
	return &fakeTarget{l: l, random: rand.New(rand.NewPCG(l.w.seed, uint64(len(e.Target.URL)+l.number)))}, nil //nolint:gosec // repeatable
}

// Send implements target.Target.
func (t *fakeTarget) Send(ctx context.Context, e *event.Event, _ int) target.Result {
	gone := target.Result{Class: target.Retryable, Outcome: target.OutcomeNetwork, Detail: "the life is over"}
	var a *attempt
	if !t.l.while(func() { a = t.l.w.model.begin(e) }) {
		<-ctx.Done()
		return gone
	}
	t.l.saw(sightTry)
	m := t.l.w.mood.Load()
	fails, pause := t.dice(m)
	if m.stuck != nil {
		select {
		case <-m.stuck:
		case <-ctx.Done():
		}
	}
	wait(ctx, pause)
	res := target.Result{Class: target.Delivered, Outcome: target.Outcome2xx}
	switch {
	case a == nil:
	case fails || ctx.Err() != nil:
		res = target.Result{Class: target.Retryable, Outcome: target.Outcome5xx, Detail: "target answered 500"}
		t.l.w.count(classTarget, "500")
	case a.r.reject:
		res = target.Result{Class: target.Rejected, Outcome: target.Outcome4xx, Detail: "target answered 410"}
		t.l.w.count(classTarget, "410")
	}
	if a != nil && !t.l.while(func() { t.l.w.model.finish(a, res.Class != target.Retryable) }) {
		<-ctx.Done()
		return gone
	}
	if res.Class != target.Retryable {
		t.l.saw(sightDone)
	}
	return res
}

func (t *fakeTarget) dice(m *mood) (fails bool, pause time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fails = t.random.IntN(100) < m.failing
	if m.slow > 0 {
		pause = time.Duration(t.random.Int64N(int64(m.slow)))
	}
	return fails, pause
}

// Close implements target.Target.
func (t *fakeTarget) Close() {}
