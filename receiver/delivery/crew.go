package delivery

import (
	"sync"
	"time"
)

// crewRest is how long a worker must not have been needed before it may end.
const crewRest = 10 * time.Second

// crew counts an endpoint's workers. There are as many as its traffic needs at once: one is started when nobody is left to wait for the next event, and those that
// were not needed for crewRest end, one with each event that is done with. So an endpoint that nothing has come to yet has one goroutine, a busy one starts none for an
// event, and what a target's slow moment has called for doesn't stay. One that falls silent after it keeps the others asleep until events come again.
type crew struct {
	most int // workers

	mu sync.Mutex
	// workers counts those that run, idle those of them that wait for an event.
	workers, idle int
	// spare is the fewest that were idle since then, and surplus how many of those are still to end.
	spare, surplus int
	since          time.Time
}

// join counts a new worker, who is idle.
func (c *crew) join() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.workers++
	c.idle++
}

// begin is called by a worker that has an event. It says whether another one, which is counted already, is to be started to wait for the next.
func (c *crew) begin() (start bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle--
	c.spare = min(c.spare, c.idle)
	if c.idle > 0 || c.workers >= c.most {
		return false
	}
	c.surplus = 0
	c.workers++
	c.idle++
	return true
}

// end is called by a worker whose event is done with. It says whether it goes on, and is idle, or was not needed lately.
func (c *crew) end(now time.Time) (stay bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.since) >= crewRest {
		// So many were idle at the busiest moment. One of them has to be, to wait for the next event.
		c.surplus = max(0, c.spare-1)
		c.spare, c.since = c.idle, now
	}
	if c.surplus > 0 && c.idle > 0 {
		c.surplus--
		c.workers--
		return false
	}
	c.idle++
	return true
}
