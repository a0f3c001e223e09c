package report

import (
	"slices"

	"gonum.org/v1/plot/plotter"
)

// byConnections are lines over the number of connections, of the usual size and one source, a line for each variant.
func byConnections(s *Section, of func(*Variant) float64) (lines []line, at []float64) {
	points := map[string]plotter.XYs{}
	var order []string
	for _, c := range s.Cells {
		if c.Source != s.Cells[0].Source || c.Size != usualSize {
			continue
		}
		at = append(at, float64(c.Connections))
		for i := range c.Variants {
			v := &c.Variants[i]
			if !slices.Contains(order, v.Name) {
				order = append(order, v.Name)
			}
			points[v.Name] = append(points[v.Name], plotter.XY{X: float64(c.Connections), Y: of(v)})
		}
	}
	for _, name := range order {
		lines = append(lines, line{name, points[name]})
	}
	return lines, at
}

func answerPlots(s *Section) []figure {
	if len(s.Cells) == 0 {
		return nil
	}
	what := ", " + s.Cells[0].Source + ", 1 KiB"
	rates, at := byConnections(s, func(v *Variant) float64 { return v.of(rate).Median })
	cpus, _ := byConnections(s, func(v *Variant) float64 { return v.of(cpu).Median })
	p99s, _ := byConnections(s, func(v *Variant) float64 { return v.of(p99).Median / 1000 })
	if len(at) < 2 {
		return nil
	}
	return []figure{
		{name: "rate", title: "Acknowledged a second" + what, x: "connections", y: "callbacks/s", logX: true, at: at, lines: rates},
		{name: "cpu", title: "CPU a callback" + what, x: "connections", y: "µs", logX: true, logY: true, at: at, lines: cpus},
		{name: "p99", title: "p99" + what, x: "connections", y: "ms", logX: true, logY: true, at: at, lines: p99s},
	}
}

// byRound are lines over the rounds, of one source.
func byRound(s *Section, of func(Run) float64) []line {
	if len(s.Cells) == 0 || len(s.Cells[0].Variants[0].Runs) < 2 {
		return nil
	}
	var lines []line
	for _, v := range s.Cells[0].Variants {
		l := line{name: v.Name}
		for i, r := range v.Runs {
			l.points = append(l.points, plotter.XY{X: float64(i + 1), Y: of(r)})
		}
		lines = append(lines, l)
	}
	return lines
}

func rounds(s *Section) []float64 {
	var at []float64
	for i := range s.Cells[0].Variants[0].Runs {
		at = append(at, float64(i+1))
	}
	return at
}

func endToEndPlots(s *Section) []figure {
	lines := byRound(s, rate)
	if lines == nil {
		return nil
	}
	return []figure{{name: "rate", title: "Delivered a second, " + s.Cells[0].Source + ", 1 KiB", x: "round", y: "callbacks/s", at: rounds(s), lines: lines}}
}

func latencyPlots(s *Section) []figure {
	lines := byRound(s, func(r Run) float64 { return float64(r.P99) / 1000 })
	if lines == nil {
		return nil
	}
	return []figure{{name: "p99", title: "p99 at half load, " + s.Cells[0].Source + ", 1 KiB", x: "round", y: "ms", logY: true, at: rounds(s), lines: lines}}
}

func overloadPlots(s *Section) []figure {
	if len(s.Overloads) == 0 {
		return nil
	}
	var before, during, draining, after line
	before.name, during.name, draining.name, after.name = "before", "at twice the saturation", "at once when it ends", "when all is delivered"
	var at []float64
	for i, o := range s.Overloads {
		x := float64(i + 1)
		at = append(at, x)
		for _, p := range []struct {
			of    *line
			value Micros
		}{{&before, o.Before.P99}, {&during, o.Latency.P99}, {&draining, o.Draining.P99}, {&after, o.After.P99}} {
			p.of.points = append(p.of.points, plotter.XY{X: x, Y: max(0.001, float64(p.value)/1000)})
		}
	}
	return []figure{{name: "p99", title: "p99 of the accepted, since due", x: "round", y: "ms", logY: true, at: at, lines: []line{before, during, draining, after}}}
}

func startPlots(s *Section) []figure {
	clean, killed := line{name: "after a stop"}, line{name: "after SIGKILL"}
	idle, retrying := line{name: "suspended"}, line{name: "retrying"}
	for _, x := range s.Starts {
		at := float64(x.Waiting) / 1e6
		add := func(l *line, y float64) { l.points = append(l.points, plotter.XY{X: at, Y: y}) }
		median := func(ms []Micros) float64 {
			return SpreadOf(over(ms, func(m Micros) float64 { return float64(m) / 1e6 })).Median
		}
		add(&clean, median(x.Clean))
		add(&killed, median(x.Killed))
		add(&idle, float64(x.Suspended.Resident)/(1<<20))
		add(&retrying, float64(x.Retrying.Resident)/(1<<20))
	}
	if len(s.Starts) < 2 {
		return nil
	}
	return []figure{
		{name: "ready", title: "From start to ready", x: "million events waiting", y: "s", lines: []line{clean, killed}},
		{name: "memory", title: "Resident memory", x: "million events waiting", y: "MiB", lines: []line{idle, retrying}},
	}
}

func soakPlots(s *Section) []figure {
	if s.Soak == nil || len(s.Soak.Samples) < 8 {
		return nil
	}
	of := func(value func(Sample) float64) plotter.XYs {
		var points plotter.XYs
		for _, x := range s.Soak.Samples {
			points = append(points, plotter.XY{X: x.At / 60, Y: value(x)})
		}
		return points
	}
	return []figure{
		{name: "memory", title: "Memory and disk", x: "minutes", y: "MiB", lines: []line{
			{"Go heap", of(func(x Sample) float64 { return float64(x.Heap) / (1 << 20) })},
			{"disk", of(func(x Sample) float64 { return float64(x.Disk) / (1 << 20) })},
			{"resident", of(func(x Sample) float64 { return float64(x.Resident) / (1 << 20) })},
		}},
		{name: "handles", title: "Goroutines and open files", x: "minutes", y: "", lines: []line{
			{"open files", of(func(x Sample) float64 { return float64(x.Files) })},
			{"events waiting", of(func(x Sample) float64 { return float64(x.Backlog) })},
			{"goroutines", of(func(x Sample) float64 { return float64(x.Goroutines) })},
		}},
	}
}
