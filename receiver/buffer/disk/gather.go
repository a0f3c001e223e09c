package disk

import (
	"runtime"
	"time"
)

const (
	// gatherRounds is how often a commit lets others run while it still grows. On a fast disk a sync is shorter than it takes the
	// woken callers to come back; without this, groups stay at a handful.
	gatherRounds = 8
	// manyWait is the size of a group from which on the next one is waited for: with an SSD, it takes tens of thousands a second.
	manyWait    = 16
	gatherTime  = 500 * time.Microsecond
	gatherPause = 60 * time.Microsecond
)

// gathering decides when a group of those that wait for a commit is large enough. A commit costs the processor the same for thirty as for fifty, so
// where many come, it waits a little for those that were let go by the last one to come back. Where few come, nobody waits for anybody. It is
// for one goroutine at a time.
type gathering struct {
	last int // the size of the last group
	goal int // how many are waited for, if many come
}

// yield lets others run for as long as that makes the group grow.
func (g *gathering) yield(length func() int) {
	for n, round := -1, 0; round < gatherRounds; round++ {
		now := length()
		if now == n {
			return
		}
		n = now
		runtime.Gosched()
	}
}

// wait returns when the group is large enough, or it has taken too long.
func (g *gathering) wait(length func() int) {
	if g.last < manyWait {
		return
	}
	n := length()
	for end := time.Now().Add(gatherTime); n < g.goal && time.Now().Before(end); n = length() {
		time.Sleep(gatherPause) //nolint:forbidigo // not for an event: to see whether there are any
	}
	if n >= g.goal {
		n++ // perhaps there are more
	}
	g.goal = n
}
