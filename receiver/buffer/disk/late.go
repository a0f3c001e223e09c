package disk

import "slices"

// maxLateBytes bounds the requests that are committed although their callers have given up, in bytes of records: thousands of usual events.
const maxLateBytes = 8 << 20

// giveUp is called when a request's caller waits no longer. The event is worth storing nevertheless: a platform that does not repeat
// it has only that. But when callbacks come in faster than the disk takes them, those that nobody waits for must neither fill the
// memory nor hold up those that somebody does wait for: they come last, up to a bound, and beyond it they are dropped.
func (a *appender) giveUp(r *request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.Index(a.waiting, r)
	if i < 0 {
		return // it is being committed
	}
	a.waiting = slices.Delete(a.waiting, i, i+1)
	if a.lateBytes+r.bytes <= maxLateBytes {
		a.late = append(a.late, r)
		a.lateBytes += r.bytes
	}
}

// take cuts off the next group: of what somebody waits for, else of what is late.
func (a *appender) take() []*request {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) > 0 {
		return cut(&a.waiting)
	}
	requests := cut(&a.late)
	for _, r := range requests {
		a.lateBytes -= r.bytes
	}
	return requests
}

// cut takes a group off the front.
func cut(from *[]*request) []*request {
	n, bytes := 0, 0
	for n < len(*from) && (n == 0 || bytes+(*from)[n].bytes <= maxGroupBytes) {
		bytes += (*from)[n].bytes
		n++
	}
	requests := (*from)[:n:n]
	if *from = (*from)[n:]; len(*from) == 0 {
		*from = nil
	}
	return requests
}
