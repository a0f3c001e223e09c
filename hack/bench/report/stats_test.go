package report

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSpreadOf(t *testing.T) {
	for name, test := range map[string]struct {
		values []float64
		want   Spread
	}{
		"nothing":              {nil, Spread{}},
		"one value":            {[]float64{3}, Spread{3, 3, 3}},
		"an odd number":        {[]float64{9, 1, 4}, Spread{4, 1, 9}},
		"an even number":       {[]float64{9, 1, 4, 6}, Spread{5, 1, 9}},
		"one that is far out":  {[]float64{1, 1, 1, 1, 1000}, Spread{1, 1, 1000}},
		"below and above zero": {[]float64{-2, 2, 0}, Spread{0, -2, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := SpreadOf(test.values); got != test.want {
				t.Errorf("SpreadOf(%v) = %+v, want %+v", test.values, got, test.want)
			}
		})
	}
}

// TestRatios: a machine that gets slower from round to round must not show in the ratio, as it would in a ratio of medians.
func TestRatios(t *testing.T) {
	of := func(rates ...float64) []Run {
		runs := make([]Run, len(rates))
		for i, r := range rates {
			runs[i].Rate = r
		}
		return runs
	}
	for name, test := range map[string]struct {
		runs, base []Run
		want       Spread
	}{
		"the same in each round":  {of(50, 20, 5), of(100, 40, 10), Spread{0.5, 0.5, 0.5}},
		"different in each":       {of(50, 30, 2), of(100, 40, 10), Spread{0.5, 0.2, 0.75}},
		"a round that is missing": {of(50, 30), of(100, 40, 10), Spread{0.625, 0.5, 0.75}},
		"nothing to compare with": {of(50), of(0), Spread{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Ratios(test.runs, test.base, rate); got != test.want {
				t.Errorf("Ratios = %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestTrendOf(t *testing.T) {
	var samples []Sample
	for i := range 60 { // a minute apart; it grows for ten minutes, stays, and grows by one a minute again
		files := min(i, 10) + max(0, i-49)
		samples = append(samples, Sample{At: float64(i * 60), Files: files})
	}
	got := TrendOf(samples[:50], func(s Sample) float64 { return float64(s.Files) })
	if want := (Trend{First: 10, Last: 10}); got.Last != want.Last || math.Abs(got.PerHour) > 1e-9 || got.First != want.First {
		t.Errorf("of a value that comes to rest the trend is %+v, want %+v", got, want)
	}
	if got = TrendOf(samples, func(s Sample) float64 { return s.At }); got.PerHour < 3599.9 || got.PerHour > 3600.1 {
		t.Errorf("a value that grows by one a second has the slope %v an hour, want 3600", got.PerHour)
	}
	if got = TrendOf(samples[:3], func(Sample) float64 { return 1 }); got != (Trend{}) {
		t.Errorf("of three samples the trend is %+v, want none", got)
	}
}

func TestCell_Add(t *testing.T) {
	var c Cell
	c.Add("base", Run{Rate: 1})
	c.Add("ours", Run{Rate: 2})
	c.Add("base", Run{Rate: 3})
	want := []Variant{{"base", []Run{{Rate: 1}, {Rate: 3}}}, {"ours", []Run{{Rate: 2}}}}
	if diff := cmp.Diff(want, c.Variants); diff != "" {
		t.Errorf("variants (-want +got):\n%s", diff)
	}
}

func TestFormats(t *testing.T) {
	for name, test := range map[string]struct{ got, want string }{
		"a small number":   {number(7), "7"},
		"a large number":   {number(5_000_123), "5,000,123"},
		"below zero":       {number(-1234), "-1,234"},
		"microseconds":     {micros(9.994), "9.99 µs"},
		"tens of them":     {micros(42.12), "42.1 µs"},
		"milliseconds":     {micros(1540), "1.54 ms"},
		"seconds":          {micros(12_340_000), "12.3 s"},
		"nothing measured": {micros(0), "–"},
		"memory":           {mebibytes(256 << 20), "256 MiB"},
		"a body of bytes":  {size(300), "300 B"},
		"a body of KiB":    {size(65536), "64 KiB"},
		"a ratio":          {ratio(Spread{0.625, 0.5, 0.75}), "0.62 (0.50 to 0.75)"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.got != test.want {
				t.Errorf("got %q, want %q", test.got, test.want)
			}
		})
	}
}
