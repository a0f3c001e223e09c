package ingest

import (
	"math"
	"runtime/metrics"
)

// schedulerDelays is the runtime's histogram of how long goroutines were ready to run before they ran.
const schedulerDelays = "/sched/latencies:seconds"

// usualDelay is the part of all delays that the result of scheduler.delay is no shorter than.
const usualDelay = 0.9

// scheduler tells how long goroutines wait for a processor. Where there is more work than the processors can do, a callback waits that long between its
// arrival and the first line of code that could look at a clock.
type scheduler struct {
	sample []metrics.Sample
	before []uint64
}

func newScheduler() *scheduler {
	return &scheduler{sample: []metrics.Sample{{Name: schedulerDelays}}}
}

// delay is what nine of ten goroutines waited at most since it was last called, in seconds; 0 if that is not known.
func (s *scheduler) delay() float64 {
	metrics.Read(s.sample)
	if s.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0
	}
	h := s.sample[0].Value.Float64Histogram()
	counts := make([]uint64, len(h.Counts))
	copy(counts, h.Counts)
	if len(s.before) == len(counts) {
		for i, n := range s.before {
			counts[i] -= n
		}
	}
	s.before = append(s.before[:0], h.Counts...)
	return quantile(counts, h.Buckets, usualDelay)
}

// quantile is the upper bound of the bucket that holds the part q of all that was counted; of the last bucket, which has none, the lower one.
func quantile(counts []uint64, bounds []float64, q float64) float64 {
	var all, below uint64
	for _, n := range counts {
		all += n
	}
	if all == 0 {
		return 0
	}
	for i, n := range counts {
		if below += n; float64(below) >= q*float64(all) {
			if bound := bounds[i+1]; !math.IsInf(bound, 1) {
				return bound
			}
			return bounds[i]
		}
	}
	return 0
}
