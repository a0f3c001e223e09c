package report

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// usualSources, usualWaiting are what goals are about, measured or not.
var (
	usualSources = []string{"Lazada", "TencentIM"}
	usualWaiting = []int{0, 100_000, 5_000_000}
)

// sources are the usual ones, and those that were measured.
func (s *Section) sources() []string {
	all := slices.Clone(usualSources)
	add := func(source string) {
		if !slices.Contains(all, source) {
			all = append(all, source)
		}
	}
	for _, c := range s.Cells {
		add(c.Source)
	}
	for _, o := range s.Overloads {
		add(o.Source)
	}
	return all
}

// cell finds one that was measured, of the usual size. An empty one has no runs.
func (s *Section) cell(source string, connections int) *Cell {
	for i, c := range s.Cells {
		if c.Source == source && c.Size == usualSize && c.Connections == connections {
			return &s.Cells[i]
		}
	}
	return &Cell{}
}

// ratios are Hookbay's, of what it is compared with, one for each round.
func (c *Cell) ratios(of func(Run) float64) []float64 {
	if len(c.Variants) < 2 {
		return nil
	}
	return quotients(c.Variants[len(c.Variants)-1].Runs, c.Variants[0].Runs, of)
}

func answerGoals(s *Section) []goal {
	var gs []goal
	for _, source := range s.sources() {
		usual := s.cell(source, usualConnections)
		gs = append(gs,
			writeGoal(source, s.cell(source, 1)),
			atLeast(aboutRate, source+": acknowledged/s, of bare net/http's (stretch: 0.70)", usual.ratios(rate), 0.55),
			atMost(aboutCPU, source+": CPU a callback, of bare net/http's (stretch: 1.50)", usual.ratios(cpu), 2, plain))
	}
	return gs
}

// writeGoal is about one connection, whose callbacks wait for a write each. Beside it is how long the syncs of the same turns took: one after another with
// nothing else going on, writes are faster, as neither the disk nor the processors fall asleep in between.
func writeGoal(source string, c *Cell) goal {
	what := source + ": one connection, p50, of a durable write's"
	var ratios []float64
	if len(c.Variants) > 0 && len(c.Syncs) > 0 {
		ours := &c.Variants[len(c.Variants)-1]
		a, p := syncs(*c)
		what = fmt.Sprintf("%s: one connection, p50 (%s), of a durable write's (%s preallocated, %s appended; its own syncs took %s)", source,
			micros(ours.of(p50).Median), micros(p.Median), micros(a.Median), micros(ours.of(syncing).Median))
		for i := range min(len(ours.Runs), len(c.Syncs)) {
			ratios = append(ratios, float64(ours.Runs[i].P50)/math.Max(1, float64(c.Syncs[i].Preallocated)))
		}
	}
	return atMost(aboutWrite, what, ratios, 1.5, plain)
}

func endToEndGoals(s *Section) []goal {
	var gs []goal
	for _, source := range s.sources() {
		gs = append(gs, atLeast(aboutDelivery, source+": stored and delivered/s, of the reverse proxy's", s.cell(source, usualConnections).ratios(rate), 1))
	}
	return gs
}

func latencyGoals(s *Section) []goal {
	var gs []goal
	for _, source := range s.sources() {
		gs = append(gs, atMost(aboutTail, source+": p99 at half load, of bare net/http's", s.cell(source, usualConnections).ratios(p99), 3, plain))
	}
	return gs
}

// halfLimits are half of what platforms wait, in microseconds: receivers refuse what they expect to take longer.
var halfLimits = map[string]float64{"Lazada": 250_000, "TencentIM": 1_000_000}

// Where an overload is none: the receiver took that much of what was offered; or so many found no connection that what came was less than offered.
const (
	allTaken = 0.95
	tooFew   = 0.1
)

func overloadGoals(s *Section) []goal {
	var gs []goal
	lost, acknowledged := 0, 0
	for _, source := range s.sources() {
		var rounds []Overload
		var atOnce, after []float64
		for _, o := range s.Overloads {
			if o.Source != source {
				continue
			}
			rounds = append(rounds, o)
			lost, acknowledged = lost+o.Lost, acknowledged+o.Acknowledged
			if o.Before.P99 > 0 {
				if o.Draining.P99 > 0 { // results of before it was measured have none
					atOnce = append(atOnce, float64(o.Draining.P99/o.Before.P99))
				}
				after = append(after, float64(o.After.P99/o.Before.P99))
			}
		}
		gs = append(gs, s.floodGoals(source, rounds)...)
		gs = append(gs,
			atMost(aboutAftermath, source+": p99 at half load after the overload, of the one before", atOnce, 1.5, plain),
			atMost(aboutAftermath, source+": – when all is delivered", after, 1.5, plain))
	}
	g := goal{kind: aboutLoss, what: "overload: acknowledged and lost", wanted: "0", measured: "–", verdict: unmeasured}
	if acknowledged > 0 {
		g.what += ", of " + number(float64(acknowledged))
		g.measured = number(float64(lost))
		switch {
		case lost > 0: // once is enough
			g.verdict = missed
		case len(s.Overloads) < leastRounds:
			g.verdict = fmt.Sprintf("%s%d round%s", unjudged, len(s.Overloads), plural(len(s.Overloads)))
		default:
			g.verdict = met
		}
	}
	return append(gs, g)
}

