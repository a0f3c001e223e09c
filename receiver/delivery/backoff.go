package delivery

import "time"

// maxRetryAfter is how far a target's Retry-After is honoured: a mistaken one must not park a subject for a day.
const maxRetryAfter = time.Hour

// backoff returns how long to wait after attempt number attempt (from 1) has failed.
//
// The interval doubles from InitialInterval to MaxInterval. Half of it is fixed, half is jitter ("equal jitter"), so that events that
// failed together do not come back together, and none comes back sooner than InitialInterval/2. retryAfter raises the fixed half: the
// wait is never shorter than what the target asked for, up to an hour, and never longer than the hour either unless MaxInterval is.
// random is in [0, 1).
func (p Policy) backoff(attempt int, retryAfter time.Duration, random float64) time.Duration {
	interval := p.InitialInterval
	for range attempt - 1 {
		if interval >= p.MaxInterval/2 {
			interval = p.MaxInterval
			break
		}
		interval *= 2
	}
	jitter := interval / 2
	fixed := max(interval-jitter, min(retryAfter, maxRetryAfter))
	return min(fixed+time.Duration(random*float64(jitter)), max(interval, maxRetryAfter))
}
