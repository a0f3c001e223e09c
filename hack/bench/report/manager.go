package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Manager is what one number of endpoints takes of `hookbay manager`.
type Manager struct {
	Endpoints  int    `json:"endpoints"`
	Kubernetes string `json:"kubernetes"`
	// Create is until the last endpoint was Ready, Change until the last was Programmed, Restart until each was looked at.
	Create  Work `json:"create"`
	Rest    Work `json:"rest"`
	Change  Work `json:"change"`
	Restart Work `json:"restart"`
	// Resident, Heap and Goroutines are at the end of the rest, in bytes.
	Resident   float64 `json:"residentBytes"`
	Heap       float64 `json:"heapBytes"`
	Goroutines float64 `json:"goroutines"`
	// RestartMemory is resident, after the restart.
	RestartMemory float64 `json:"restartResidentBytes"`
}

// Work is what the manager did between two moments.
type Work struct {
	// Took is until the last endpoint was there, Wall until the manager was quiet.
	Took time.Duration `json:"tookNanoseconds"`
	Wall time.Duration `json:"wallNanoseconds"`
	CPU  time.Duration `json:"cpuNanoseconds"`
	// Reads and Writes are requests to the API server. Of the writes, Applies, Pods (annotations), Statuses and Events are what the API server
	// counted itself.
	Reads    float64 `json:"reads"`
	Writes   float64 `json:"writes"`
	Applies  float64 `json:"applies"`
	Pods     float64 `json:"pods"`
	Statuses float64 `json:"statuses"`
	Events   float64 `json:"events"`
	// Rounds are reconciles, Failed those that ended with an error.
	Rounds float64 `json:"rounds"`
	Failed float64 `json:"failed"`
}

// Managers writes the table of section manager, a column for each number of endpoints.
func Managers(w io.Writer, s *Section) {
	if len(s.Managers) == 0 {
		return
	}
	fmt.Fprintf(w, "Kubernetes %s; each endpoint has two receivers with volumes, which are played. See [manager-scale.md](manager-scale.md).\n\n", s.Managers[0].Kubernetes)
	t := &columns{w: w, managers: s.Managers}
	t.row("endpoints", func(m Manager) string { return number(float64(m.Endpoints)) })
	fmt.Fprintf(w, "|---|%s\n", strings.Repeat("--:|", len(s.Managers)))
	t.work("create", "from the first create to the last Ready", func(m Manager) Work { return m.Create })
	t.row("**at rest**: CPU, of one core", func(m Manager) string {
		return fmt.Sprintf("%.2f %%", 100*m.Rest.CPU.Seconds()/m.Rest.Wall.Seconds())
	})
	t.row("CPU a round", func(m Manager) string {
		if m.Rest.Rounds < 100 {
			return "–" // of so few, what is measured is the process
		}
		return micros(float64(MicrosOf(m.Rest.CPU)) / m.Rest.Rounds)
	})
	t.row("rounds a second", func(m Manager) string { return fmt.Sprintf("%.1f", m.Rest.Rounds/m.Rest.Wall.Seconds()) })
	t.row("requests that read, that write", func(m Manager) string { return fmt.Sprintf("%s, %s", number(m.Rest.Reads), number(m.Rest.Writes)) })
	t.row("memory: resident, heap in use", func(m Manager) string { return mebibytes(m.Resident) + ", " + mebibytes(m.Heap) })
	t.row("goroutines", func(m Manager) string { return strconv.Itoa(int(m.Goroutines)) })
	t.work("change", "from the first change of a spec to the last Programmed", func(m Manager) Work { return m.Change })
	t.row("**restart**: until each endpoint was looked at", func(m Manager) string { return micros(float64(MicrosOf(m.Restart.Took))) })
	t.row("requests that read, that write", func(m Manager) string {
		return fmt.Sprintf("%s, %s", number(m.Restart.Reads), number(m.Restart.Writes))
	})
	t.row("CPU", func(m Manager) string { return micros(float64(MicrosOf(m.Restart.CPU))) })
	t.row("memory, resident", func(m Manager) string { return mebibytes(m.RestartMemory) })
	fmt.Fprintln(w)
}

// columns writes a table row by row.
type columns struct {
	w        io.Writer
	managers []Manager
}

// work writes what it took to reach a state, for each endpoint.
func (t *columns) work(name, what string, of func(Manager) Work) {
	each := func(value func(Work) float64) func(Manager) string {
		return func(m Manager) string { return fmt.Sprintf("%.1f", value(of(m))/float64(m.Endpoints)) }
	}
	t.row("**"+name+"**: "+what, func(m Manager) string { return micros(float64(MicrosOf(of(m).Took))) })
	t.row("requests for each endpoint", each(func(p Work) float64 { return p.Reads + p.Writes }))
	t.row("– reads", each(func(p Work) float64 { return p.Reads }))
	t.row("– applies of children", each(func(p Work) float64 { return p.Applies }))
	t.row("– annotations of pods", each(func(p Work) float64 { return p.Pods }))
	t.row("– status", each(func(p Work) float64 { return p.Statuses }))
	t.row("– events", each(func(p Work) float64 { return p.Events }))
	t.row("rounds for each endpoint", each(func(p Work) float64 { return p.Rounds }))
	t.row("rounds that failed", func(m Manager) string { return fmt.Sprintf("%.0f", of(m).Failed) })
	t.row("CPU for each endpoint", func(m Manager) string { return micros(float64(MicrosOf(of(m).CPU)) / float64(m.Endpoints)) })
}

func (t *columns) row(name string, value func(Manager) string) {
	fmt.Fprintf(t.w, "| %s |", name)
	for _, m := range t.managers {
		fmt.Fprintf(t.w, " %s |", value(m))
	}
	fmt.Fprintln(t.w)
}
