//go:build linux

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hookbay/hookbay/hack/bench/report"
	"github.com/hookbay/hookbay/hack/bench/server"
)

// brief is how long loads last.
const brief = 200 * time.Millisecond

// TestMain is a baseline where the benchmark starts its own program as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "-serve" {
		target := os.Args[len(os.Args)-1]
		if err := server.Serve(context.Background(), os.Args[2], target, os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestSections runs each section that needs no cluster, as short as can be, with the real receiver. What it measures means nothing; what it checks,
// that nothing acknowledged is missing, does.
func TestSections(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "receiver")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./receiver")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	o := &options{
		sources: []string{"Lazada", "TencentIM"}, connections: []int{1, 4}, sizes: []int{300}, rounds: 1, latencyRounds: 1, duration: brief, warmUp: brief,
		flooded: brief, crowd: 16, waiting: []int{0, 500}, settle: brief, soak: 2 * brief,
		receiver: program, scratch: dir,
	}
	results := filepath.Join(dir, "benchmarks")
	for _, s := range sections {
		if s.name == "manager" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			r := &report.Section{Name: s.name}
			if err := s.run(t.Context(), o, r); err != nil {
				t.Fatal(err)
			}
			for _, x := range r.Overloads {
				if x.Lost > 0 || x.Acknowledged == 0 {
					t.Errorf("of %d callbacks that were acknowledged %d are lost", x.Acknowledged, x.Lost)
				}
			}
			if err := r.Write(results); err != nil {
				t.Fatal(err)
			}
		})
	}
	if err := report.Page(filepath.Join(dir, "benchmarks.md"), results); err != nil {
		t.Error(err)
	}
}
