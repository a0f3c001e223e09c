package report

import (
	"fmt"
	"io"
)

// Answers writes the tables of section answers.
func Answers(w io.Writer, s *Section) {
	for _, c := range s.Cells {
		fmt.Fprintf(w, "### %s, %s, %d connection%s\n\n", c.Source, size(c.Size), c.Connections, plural(c.Connections))
		variants(w, "acknowledged/s", c.Variants)
		if n := refused(c.Variants[len(c.Variants)-1]); n > 0 {
			bytes, connections := s.most(c.Source, c.Size)
			fmt.Fprintf(w, "They came faster than they can be stored: of bodies of that size Hookbay stored at most %.0f MB/s here, of %d connection%s. What would have to wait for "+
				"too long is refused at once, see above.\n\n", bytes/1e6, connections, plural(connections))
		}
		if len(c.Syncs) > 0 {
			ours := c.Variants[len(c.Variants)-1].of(p50)
			a, p := syncs(c)
			own := c.Variants[len(c.Variants)-1].of(syncing)
			of := func(sync Spread) string {
				if sync.Median == 0 {
					return "–"
				}
				return plain(ours.Median / sync.Median)
			}
			fmt.Fprintf(w, "The sync that each of Hookbay's callbacks waits for took %s (%s to %s) meanwhile, on average. One durable write of that size after the other, with nothing else going on, takes %s (%s to %s) "+
				"appended to a file, %s (%s to %s) in space that a file has already (medians of the same rounds). Hookbay's p50 is %s, %s and %s of these.\n\n",
				micros(own.Median), micros(own.Least), micros(own.Most), micros(a.Median), micros(a.Least), micros(a.Most), micros(p.Median), micros(p.Least), micros(p.Most),
				of(own), of(a), of(p))
		}
	}
}

// syncs are what the disk takes for a record, appended and written into space that is there.
func syncs(c Cell) (appended, preallocated Spread) {
	return SpreadOf(over(c.Syncs, func(s Sync) float64 { return float64(s.Append) })),
		SpreadOf(over(c.Syncs, func(s Sync) float64 { return float64(s.Preallocated) }))
}

// variants writes a row for each variant, compared with the first.
func variants(w io.Writer, what string, vs []Variant) {
	rows := make([][]string, 0, len(vs))
	for _, v := range vs {
		rows = append(rows, []string{
			v.Name, number(v.of(rate).Median), ratio(Ratios(v.Runs, vs[0].Runs, rate)),
			micros(v.of(p50).Median), micros(v.of(p99).Median), micros(v.of(p999).Median),
			micros(v.of(cpu).Median), ratio(Ratios(v.Runs, vs[0].Runs, cpu)), mebibytes(v.of(peak).Most),
			micros(v.of(generator).Median),
		})
	}
	table(w, []string{"", what, "ratio", "p50", "p99", "p99.9", "CPU each", "ratio", "memory, peak", "load's CPU"}, rows)
	refusals(w, vs)
}

// refusals says what was not accepted, where all should have been.
func refusals(w io.Writer, vs []Variant) {
	for _, v := range vs {
		if n := refused(v); n > 0 {
			fmt.Fprintf(w, "%s refused %s callback%s with 503.\n\n", v.Name, number(float64(n)), plural(n))
		}
	}
}

// refused is how many callbacks of all runs were.
func refused(v Variant) int {
	n := 0
	for _, r := range v.Runs {
		n += r.Refused
	}
	return n
}

// most is how many bytes of bodies of a size Hookbay acknowledged a second at most, and of how many connections.
func (s *Section) most(source string, size int) (bytes float64, connections int) {
	for _, c := range s.Cells {
		if c.Source != source || c.Size != size {
			continue
		}
		if b := c.Variants[len(c.Variants)-1].of(rate).Median * float64(size); b > bytes {
			bytes, connections = b, c.Connections
		}
	}
	return bytes, connections
}

