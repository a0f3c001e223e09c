//go:build linux

package main

import (
	"flag"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parsed(t *testing.T, line string) (*options, error) {
	t.Helper()
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return parseFlags(flags, strings.Fields(line))
}

// TestParseFlags_out: only whole sections, measured as usual, may replace those of the report.
func TestParseFlags_out(t *testing.T) {
	for name, test := range map[string]struct {
		flags                   string
		wantOut, wantPage       string
		wantDiffering           []string
		wantRounds, wantLatency int
	}{
		"nothing":                   {"", usualOut, "docs/benchmarks.md", nil, 3, 5},
		"whole sections":            {"-sections answers,latency", usualOut, "docs/benchmarks.md", nil, 3, 5},
		"the soak alone":            {"-sections soak", usualOut, "docs/benchmarks.md", nil, 3, 5},
		"all but the soak":          {"-soak 0", usualOut, "docs/benchmarks.md", nil, 3, 5},
		"a value that is the usual": {"-rounds 3", usualOut, "docs/benchmarks.md", nil, 3, 5},
		"scratch space elsewhere":   {"-scratch /tmp", usualOut, "docs/benchmarks.md", nil, 3, 5},
		"only the page":             {"-render", usualOut, "docs/benchmarks.md", nil, 3, 5},
		"a short soak":              {"-sections soak -soak 2m", otherOut, "bin/bench-out.md", []string{"soak"}, 3, 5},
		"fewer connections":         {"-sections answers -connections 64", otherOut, "bin/bench-out.md", []string{"connections"}, 3, 5},
		"one size":                  {"-sizes 1024", otherOut, "bin/bench-out.md", []string{"sizes"}, 3, 5},
		"one source":                {"-sources Lazada", otherOut, "bin/bench-out.md", []string{"sources"}, 3, 5},
		"one round":                 {"-rounds 1", otherOut, "bin/bench-out.md", []string{"rounds"}, 1, 1},
		"rounds of both":            {"-rounds 4 -latency-rounds 7", otherOut, "bin/bench-out.md", []string{"latency-rounds", "rounds"}, 4, 7},
		"short turns":               {"-duration 1s", otherOut, "bin/bench-out.md", []string{"duration"}, 3, 5},
		"another receiver":          {"-receiver /tmp/receiver", otherOut, "bin/bench-out.md", []string{"receiver"}, 3, 5},
		"a place that is named":     {"-rounds 1 -out docs/benchmarks", usualOut, "docs/benchmarks.md", []string{"rounds"}, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parsed(t, test.flags)
			if err != nil {
				t.Fatal(err)
			}
			if o.out != test.wantOut || o.page != test.wantPage {
				t.Errorf("results go to %s and %s, want %s and %s", o.out, o.page, test.wantOut, test.wantPage)
			}
			if o.rounds != test.wantRounds || o.latencyRounds != test.wantLatency {
				t.Errorf("there are %d rounds, and %d of latency, want %d and %d", o.rounds, o.latencyRounds, test.wantRounds, test.wantLatency)
			}
			if diff := cmp.Diff(test.wantDiffering, o.differing()); diff != "" {
				t.Errorf("what differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseFlags_wrong(t *testing.T) {
	for name, test := range map[string]struct{ flags, want string }{
		"a soak of nothing":       {"-sections answers,soak -soak 0", "-soak:"},
		"a soak into the past":    {"-soak -1s", "-soak:"},
		"a section that is none":  {"-sections speed", "-sections: write some of answers,"},
		"no rounds":               {"-rounds 0", "rounds: write 1 or more instead of 0"},
		"no rounds of latency":    {"-latency-rounds 0", "-latency-rounds: write 1 or more instead of 0"},
		"connections in a word":   {"-connections many", `-connections: write numbers, separated by commas, instead of "many"`},
		"sizes that are negative": {"-sizes -1", "-sizes: write numbers"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parsed(t, test.flags); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, want one with %q", err, test.want)
			}
		})
	}
}
