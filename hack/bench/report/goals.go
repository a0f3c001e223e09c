package report

import (
	"fmt"
	"io"
	"strings"
)

// goal is one of the promises, and what became of it.
type goal struct {
	kind                           kind
	what, wanted, measured, spread string
	verdict                        string
}

// What becomes of a goal. The others are "not judged", and why.
const (
	met        = "yes"
	missed     = "**no**"
	noisy      = "too noisy to tell"
	unmeasured = "not measured"
	unjudged   = "not judged: "
)

// leastRounds is how many rounds a verdict takes.
const leastRounds = 3

// goals writes the table of promises, of all sections: what was not measured must not be missing from it.
func goals(w io.Writer, sections map[string]*Section) {
	var all []goal
	for _, of := range []struct {
		name  string
		goals func(*Section) []goal
	}{
		{"answers", answerGoals}, {"end-to-end", endToEndGoals}, {"latency", latencyGoals},
		{"overload", overloadGoals}, {"start", startGoals}, {"soak", soakGoals},
	} {
		s := sections[of.name]
		if s == nil {
			s = &Section{}
		}
		all = append(all, of.goals(s)...)
	}
	fmt.Fprintf(w, `## Goals

A goal is judged by the median of at least %d rounds. Where some rounds meet it and others don't it is %s: the median alone would decide, and may be another one
tomorrow. Memory is read once, and a soak is one run: these have no rounds.

`, leastRounds, noisy)
	rows := make([][]string, 0, len(all))
	for _, g := range all {
		rows = append(rows, []string{g.what, g.wanted, g.measured, g.spread, g.verdict})
	}
	table(w, []string{"goal", "wanted", "measured", "range", "met"}, rows)
	meanings(w, all)
}

// atLeast and atMost judge one value of each round.
func atLeast(k kind, what string, values []float64, wanted float64) goal {
	return judged(goal{kind: k, what: what, wanted: "≥ " + plain(wanted)}, values, plain, func(v float64) bool { return v >= wanted })
}

func atMost(k kind, what string, values []float64, wanted float64, write func(float64) string) goal {
	return judged(goal{kind: k, what: what, wanted: "≤ " + write(wanted)}, values, write, func(v float64) bool { return v <= wanted })
}

func plain(v float64) string { return fmt.Sprintf("%.2f", v) }

// judged completes a goal with what was measured, and what that means.
func judged(g goal, values []float64, write func(float64) string, ok func(float64) bool) goal {
	g = shown(g, values, write)
	s := SpreadOf(values)
	switch {
	case len(values) == 0:
	case len(values) < leastRounds:
		g.verdict = fmt.Sprintf("%s%d round%s", unjudged, len(values), plural(len(values)))
	case ok(s.Least) != ok(s.Most):
		g.verdict = noisy
	case ok(s.Median):
		g.verdict = met
	default:
		g.verdict = missed
	}
	return g
}

// shown completes a goal with what was measured only.
func shown(g goal, values []float64, write func(float64) string) goal {
	g.measured, g.verdict = "–", unmeasured
	if s := SpreadOf(values); len(values) > 0 {
		g.measured, g.spread = write(s.Median), write(s.Least)+" to "+write(s.Most)
	}
	return g
}

// each judges by the largest of a few values, none of which may be too large.
func each(k kind, what string, values []float64, wanted float64, write func(float64) string) goal {
	g := shown(goal{kind: k, what: what, wanted: "≤ " + write(wanted)}, values, write)
	if len(values) == 0 {
		return g
	}
	most := SpreadOf(values).Most
	g.measured, g.verdict = write(most), missed
	if most <= wanted {
		g.verdict = met
	}
	return g
}

// kind is what a goal is about.
type kind int

const (
	aboutWrite kind = iota
	aboutRate
	aboutCPU
	aboutDelivery
	aboutTail
	aboutFlood
	aboutLoss
	aboutAftermath
	aboutMemory
	aboutStart
	aboutSoak
)

// meaning is what a user has of it when a goal of a kind is missed.
var meaning = map[kind]string{
	aboutWrite: "**p50 of one connection, of a durable write's**: a caller that sends one callback at a time waits for some hundred microseconds where the disk alone " +
		"takes fewer. Platforms wait for 500 ms and more, so no caller notices; it bounds how many callbacks a second one connection carries.",
	aboutRate: "**Acknowledged/s, of bare net/http's**: when all processors are at their limit, fewer callbacks a second are acknowledged than wanted, of what a server " +
		"answers that stores nothing. What one receiver took is in the tables below; a pace beyond that takes more receivers (`receiver.replicas`) or processors.",
	aboutCPU: "**CPU a callback**: each callback takes more processor time than wanted. Multiply \"CPU each\" by your callbacks a second to know what a receiver takes when " +
		"busy; at a slow pace each takes more, as fewer share a write: see [sizing.md](sizing.md).",
	aboutDelivery: "**Stored and delivered/s**: events pass through a receiver at a lower pace than through a proxy that stores nothing. When more come than that for long, they " +
		"wait on the disk and reach the target late; none is lost.",
	aboutTail: "**p99 at half load**: one caller in a hundred waits for longer than wanted, of what a bare server lets it wait. The tables below say for how many milliseconds: what " +
		"matters to a platform is its time limit, 500 ms for Lazada and 2 s for Tencent IM.",
	aboutFlood: "**p99 of the accepted in an overload**: at twice of what the receiver can take, one in a hundred of those that it accepts is answered after more than half of the " +
		"platform's time limit. An answer beyond the whole limit counts as failed for the platform; if it sends the callback again, that is recognized as the same event.",
	aboutLoss:      "**Acknowledged and lost**: an event that a platform was told is safe is gone. This is a defect: please report it.",
	aboutAftermath: "**p99 afterwards**: for some seconds after an overload, until what has piled up is delivered, answers are slower than before it. The table below has all, in milliseconds.",
	aboutMemory:    "**Resident memory**: the receiver takes more memory than wanted; give it a larger request and limit than the default.",
	aboutStart:     "**Ready after SIGKILL**: after a crash a receiver takes callbacks later than wanted. Meanwhile other replicas take them, or platforms fail to deliver them.",
	aboutSoak: "**Soak**: something grew in the course of the run. If it goes on growing, a receiver that works for weeks needs more of it: watch it in " +
		"[the metrics](metrics.md).",
}

// meanings says what is behind goals that are missed, or may be.
func meanings(w io.Writer, all []goal) {
	var b strings.Builder
	for k := aboutWrite; k <= aboutSoak; k++ {
		for _, g := range all {
			if g.kind == k && (g.verdict == missed || g.verdict == noisy) {
				fmt.Fprintf(&b, "- %s\n", meaning[k])
				break
			}
		}
	}
	if b.Len() > 0 {
		fmt.Fprintf(w, "What it means for a user where a goal is missed, or may be:\n\n%s\n", b.String())
	}
}
