//go:build linux

// Package load sends callbacks to a server and measures its answers: closed loop, where each connection sends the next callback when the last
// is answered, or open loop, where callbacks are due at a fixed rate and latency counts from the moment that each was due, so that a
// server that stalls cannot hide the callbacks that it kept waiting (no coordinated omission).
//
// It is made to cost little beside the server: a thread for each core with an epoll of its own, requests that are patched in place rather than
// built, and signatures that hash only what changed.
package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Options say what is sent, and how.
type Options struct {
	// Addr is the server's address, an IP address and a port.
	Addr string
	// Callback is what is sent.
	Callback *Callback
	// First is the number of the first event. Events of other numbers are other events.
	First int
	// Connections is how many connections send.
	Connections int
	// Duration is how long callbacks are sent.
	Duration time.Duration
	// Rate is how many callbacks a second are due, whatever becomes of the ones before. Zero: closed loop.
	Rate float64
	// Count, if positive, ends the load when that many callbacks have been sent, if Duration has not.
	Count int
	// MayBreak says that connections that break are counted and opened again. Otherwise, the first ends the load with an error.
	MayBreak bool
}

// patience is how long the last answers may take.
const patience = 10 * time.Second

// Load is a load under way.
type Load struct {
	loops  []*loop
	done   sync.WaitGroup
	began  time.Time
	before time.Duration // CPU time of this process
	taken  time.Time
}

// Start opens the connections and then starts the load, which ends by itself or with ctx.
func Start(ctx context.Context, o Options) (*Load, error) {
	addr, err := netip.ParseAddrPort(o.Addr)
	if err != nil {
		return nil, fmt.Errorf("address to load: %w", err)
	}
	threads := min(runtime.NumCPU(), o.Connections)
	if allowed := (unix.CPUSet{}); unix.SchedGetaffinity(0, &allowed) == nil {
		threads = min(threads, allowed.Count())
	}
	l := &Load{}
	for i := range threads {
		p, err := newLoop(o, addr, schedule{index: i, of: threads, rate: o.Rate})
		if err != nil {
			for _, p := range l.loops {
				p.close()
			}
			return nil, err
		}
		l.loops = append(l.loops, p)
	}
	l.before = cpuTime()
	l.began = time.Now()
	l.taken = l.began
	for _, p := range l.loops {
		l.done.Go(func() { p.run(ctx, l.began) })
	}
	return l, nil
}

// Take returns what was measured since the load began, or since the last Take.
func (l *Load) Take() Result {
	r := NewResult()
	for _, p := range l.loops {
		r.Add(p.take())
	}
	now := time.Now()
	r.Elapsed, l.taken = now.Sub(l.taken), now
	return r
}

// Wait waits for the end of the load, and returns what was measured since it began, or since the last Take.
func (l *Load) Wait() (Result, error) {
	l.done.Wait()
	r := NewResult()
	var errs []error
	last := l.taken
	for _, p := range l.loops {
		r.Add(p.take())
		errs = append(errs, p.err)
		if at := l.began.Add(p.last); at.After(last) {
			last = at
		}
	}
	r.Elapsed = last.Sub(l.taken)
	r.CPU = cpuTime() - l.before
	return r, errors.Join(errs...)
}

// Run is Start and Wait.
func Run(ctx context.Context, o Options) (Result, error) {
	l, err := Start(ctx, o)
	if err != nil {
		return Result{}, err
	}
	r, err := l.Wait()
	return r, errors.Join(err, ctx.Err())
}

// cpuTime is that of this process so far.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
