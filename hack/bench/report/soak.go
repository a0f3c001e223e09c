package report

import (
	"fmt"
	"io"
	"math"
	"time"
)

// Soak is what a receiver took over a long time of even work.
type Soak struct {
	// Rate is how many callbacks were due a second.
	Rate    int      `json:"perSecond"`
	Samples []Sample `json:"samples"`
	// Accepted callbacks were acknowledged; Failed were not, for whatever reason.
	Accepted int `json:"accepted"`
	Failed   int `json:"failed"`
	// Delivered are different events that reached the target, and Repeated deliveries of one that had.
	Delivered int `json:"delivered"`
	Repeated  int `json:"repeated"`
}

// Sample is what was seen at one moment.
type Sample struct {
	At         float64 `json:"atSeconds"`
	Resident   int64   `json:"residentBytes"`
	Heap       int64   `json:"heapBytes"`
	Goroutines int     `json:"goroutines"`
	Files      int     `json:"files"`
	Disk       int64   `json:"diskBytes"`
	Backlog    int     `json:"backlog"`
	// CPU is since the start, in seconds.
	CPU float64 `json:"cpuSeconds"`
	// P99 is of the callbacks since the sample before, as Accepted and Failed are.
	P99      Micros `json:"p99Micros"`
	Accepted int    `json:"-"`
	Failed   int    `json:"-"`
}

// Add adds a sample.
func (s *Soak) Add(x Sample) {
	s.Samples = append(s.Samples, x)
	s.Accepted += x.Accepted
	s.Failed += x.Failed
}

// Trend is how one value went once the store had filled, which takes the first sixth: medians of the first and the last quarter, and the slope of the
// last half's line of least squares.
type Trend struct{ First, Last, PerHour float64 }

// TrendOf works it out.
func TrendOf(samples []Sample, of func(Sample) float64) Trend {
	samples = samples[len(samples)/6:]
	n := len(samples)
	if n < 4 {
		return Trend{}
	}
	t := Trend{First: SpreadOf(over(samples[:n/4], of)).Median, Last: SpreadOf(over(samples[n-n/4:], of)).Median}
	half := samples[n/2:]
	var sx, sy, sxx, sxy float64
	for _, s := range half {
		x, y := s.At/3600, of(s)
		sx, sy, sxx, sxy = sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	if d := float64(len(half))*sxx - sx*sx; d > 0 {
		t.PerHour = (float64(len(half))*sxy - sx*sy) / d
	}
	return t
}

// series are what a soak watches.
var series = []struct {
	name  string
	of    func(Sample) float64
	write func(float64) string
}{
	{"resident memory", func(s Sample) float64 { return float64(s.Resident) }, mebibytes},
	{"Go heap in use", func(s Sample) float64 { return float64(s.Heap) }, mebibytes},
	{"goroutines", func(s Sample) float64 { return float64(s.Goroutines) }, digits},
	{"open files", func(s Sample) float64 { return float64(s.Files) }, digits},
	{"disk", func(s Sample) float64 { return float64(s.Disk) }, mebibytes},
	{"events waiting", func(s Sample) float64 { return float64(s.Backlog) }, digits},
	{"answers, p99", func(s Sample) float64 { return float64(s.P99) }, micros},
}

// SoakOf writes the table of section soak.
func SoakOf(w io.Writer, s *Section) {
	if s.Soak == nil || len(s.Soak.Samples) == 0 {
		return
	}
	x := s.Soak
	last := x.Samples[len(x.Samples)-1]
	fmt.Fprintf(w, "%s callbacks/s for %s: %s acknowledged, %s not; %s events delivered, %s of them more than once. The receiver took %.1f %% of a core.\n\n",
		number(float64(x.Rate)), time.Duration(last.At*float64(time.Second)).Round(time.Second), number(float64(x.Accepted)), number(float64(x.Failed)),
		number(float64(x.Delivered)), number(float64(x.Repeated)), 100*last.CPU/last.At)
	rows := make([][]string, 0, len(series))
	for _, v := range series {
		t := TrendOf(x.Samples, v.of)
		spread := SpreadOf(over(x.Samples[len(x.Samples)/2:], v.of))
		slope := "+" + v.write(t.PerHour)
		if t.PerHour < 0 {
			slope = "−" + v.write(-t.PerHour)
		}
		if v.write(math.Abs(t.PerHour)) == v.write(0) {
			slope = "0"
		}
		rows = append(rows, []string{v.name, v.write(t.First), v.write(t.Last), v.write(spread.Least) + " to " + v.write(spread.Most), slope})
	}
	table(w, []string{"", "first quarter", "last quarter", "last half, range", "last half, slope an hour"}, rows)
}