// EndToEnd writes the tables of section end-to-end.
func EndToEnd(w io.Writer, s *Section) {
	for _, c := range s.Cells {
		fmt.Fprintf(w, "### %s, %s, %d connections\n\n", c.Source, size(c.Size), c.Connections)
		rows := make([][]string, 0, len(c.Variants))
		base := c.Variants[0].Runs
		for _, v := range c.Variants {
			rows = append(rows, []string{
				v.Name, number(v.of(rate).Median), ratio(Ratios(v.Runs, base, rate)), number(v.of(acknowledged).Median),
				micros(v.of(p50).Median), micros(v.of(p99).Median),
				micros(v.of(cpu).Median), ratio(Ratios(v.Runs, base, cpu)), mebibytes(v.of(peak).Most),
			})
		}
		table(w, []string{"", "delivered/s", "ratio", "acknowledged/s", "answer, p50", "p99", "CPU each", "ratio", "memory, peak"}, rows)
		refusals(w, c.Variants)
	}
}

// Latency writes the tables of section latency.
func Latency(w io.Writer, s *Section) {
	for _, c := range s.Cells {
		fmt.Fprintf(w, "### %s, %s, %d connections\n\n", c.Source, size(c.Size), c.Connections)
		rows := make([][]string, 0, len(c.Variants))
		base := c.Variants[0].Runs
		for _, v := range c.Variants {
			rows = append(rows, []string{
				v.Name, number(v.of(offered).Median), micros(v.of(p50).Median), ratio(Ratios(v.Runs, base, p50)),
				micros(v.of(p99).Median), ratio(Ratios(v.Runs, base, p99)), micros(v.of(p999).Median), ratio(Ratios(v.Runs, base, p999)),
			})
		}
		table(w, []string{"", "callbacks/s", "p50", "ratio", "p99", "ratio", "p99.9", "ratio"}, rows)
		refusals(w, c.Variants)
	}
}

// Overloads writes the table of section overload, a row for each round.
func Overloads(w io.Writer, s *Section) {
	rows := make([][]string, 0, len(s.Overloads))
	for _, o := range s.Overloads {
		rows = append(rows, []string{
			o.Source, number(o.Saturation), number(o.Offered), number(o.Accepted), number(o.Refused),
			micros(float64(o.Latency.P99)), micros(float64(o.Service.P99)), micros(float64(o.Refusal.P99)),
			micros(float64(o.Before.P99)), micros(float64(o.Draining.P99)), micros(float64(o.Drain)), micros(float64(o.After.P99)),
			number(float64(o.Other + o.Broken)), number(float64(o.Unsent)), mebibytes(float64(o.Peak)),
			number(float64(o.Acknowledged)), number(float64(o.Delivered)), number(float64(o.Waiting)), number(float64(o.Lost)),
		})
	}
	table(w, []string{
		"", "saturation/s", "offered/s", "accepted/s", "503/s", "accepted, p99 since due", "since sent", "503, p99",
		"at half load before, p99", "at once", "all delivered after", "then, p99", "failed otherwise", "never sent", "memory, peak", "acknowledged in all", "delivered", "waiting", "lost",
	}, rows)
}

// Starts writes the tables of section start.
func Starts(w io.Writer, s *Section) {
	var ready, memory [][]string
	spread := func(times []Micros) string {
		t := SpreadOf(over(times, func(m Micros) float64 { return float64(m) }))
		return fmt.Sprintf("%s (%s to %s)", micros(t.Median), micros(t.Least), micros(t.Most))
	}
	for _, x := range s.Starts {
		ready = append(ready, []string{number(float64(x.Waiting)), spread(x.Clean), spread(x.Killed), mebibytes(float64(x.Disk)), micros(float64(MicrosOf(x.Fill)))})
		memory = append(memory, []string{
			number(float64(x.Waiting)), mebibytes(float64(x.Suspended.Resident)), mebibytes(float64(x.Suspended.Peak)),
			mebibytes(float64(x.Retrying.Resident)), mebibytes(float64(x.Retrying.Peak)), number(float64(x.Attempts)),
		})
	}
	table(w, []string{"events waiting", "ready after a stop", "ready after SIGKILL under load", "on disk", "stored in"}, ready)
	table(w, []string{"events waiting", "memory, delivery suspended", "peak", "target refuses connections", "peak", "attempts by then"}, memory)
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}
