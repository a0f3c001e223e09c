package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/hookbay/hookbay/hack/bench/report"
)

// tell prints the results, and writes them to a file if one is given.
func tell(w io.Writer, file string, results []result) error {
	s := report.Section{}
	for _, r := range results {
		s.Managers = append(s.Managers, r.report())
	}
	if _, err := fmt.Fprintf(w, "%d cores, %s. ", runtime.NumCPU(), runtime.Version()); err != nil {
		return err
	}
	report.Managers(w, &s)
	if file == "" {
		return nil
	}
	text, err := json.Marshal(s.Managers)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

func (r result) report() report.Manager {
	return report.Manager{
		Endpoints: r.endpoints, Kubernetes: r.version,
		Create: r.create.report(), Rest: r.rest.report(), Change: r.change.report(), Restart: r.restart.report(),
		Resident: r.atRest.resident, Heap: r.atRest.heap, Goroutines: r.atRest.goroutines, RestartMemory: r.restartMemory,
	}
}

func (p phase) report() report.Work {
	return report.Work{
		Took: p.took, Wall: p.wall, CPU: p.cpu, Reads: p.reads, Writes: p.writes,
		Applies: p.written.applies, Pods: p.written.pods, Statuses: p.written.statuses, Events: p.written.events,
		Rounds: p.rounds, Failed: p.failed,
	}
}
