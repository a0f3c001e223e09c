package report

import (
	"fmt"
	"io"
	"strings"
)

// table writes a Markdown table. The first column is left-aligned, the others right.
func table(w io.Writer, head []string, rows [][]string) {
	fmt.Fprintf(w, "| %s |\n|---|%s\n", strings.Join(head, " | "), strings.Repeat("--:|", len(head)-1))
	for _, row := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
	fmt.Fprintln(w)
}

// number groups digits by thousands.
func number(v float64) string {
	text := fmt.Sprintf("%.0f", v)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// micros writes a time in microseconds, with three digits.
func micros(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v < 1000:
		return digits(v) + " µs"
	case v < 1e6:
		return digits(v/1000) + " ms"
	default:
		return digits(v/1e6) + " s"
	}
}

func digits(v float64) string {
	switch {
	case v < 9.995:
		return fmt.Sprintf("%.2f", v)
	case v < 99.95:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}

func mebibytes(v float64) string { return digits(v/(1<<20)) + " MiB" }

// ratio writes a spread of ratios.
func ratio(s Spread) string { return fmt.Sprintf("%.2f (%.2f to %.2f)", s.Median, s.Least, s.Most) }

// size writes the size of a body.
func size(n int) string {
	if n >= 1<<10 && n%(1<<10) == 0 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}
