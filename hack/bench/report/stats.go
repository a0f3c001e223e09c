package report

import (
	"cmp"
	"slices"
)

// Spread is the median of some values and their range.
type Spread struct{ Median, Least, Most float64 }

// SpreadOf works it out. Of no values it is zero.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Least: sorted[0], Most: sorted[n-1]}
}

// over is the spread of one value of each run.
func over[T any, F cmp.Ordered](runs []T, of func(T) F) []F {
	values := make([]F, len(runs))
	for i, r := range runs {
		values[i] = of(r)
	}
	return values
}

// Ratios divides what the runs of one variant showed by what those of another did in the same rounds. A machine whose speed drifts from round
// to round moves both.
func Ratios(runs, base []Run, of func(Run) float64) Spread {
	return SpreadOf(quotients(runs, base, of))
}

// quotients are the ratios, one for each round.
func quotients(runs, base []Run, of func(Run) float64) []float64 {
	n := min(len(runs), len(base))
	ratios := make([]float64, 0, n)
	for i := range n {
		if b := of(base[i]); b > 0 {
			ratios = append(ratios, of(runs[i])/b)
		}
	}
	return ratios
}

func rate(r Run) float64 { return r.Rate }
func cpu(r Run) float64  { return float64(r.CPU) }
func p50(r Run) float64  { return float64(r.P50) }

// syncing is how long the syncs took that the turn's callbacks waited for.
func syncing(r Run) float64 { return float64(r.Sync) }
func p99(r Run) float64     { return float64(r.P99) }
func p999(r Run) float64    { return float64(r.P999) }
func peak(r Run) float64    { return float64(r.Peak) }

// of is the spread of one value of the variant's runs.
func (v *Variant) of(value func(Run) float64) Spread { return SpreadOf(over(v.Runs, value)) }

func generator(r Run) float64    { return float64(r.Generator) }
func acknowledged(r Run) float64 { return r.Acknowledged }
func offered(r Run) float64      { return r.Offered }
