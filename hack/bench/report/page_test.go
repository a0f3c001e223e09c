package report

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden file anew")

// TestPage makes the page of results that nobody measured. Some of their goals are met and some are not.
func TestPage(t *testing.T) {
	dir := t.TempDir()
	results := filepath.Join(dir, "benchmarks")
	if err := os.CopyFS(results, os.DirFS("testdata/results")); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(dir, "benchmarks.md")
	if err := Page(page, results); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/benchmarks.md"
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("the page differs from %s (-want +got); if it should, run: go test ./report -update\n%s", golden, diff)
	}
	for line := range strings.Lines(string(got)) {
		_, rest, found := strings.Cut(line, "](benchmarks/")
		if plot, _, ok := strings.Cut(rest, ")"); found && ok {
			if _, err := os.Stat(filepath.Join(results, plot)); err != nil {
				t.Errorf("the page shows a plot that is not there: %v", err)
			}
		}
	}
}

func TestPage_ofNothing(t *testing.T) {
	page := filepath.Join(t.TempDir(), "benchmarks.md")
	if err := Page(page, filepath.Join(t.TempDir(), "missing")); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(got), "Nothing was measured yet") {
		t.Errorf("the page of no results is %q, want it to say so", got)
	}
}

// TestSection_Write reads back what it wrote.
func TestSection_Write(t *testing.T) {
	dir := t.TempDir()
	want, err := Read("testdata/results", "answers")
	if err != nil {
		t.Fatal(err)
	}
	if err := want.Write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := Read(dir, "answers")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a section changes when it is written and read (-want +got):\n%s", diff)
	}
}