// floodGoals are about how long the accepted wait, of one source.
func (s *Section) floodGoals(source string, rounds []Overload) []goal {
	limit := halfLimits[source]
	if limit == 0 {
		limit = halfLimits[usualSources[0]]
	}
	due := atMost(aboutFlood, source+": twice the saturation, p99 of the accepted since they were due, within half of the platform's limit",
		over(rounds, func(o Overload) float64 { return float64(o.Latency.P99) }), limit, micros)
	sent := atMost(aboutFlood, source+": – since they were sent", over(rounds, func(o Overload) float64 { return float64(o.Service.P99) }), limit, micros)
	took, starved := 0, 0
	var most float64
	for _, o := range rounds {
		if o.Offered > 0 && o.Accepted >= allTaken*o.Offered {
			took++
		}
		if share := s.neverSent(o); share >= tooFew {
			starved, most = starved+1, max(most, share)
		}
	}
	n := len(rounds)
	switch {
	case n < leastRounds:
	case n-took < leastRounds && took > 0:
		due.verdict = fmt.Sprintf("%sit took all that was offered, in %d of %d rounds", unjudged, took, n)
		sent.verdict = due.verdict
	case n-starved < leastRounds && starved > 0:
		due.verdict = fmt.Sprintf("%sthe load had too few connections to offer more than the receiver can take; up to %.0f %% of the callbacks never found one free, in %d of %d rounds",
			unjudged, 100*most, starved, n)
	}
	return []goal{due, sent}
}

// neverSent is the share of the callbacks that were due and had no connection all the time.
func (s *Section) neverSent(o Overload) float64 {
	took, err := time.ParseDuration(s.Settings["overload"])
	if err != nil || o.Offered*took.Seconds() < 1 {
		return 0
	}
	return float64(o.Unsent) / (o.Offered * took.Seconds())
}

func startGoals(s *Section) []goal {
	const mebibyte = 1 << 20
	numbers := slices.Clone(usualWaiting)
	for _, x := range s.Starts {
		if !slices.Contains(numbers, x.Waiting) {
			numbers = append(numbers, x.Waiting)
		}
	}
	slices.Sort(numbers)
	var gs []goal
	for _, waiting := range numbers {
		var resident, killed []float64
		for _, x := range s.Starts {
			if x.Waiting == waiting {
				resident = []float64{float64(x.Suspended.Resident), float64(x.Retrying.Resident)}
				killed = over(x.Killed, func(m Micros) float64 { return float64(m) })
			}
		}
		if waiting == 0 {
			gs = append(gs, each(aboutMemory, "idle: resident memory", resident, 25*mebibyte, mebibytes))
			continue
		}
		name := number(float64(waiting)) + " waiting"
		gs = append(gs,
			each(aboutMemory, name+": resident memory, suspended or retrying", resident, 256*mebibyte, mebibytes),
			atMost(aboutStart, name+": ready after SIGKILL", killed, 1e6, micros))
	}
	return gs
}

// What a soak is judged by: by how much the last quarter may be above the first, and how many samples that takes.
const (
	flat         = 1.1
	leastSamples = 8
)

func soakGoals(s *Section) []goal {
	var gs []goal
	for _, v := range series {
		if !slices.Contains([]string{"resident memory", "goroutines", "open files", "disk"}, v.name) {
			continue
		}
		g := goal{
			kind: aboutSoak, what: "soak: " + v.name + ", last quarter of the first", wanted: "≤ " + plain(flat),
			measured: "–", verdict: unmeasured,
		}
		switch {
		case s.Soak == nil:
		case len(s.Soak.Samples) < leastSamples:
			g.verdict = fmt.Sprintf("%s%d sample%s", unjudged, len(s.Soak.Samples), plural(len(s.Soak.Samples)))
		default:
			t := TrendOf(s.Soak.Samples, v.of)
			g.measured, g.spread, g.verdict = plain(t.Last/t.First), v.write(t.First)+", then "+v.write(t.Last), missed
			if t.Last <= flat*t.First {
				g.verdict = met
			}
		}
		gs = append(gs, g)
	}
	return gs
}
