package ingest

import (
	"testing"
	"testing/synctest"
	"time"
)

// No refusal goes uncounted in the log, also if the flood ends with it.
func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		var told []int64
		one := func() int64 {
			n, ok := th.allow(time.Now())
			if !ok && n == 1 {
				th.tellLater(func(n int64) { told = append(told, n) })
			}
			if !ok {
				return -1
			}
			return n
		}
		for n := range logBurst {
			if got := one(); got != 0 {
				t.Fatalf("refusal %d: got %d, want a line", n, got)
			}
		}
		for range 5 {
			one()
		}
		<-time.After(logEvery)
		if got := one(); got != 5 {
			t.Errorf("the next line tells of %d that were left out, want 5", got)
		}
		for range 7 {
			one()
		}
		<-time.After(2 * logEvery)
		synctest.Wait()
		if len(told) != 1 || told[0] != 7 {
			t.Errorf("after the flood %v are told of, want the last 7", told)
		}
		if got := one(); got != 0 {
			t.Errorf("much later: %d are told of again", got)
		}
	})
}
