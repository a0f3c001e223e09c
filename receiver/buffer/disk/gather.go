package disk

import (
	"runtime"
	"time"
)

const (
	// gatherRounds is how often a commit lets others run while it still grows. On a fast disk a sync is shorter than it takes the
	// woken callers to come back; without this, groups stay at a handful.
	gatherRounds = 8
	// manyCome is from how many callers on half of them are waited for: with an SSD, they send tens of thousands a second. manySettle is the
	// size of a group of settlements from which on the next one is waited for.
	manyCome    = 40
	manySettle  = 16
	gatherTime  = 500 * time.Microsecond
	gatherPause = 60 * time.Microsecond
)

// gathering decides when a group of those that wait for a commit is large enough. A commit costs the processor the same for thirty as for fifty, so
// where many come, it waits a little for more to come. It is for one goroutine at a time.
type gathering struct {
	last int // the size of the last group: its callers are about to come back
	goal int // how many awaitAll waits for
}

// yield lets others run for as long as that makes the group grow.
func yield(length func() int) {
	for n, round := -1, 0; round < gatherRounds; round++ {
		now := length()
		if now == n {
			return
		}
		n = now
		runtime.Gosched()
	}
}

// crowd is how many come at a time: those that the last commit let go, and those that wait by then.
func (g *gathering) crowd(waiting int) int { return g.last + waiting }

// awaitHalf returns when half of a crowd waits, or it has taken too long. The other half is read, verified and answered while the disk syncs: with all of
// them in one group, processors and disk would wait for each other in turns. Where few come, nobody waits for anybody: there the disk is slower than the
// processors, and what comes meanwhile is the next group anyway.
func awaitHalf(crowd int, length func() int) {
	if crowd < manyCome {
		return
	}
	for end := time.Now().Add(gatherTime); length() < crowd/2 && time.Now().Before(end); {
		time.Sleep(gatherPause) //nolint:forbidigo // not for an event: to see whether there are any
	}
}

// awaitAll returns when as many wait as in the last group that there was time for, or it has taken too long. It is for what keeps no platform waiting.
func (g *gathering) awaitAll(length func() int) {
	if g.last < manySettle {
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
