package ingest

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// alwaysStored is how many callbacks may wait to be stored whatever is predicted. The store takes all that wait at a moment in one commit, so
	// that as few as these wait for two commits at most. With so few, nothing is learned about a queue either, and what was learned is forgotten.
	alwaysStored = 32
	// slack is how much longer than the mean, which the prediction is, the slowest in a hundred take.
	slack = 2.5
	// paceWindow is how long observations are collected before they count.
	paceWindow = 50 * time.Millisecond
)

// pace predicts how long a callback would wait to be stored, so that the surplus of an overload is refused at once, while there is time for
// the platform to send it elsewhere or again, and those that are taken are answered in time. It learns from the callbacks before: how
// long each took, and how many were waiting when it came. Their ratio is the time that one more in the queue costs, and that times the number that wait
// now is the prediction. It never refuses while few wait, so a wrong prediction can't outlive the load that it was made from.
//
// However fast the store is, those that wait hold a connection each. Where they have held half of all for as long as the prediction looks ahead, which is no
// burst, and the others are taken, too, the surplus is refused as well: callers hear that it is too much, rather than to find no connection.
//
// All endpoints with a buffer share one, as they share the disk and the processors.
type pace struct {
	crowd   int64       // how many are too many to wait for long, where short says so
	short   func() bool // whether there are hardly any connections left; nil: never
	waiting atomic.Int64
	// each is the time in seconds that one more in the queue costs, as the bits of a float64; 0: not known, no reason to refuse.
	each atomic.Uint64
	// unseen is how long a callback has waited for a processor before anything of this program ran for it, likewise.
	unseen atomic.Uint64
	// crowdedSince is when the queue became longer than alwaysStored, progress when the last callback left a longer one; Unix nanoseconds.
	crowdedSince, progress atomic.Int64
	// heldSince is when a crowd began to wait, likewise; 0: there is none.
	heldSince atomic.Int64

	mu     sync.Mutex     // guards what follows
	delay  func() float64 // how long goroutines wait for a processor since the last call, in seconds; nil: not at all
	window time.Time      // when it began
	took   float64        // seconds, the sum over those that left in this window
	before float64        // the sum of how many were waiting when they came
}

// full says whether a callback that has taken elapsed of the time already would likely be stored after more than half, so that it had
// better be refused.
func (p *pace) full(half, elapsed time.Duration, now time.Time) bool {
	waiting := p.waiting.Load()
	if waiting < alwaysStored {
		return false
	}
	if waiting >= p.crowd && p.lasting(half, now) {
		return true
	}
	wait := slack * float64(waiting+1) * math.Float64frombits(p.each.Load())
	// While nothing leaves the queue, it is best guessed that this goes on for as long as it has lasted.
	still := time.Duration(now.UnixNano() - max(p.progress.Load(), p.crowdedSince.Load()))
	wait = max(wait, 2*still.Seconds()) + math.Float64frombits(p.unseen.Load())
	return elapsed.Seconds()+wait > half.Seconds()
}

// lasting says whether a crowd has waited for so long, and connections are short.
func (p *pace) lasting(half time.Duration, now time.Time) bool {
	since := p.heldSince.Load()
	return since != 0 && now.UnixNano()-since > int64(half) && p.short()
}

// hold has lasting crowds refused where nearly all of so many connections are open.
func (p *pace) hold(connections int, open func() int) {
	p.crowd = int64(max(connections/2, 2*alwaysStored))
	p.short = func() bool { return open() >= connections-connections/8 }
}

// place is a callback's place in the queue.
type place struct {
	ahead int64 // with itself; 0: it has none
	since time.Time
}

// enter takes a place. It must leave, or give up.
func (p *pace) enter(now time.Time) place {
	n := p.waiting.Add(1)
	if n == alwaysStored {
		p.crowdedSince.Store(now.UnixNano())
	}
	if p.short != nil && n >= p.crowd && p.heldSince.Load() == 0 {
		p.heldSince.Store(now.UnixNano())
	}
	return place{ahead: n, since: now}
}

// giveUp leaves without having been to the store: nothing is learned from that.
func (p *pace) giveUp() { p.out() }

// out takes one out of the queue and returns how many are left. A crowd that has shrunk to an eighth is gone: a store that takes nearly all of one at once can take
// the next.
func (p *pace) out() (left int64) {
	left = p.waiting.Add(-1)
	if left < p.crowd/8 && p.heldSince.Load() != 0 {
		p.heldSince.Store(0)
	}
	return left
}

// leave ends the wait. now is asked for only if many wait.
func (p *pace) leave(at place, now func() time.Time) {
	left := p.out()
	switch {
	case left < alwaysStored-1:
		if p.each.Load() != 0 {
			p.forget()
		}
	default:
		t := now()
		p.progress.Store(t.UnixNano())
		if at.ahead >= alwaysStored {
			p.learn(at, t)
		}
	}
}

func (p *pace) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.each.Store(0)
	p.unseen.Store(0)
	p.window = time.Time{}
}

func (p *pace) learn(at place, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.window.IsZero() {
		p.window, p.took, p.before = now, 0, 0
		p.lookAround() // at the time from now on
	}
	p.took += now.Sub(at.since).Seconds()
	p.before += float64(at.ahead)
	if now.Sub(p.window) < paceWindow {
		return
	}
	each := p.took / p.before
	if known := math.Float64frombits(p.each.Load()); known != 0 {
		each = (known + each) / 2
	}
	p.each.Store(math.Float64bits(each))
	p.unseen.Store(math.Float64bits(p.lookAround()))
	p.window, p.took, p.before = now, 0, 0
}

func (p *pace) lookAround() float64 {
	if p.delay == nil {
		return 0
	}
	return p.delay()
}
