package report

import (
	"fmt"
	"io"
)

// Answers writes the tables of section answers.
func Answers(w io.Writer, s *Section) {
	for _, c := range s.Answers {
		fmt.Fprintf(w, "### %s, %s, %d connection%s\n\n", c.Source, size(c.Size), c.Connections, plural(c.Connections))
		variants(w, "acknowledged/s", c.Variants)
		if len(c.Syncs) == 0 {
			continue
		}
		appended := SpreadOf(over(c.Syncs, func(s Sync) float64 { return float64(s.Append) }))
		written := SpreadOf(over(c.Syncs, func(s Sync) float64 { return float64(s.Preallocated) }))
		ours := c.Variants[len(c.Variants)-1].of(p50)
		fmt.Fprintf(w, "The disk takes %s to append such a record durably, %s to write it into space that a file has already: Hookbay's p50 is %.2f and %.2f of that.\n\n",
			micros(appended.Median), micros(written.Median), ours.Median/appended.Median, ours.Median/written.Median)
	}
}

// variants writes a row for each variant, compared with the first.
func variants(w io.Writer, what string, vs []Variant) {
	rows := make([][]string, 0, len(vs))
	for _, v := range vs {
		rows = append(rows, []string{
			v.Name, number(v.of(rate).Median), ratio(Ratios(v.Runs, vs[0].Runs, rate)),
			micros(v.of(p50).Median), micros(v.of(p99).Median), micros(v.of(p999).Median),
			micros(v.of(cpu).Median), ratio(Ratios(v.Runs, vs[0].Runs, cpu)), mebibytes(v.of(peak).Most),
			micros(SpreadOf(over(v.Runs, func(r Run) float64 { return float64(r.Generator) })).Median),
		})
	}
	table(w, []string{"", what, "ratio", "p50", "p99", "p99.9", "CPU each", "ratio", "memory, peak", "load's CPU"}, rows)
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}
