package report

import (
	"fmt"
	"io"
	"strings"
)

// Surroundings are what else happened on the machine while a section was measured. Shares are of all processors, or of the time.
type Surroundings struct {
	// Before is what was in use in the second before it began; others' is what other programs took while it went on.
	Before float64 `json:"usedBefore"`
	Others float64 `json:"usedByOthers"`
	// Stolen is processor time that the machine below a virtual one gave to somebody else.
	Stolen float64 `json:"stolen"`
	// LoadBefore and LoadAfter are load averages of a minute.
	LoadBefore float64 `json:"loadBefore"`
	LoadAfter  float64 `json:"loadAfter"`
	// Pressure is nil where the kernel doesn't measure it.
	Pressure *Pressure `json:"pressure,omitempty"`
}

// Pressure is the share of time in which something waited for a resource: what the kernel calls PSI, "some".
type Pressure struct {
	CPU    float64 `json:"cpu"`
	Disk   float64 `json:"disk"`
	Memory float64 `json:"memory"`
}

// MuchBefore is how much of the processors may be in use before a section begins.
const MuchBefore = 0.1

// String tells it in a line.
func (s *Surroundings) String() string {
	text := fmt.Sprintf("in use before %s, by others during %s, stolen %s; load average %.1f, then %.1f",
		percent(s.Before), percent(s.Others), percent(s.Stolen), s.LoadBefore, s.LoadAfter)
	if s.Pressure != nil {
		text += fmt.Sprintf("; pressure: CPU %s, disk %s, memory %s", percent(s.Pressure.CPU), percent(s.Pressure.Disk), percent(s.Pressure.Memory))
	}
	return text
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

// surroundings writes what else was going on, and warns of it.
func surroundings(w io.Writer, sections map[string]*Section) {
	var rows [][]string
	var disturbed, unknown []string
	for _, c := range chapters {
		s := sections[c.name]
		if s == nil {
			continue
		}
		x := s.Surroundings
		if x == nil {
			unknown = append(unknown, c.title)
			continue
		}
		before, others := percent(x.Before), percent(x.Others)
		if x.Before > MuchBefore {
			before = "**" + before + "**"
		}
		if x.Others > MuchBefore {
			others = "**" + others + "**"
		}
		if x.Before > MuchBefore || x.Others > MuchBefore {
			disturbed = append(disturbed, c.title)
		}
		pressure := "–"
		if p := x.Pressure; p != nil {
			pressure = percent(p.CPU) + ", " + percent(p.Disk) + ", " + percent(p.Memory)
		}
		rows = append(rows, []string{c.title, before, others, percent(x.Stolen), fmt.Sprintf("%.1f, %.1f", x.LoadBefore, x.LoadAfter), pressure})
	}
	if len(rows) > 0 {
		fmt.Fprint(w, "What else the machine did. Processor time is of all processors; \"before\" is the second before the section began, \"stolen\" went to other virtual machines. "+
			"Pressure (PSI) is the share of the time in which something waited, the benchmark's own servers and load included, which keep the processors busy on purpose.\n\n")
		table(w, []string{"section", "in use before", "others during", "stolen", "load average before, after", "pressure: CPU, disk, memory"}, rows)
	}
	if len(disturbed) > 0 {
		fmt.Fprintf(w, "**Something else used more than a tenth of the processors before or during: %s.** Absolute figures are worse there than on an idle machine, and ranges wider.\n\n",
			strings.Join(disturbed, ", "))
	}
	if len(unknown) > 0 {
		fmt.Fprintf(w, "What else the machine did was not recorded for: %s.\n\n", strings.Join(unknown, ", "))
	}
}
