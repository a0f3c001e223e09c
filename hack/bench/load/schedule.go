package load

import "time"

// schedule says which callbacks a thread sends, and in an open loop when each is due. Threads take turns: the k-th callback of a thread is number
// k*of+index of all.
type schedule struct {
	index, of int
	rate      float64 // of all threads together; zero: closed loop
}

func (s schedule) open() bool { return s.rate > 0 }

// number is that of the thread's k-th callback.
func (s schedule) number(k int) int { return k*s.of + s.index }

// due is when the thread's k-th callback is due, from the beginning. It depends on nothing that has happened.
func (s schedule) due(k int) time.Duration {
	return time.Duration(float64(s.number(k)) / s.rate * float64(time.Second))
}

// dueBefore is how many of the thread's callbacks are due before a moment.
func (s schedule) dueBefore(d time.Duration) int {
	k := max(0, int(d.Seconds()*s.rate)/s.of-1) // not after the last
	for s.due(k) < d {
		k++
	}
	return k
}
