package report

import (
	"fmt"
	"io"
	"math"
)

// goal is one of the promises, and what became of it.
type goal struct {
	what, wanted, measured, spread string
	met                            bool
}

// goals writes the table of promises.
func goals(w io.Writer, sections map[string]*Section) {
	var all []goal
	for _, of := range []struct {
		name  string
		goals func(*Section) []goal
	}{
		{"answers", answerGoals}, {"end-to-end", endToEndGoals}, {"latency", latencyGoals},
		{"overload", overloadGoals}, {"start", startGoals}, {"soak", soakGoals},
	} {
		if s := sections[of.name]; s != nil {
			all = append(all, of.goals(s)...)
		}
	}
	if len(all) == 0 {
		return
	}
	fmt.Fprint(w, "## Goals\n\n")
	rows := make([][]string, 0, len(all))
	for _, g := range all {
		met := "**no**"
		if g.met {
			met = "yes"
		}
		rows = append(rows, []string{g.what, g.wanted, g.measured, g.spread, met})
	}
	table(w, []string{"goal", "wanted", "measured", "range", "met"}, rows)
}

// atLeast and atMost judge a spread by its median.
func atLeast(what string, s Spread, wanted float64) goal {
	return goal{what, fmt.Sprintf("≥ %.2f", wanted), fmt.Sprintf("%.2f", s.Median), fmt.Sprintf("%.2f to %.2f", s.Least, s.Most), s.Median >= wanted}
}

func atMost(what string, s Spread, wanted float64) goal {
	return goal{what, fmt.Sprintf("≤ %.2f", wanted), fmt.Sprintf("%.2f", s.Median), fmt.Sprintf("%.2f to %.2f", s.Least, s.Most), s.Median <= wanted}
}

// within judges values that must all be small enough.
func within(what string, s Spread, wanted float64, write func(float64) string) goal {
	return goal{what, "≤ " + write(wanted), write(s.Median), write(s.Least) + " to " + write(s.Most), s.Median <= wanted}
}

func answerGoals(s *Section) []goal {
	var gs []goal
	for _, c := range s.Cells {
		ours, base := c.Variants[len(c.Variants)-1].Runs, c.Variants[0].Runs
		switch {
		case c.Size != usualSize:
		case c.Connections == usualConnections:
			gs = append(gs,
				atLeast(c.Source+": acknowledged/s, of bare net/http's (stretch: 0.70)", Ratios(ours, base, rate), 0.55),
				atMost(c.Source+": CPU a callback, of bare net/http's (stretch: 1.50)", Ratios(ours, base, cpu), 2))
		case c.Connections == 1 && len(c.Syncs) > 0:
			a, p := syncs(c)
			ratios := make([]float64, 0, len(ours))
			for i := range min(len(ours), len(c.Syncs)) {
				ratios = append(ratios, float64(ours[i].P50)/math.Max(1, float64(c.Syncs[i].Preallocated)))
			}
			gs = append(gs, atMost(fmt.Sprintf("%s: one connection, p50 (%s), of a durable write's (%s preallocated, %s appended)", c.Source,
				micros(c.Variants[len(c.Variants)-1].of(p50).Median), micros(p.Median), micros(a.Median)), SpreadOf(ratios), 1.5))
		}
	}
	return gs
}

func endToEndGoals(s *Section) []goal {
	var gs []goal
	for _, c := range s.Cells {
		gs = append(gs, atLeast(c.Source+": stored and delivered/s, of the reverse proxy's",
			Ratios(c.Variants[len(c.Variants)-1].Runs, c.Variants[0].Runs, rate), 1))
	}
	return gs
}

func latencyGoals(s *Section) []goal {
	var gs []goal
	for _, c := range s.Cells {
		gs = append(gs, atMost(c.Source+": p99 at half load, of bare net/http's",
			Ratios(c.Variants[len(c.Variants)-1].Runs, c.Variants[0].Runs, p99), 3))
	}
	return gs
}

func overloadGoals(s *Section) []goal {
	if len(s.Overloads) == 0 {
		return nil
	}
	lost, acknowledged := 0, 0
	var after []float64
	for _, o := range s.Overloads {
		lost, acknowledged = lost+o.Lost, acknowledged+o.Acknowledged
		if o.Before.P99 > 0 {
			after = append(after, float64(o.After.P99/o.Before.P99))
		}
	}
	p99s := SpreadOf(over(s.Overloads, func(o Overload) float64 { return float64(o.Latency.P99) }))
	sent := SpreadOf(over(s.Overloads, func(o Overload) float64 { return float64(o.Service.P99) }))
	return []goal{
		within("twice the saturation: p99 of the accepted, since they were due", p99s, 250_000, micros),
		within("– since they were sent", sent, 250_000, micros),
		{"acknowledged and lost, of " + number(float64(acknowledged)), "0", number(float64(lost)), "", lost == 0},
		atMost("p99 at half load afterwards, of the one before", SpreadOf(after), 1.5),
	}
}

func startGoals(s *Section) []goal {
	const mebibyte = 1 << 20
	var gs []goal
	for _, x := range s.Starts {
		resident := SpreadOf([]float64{float64(x.Suspended.Resident), float64(x.Retrying.Resident)})
		resident.Median = resident.Most
		name := number(float64(x.Waiting)) + " waiting"
		if x.Waiting == 0 {
			gs = append(gs, within("idle: resident memory", resident, 25*mebibyte, mebibytes))
			continue
		}
		killed := SpreadOf(over(x.Killed, func(m Micros) float64 { return float64(m) }))
		gs = append(gs,
			within(name+": resident memory, suspended or retrying", resident, 256*mebibyte, mebibytes),
			within(name+": ready after SIGKILL", killed, 1e6, micros))
	}
	return gs
}

// flat is by how much the last quarter of a soak may be above the first.
const flat = 1.1

func soakGoals(s *Section) []goal {
	if s.Soak == nil || len(s.Soak.Samples) < 8 {
		return nil
	}
	var gs []goal
	for _, v := range series {
		switch v.name {
		case "resident memory", "goroutines", "open files", "disk":
			t := TrendOf(s.Soak.Samples, v.of)
			gs = append(gs, goal{
				"soak: " + v.name + ", last quarter of the first", fmt.Sprintf("≤ %.2f", flat),
				fmt.Sprintf("%.2f", t.Last/t.First), v.write(t.First) + ", then " + v.write(t.Last), t.Last <= flat*t.First,
			})
		}
	}
	return gs
}
