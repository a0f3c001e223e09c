package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a load measured.
type Result struct {
	// Accepted are answers 200, Refused answers 503, Other all other answers.
	Accepted, Refused, Other int
	// Sent are callbacks that were sent.
	Sent int
	// Next is the number of the first event that was not sent, nor any after it.
	Next int
	// Unsent are callbacks that were due in time, of an open loop, and had no connection to be sent on.
	Unsent int
	// Broken are callbacks whose connection broke before the answer came.
	Broken int
	// Elapsed is how long it took, until the last answer.
	Elapsed time.Duration
	// CPU is what this process took.
	CPU time.Duration
	// Latency is how long the accepted waited from the moment they were due; Service from the moment they were sent, which in a closed
	// loop is the same. In nanoseconds.
	Latency, Service *hdrhistogram.Histogram
	// Refusal is how long the refused waited, from the moment they were sent.
	Refusal *hdrhistogram.Histogram
}

// Rate is how many callbacks were accepted a second.
func (r Result) Rate() float64 { return float64(r.Accepted) / r.Elapsed.Seconds() }

// The range of the histograms, and how many digits of a latency they keep.
const (
	shortest = int64(time.Microsecond)
	longest  = int64(5 * time.Minute)
	digits   = 3
)

// NewResult is one of a load that has not begun.
func NewResult() Result {
	h := func() *hdrhistogram.Histogram { return hdrhistogram.New(shortest, longest, digits) }
	return Result{Latency: h(), Service: h(), Refusal: h()}
}

// Add adds what another load, or another thread, measured in the same time.
func (r *Result) Add(o Result) {
	r.Accepted += o.Accepted
	r.Refused += o.Refused
	r.Other += o.Other
	r.Sent += o.Sent
	r.Next = max(r.Next, o.Next)
	r.Unsent += o.Unsent
	r.Broken += o.Broken
	r.Latency.Merge(o.Latency)
	r.Service.Merge(o.Service)
	r.Refusal.Merge(o.Refusal)
}

// answered counts one answer.
func (r *Result) answered(status int, latency, service time.Duration) {
	switch status {
	case 200:
		r.Accepted++
		record(r.Latency, latency)
		record(r.Service, service)
	case 503:
		r.Refused++
		record(r.Refusal, service)
	default:
		r.Other++
	}
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(int64(d), shortest), longest)) // in range, so that it cannot fail
}
