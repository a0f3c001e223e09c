package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// report prints a table, a column for each number of endpoints.
func report(w io.Writer, o options, results []result) {
	fmt.Fprintf(w, "%d cores, %s of memory, %s, Kubernetes %s; 2 receivers with volumes for each endpoint.\n\n",
		runtime.NumCPU(), memory(), runtime.Version(), results[0].version)
	row(w, "endpoints", results, func(r result) string { return strconv.Itoa(r.endpoints) })
	fmt.Fprintf(w, "|---|%s\n", strings.Repeat("--:|", len(results)))
	reportWork(w, "create", "from the first create to the last Ready", results, func(r result) phase { return r.create })
	rest := fmt.Sprintf("**at rest for %v**: ", o.rest)
	row(w, rest+"CPU, of one core", results, func(r result) string {
		return fmt.Sprintf("%.2f %%", 100*r.rest.cpu.Seconds()/r.rest.wall.Seconds())
	})
	row(w, "CPU a round", results, func(r result) string {
		if r.rest.rounds < 100 {
			return "–" // of so few, what is measured is the process
		}
		return fmt.Sprintf("%.1f ms", milliseconds(r.rest.cpu)/r.rest.rounds)
	})
	row(w, "rounds a second", results, func(r result) string { return fmt.Sprintf("%.1f", r.rest.rounds/r.rest.wall.Seconds()) })
	row(w, "requests that read, that write", results, func(r result) string { return fmt.Sprintf("%.0f, %.0f", r.rest.reads, r.rest.writes) })
	row(w, "memory: resident, heap in use", results, func(r result) string {
		return mebibytes(r.atRest.resident) + ", " + mebibytes(r.atRest.heap)
	})
	row(w, "goroutines", results, func(r result) string { return fmt.Sprintf("%.0f", r.atRest.goroutines) })
	reportWork(w, "change", "from the first change of a spec to the last Programmed", results, func(r result) phase { return r.change })
	row(w, "**restart**: until each endpoint was looked at", results, func(r result) string { return seconds(r.restart.took) })
	row(w, "requests that read, that write", results, func(r result) string { return fmt.Sprintf("%.0f, %.0f", r.restart.reads, r.restart.writes) })
	row(w, "CPU", results, func(r result) string { return seconds(r.restart.cpu) })
	row(w, "memory, resident", results, func(r result) string { return mebibytes(r.restartMemory) })
}

// reportWork prints what it took to reach a state, for each endpoint.
func reportWork(w io.Writer, name, what string, results []result, of func(result) phase) {
	each := func(value func(phase) float64) func(result) string {
		return func(r result) string { return fmt.Sprintf("%.1f", value(of(r))/float64(r.endpoints)) }
	}
	row(w, "**"+name+"**: "+what, results, func(r result) string { return seconds(of(r).took) })
	row(w, "requests for each endpoint", results, each(func(p phase) float64 { return p.reads + p.writes }))
	row(w, "– reads", results, each(func(p phase) float64 { return p.reads }))
	row(w, "– applies of children", results, each(func(p phase) float64 { return p.written.applies }))
	row(w, "– annotations of pods", results, each(func(p phase) float64 { return p.written.pods }))
	row(w, "– status", results, each(func(p phase) float64 { return p.written.statuses }))
	row(w, "– events", results, each(func(p phase) float64 { return p.written.events }))
	row(w, "rounds for each endpoint", results, each(func(p phase) float64 { return p.rounds }))
	row(w, "rounds that failed", results, func(r result) string { return fmt.Sprintf("%.0f", of(r).failed) })
	row(w, "CPU for each endpoint", results, func(r result) string {
		return fmt.Sprintf("%.0f ms", milliseconds(of(r).cpu)/float64(r.endpoints))
	})
}

func row(w io.Writer, name string, results []result, value func(result) string) {
	fmt.Fprintf(w, "| %s |", name)
	for _, r := range results {
		fmt.Fprintf(w, " %s |", value(r))
	}
	fmt.Fprintln(w)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func mebibytes(b float64) string { return fmt.Sprintf("%.0f MiB", b/(1<<20)) }

// memory is that of the machine, where it says so.
func memory() string {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return "an unknown amount"
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "MemTotal:" {
			if kib, err := strconv.ParseFloat(fields[1], 64); err == nil {
				return fmt.Sprintf("%.0f GiB", kib/(1<<20))
			}
		}
	}
	return "an unknown amount"
}
