package report

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAtMost(t *testing.T) {
	for name, test := range map[string]struct {
		values []float64
		want   string
	}{
		"met in each round":                    {[]float64{1, 1.5, 2}, met},
		"missed in each round":                 {[]float64{2.1, 3, 4}, missed},
		"the median meets it, one round not":   {[]float64{1, 1.5, 9}, noisy},
		"one round meets it, the median not":   {[]float64{1, 3, 9}, noisy},
		"one good round":                       {[]float64{1}, "not judged: 1 round"},
		"two bad rounds":                       {[]float64{9, 9}, "not judged: 2 rounds"},
		"no round":                             {nil, unmeasured},
		"exactly what is wanted in each round": {[]float64{2, 2, 2}, met},
	} {
		t.Run(name, func(t *testing.T) {
			if got := atMost(aboutCPU, "goal", test.values, 2, plain).verdict; got != test.want {
				t.Errorf("the verdict of %v, wanted ≤ 2, is %q, want %q", test.values, got, test.want)
			}
		})
	}
}

func TestAtLeast(t *testing.T) {
	for name, test := range map[string]struct {
		values []float64
		want   string
	}{
		"met":     {[]float64{0.6, 0.7, 0.55}, met},
		"missed":  {[]float64{0.5, 0.4, 0.3}, missed},
		"in both": {[]float64{0.6, 0.5, 0.7}, noisy},
	} {
		t.Run(name, func(t *testing.T) {
			if got := atLeast(aboutRate, "goal", test.values, 0.55).verdict; got != test.want {
				t.Errorf("the verdict of %v, wanted ≥ 0.55, is %q, want %q", test.values, got, test.want)
			}
		})
	}
}

// TestGoals_unmeasured: a goal must not vanish because nobody measured it.
func TestGoals_unmeasured(t *testing.T) {
	count := map[string]int{"answers": 6, "end-to-end": 2, "latency": 2, "overload": 9, "start": 5, "soak": 4}
	for name, of := range map[string]func(*Section) []goal{
		"answers": answerGoals, "end-to-end": endToEndGoals, "latency": latencyGoals, "overload": overloadGoals, "start": startGoals, "soak": soakGoals,
	} {
		t.Run(name, func(t *testing.T) {
			gs := of(&Section{})
			if len(gs) != count[name] {
				t.Errorf("there are %d goals, want %d", len(gs), count[name])
			}
			for _, g := range gs {
				if g.verdict != unmeasured || g.measured != "–" {
					t.Errorf("%q of nothing is %q, measured %q, want it not measured", g.what, g.verdict, g.measured)
				}
			}
		})
	}
}

func TestOverloadGoals(t *testing.T) {
	round := func(source string, change func(*Overload)) Overload {
		o := Overload{
			Source: source, Offered: 1000, Accepted: 500, Refused: 500, Acknowledged: 10_000, Latency: Waits{P99: 300_000}, Service: Waits{P99: 200_000},
			Before: Waits{P99: 10}, Draining: Waits{P99: 14}, After: Waits{P99: 12},
		}
		if change != nil {
			change(&o)
		}
		return o
	}
	thrice := func(o Overload) []Overload { return []Overload{o, o, o} }
	for name, test := range map[string]struct {
		rounds             []Overload
		wantDue, wantSent  string // of the first source in rounds
		wantLost, wantNext string
		wantAfter          string // when all is delivered
	}{
		"Lazada, within 250 ms only since sent": {thrice(round("Lazada", nil)), missed, met, met, met, met},
		"Tencent IM has four times as long":     {thrice(round("TencentIM", nil)), met, met, met, met, met},
		"all that was offered was taken": {
			thrice(round("Lazada", func(o *Overload) { o.Accepted, o.Refused = 960, 40 })),
			"not judged: it took all that was offered, in 3 of 3 rounds", "not judged: it took all that was offered, in 3 of 3 rounds", met, met, met,
		},
		"the load had too few connections": {
			thrice(round("Lazada", func(o *Overload) { o.Refused, o.Unsent = 0, 10_000 })),
			"not judged: the load had too few connections to offer more than the receiver can take; up to 50 % of the callbacks never found one free, in 3 of 3 rounds",
			met, met, met, met,
		},
		"few never found a connection": {thrice(round("Lazada", func(o *Overload) { o.Unsent = 1000 })), missed, met, met, met, met},
		"slower while the backlog drains": {
			thrice(round("Lazada", func(o *Overload) { o.Draining.P99 = 16 })), missed, met, met, missed, met,
		},
		"slower even then": {thrice(round("Lazada", func(o *Overload) { o.Draining.P99, o.After.P99 = 16, 16 })), missed, met, met, missed, missed},
		"one round":        {[]Overload{round("Lazada", nil)}, "not judged: 1 round", "not judged: 1 round", "not judged: 1 round", "not judged: 1 round", "not judged: 1 round"},
		"one round that lost": {
			[]Overload{round("Lazada", func(o *Overload) { o.Lost = 1 })}, "not judged: 1 round", "not judged: 1 round", missed, "not judged: 1 round", "not judged: 1 round",
		},
	} {
		t.Run(name, func(t *testing.T) {
			gs := overloadGoals(&Section{Settings: map[string]string{"overload": "20s"}, Overloads: test.rounds})
			first := 0
			if test.rounds[0].Source == "TencentIM" {
				first = 4
			}
			got := []string{gs[first].verdict, gs[first+1].verdict, gs[first+2].verdict, gs[first+3].verdict, gs[len(gs)-1].verdict}
			if diff := cmp.Diff([]string{test.wantDue, test.wantSent, test.wantNext, test.wantAfter, test.wantLost}, got); diff != "" {
				t.Errorf("verdicts since due, since sent, afterwards, when all is delivered, and of what is lost (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMeanings: each kind that is missed, or may be, is explained once, and no other.
func TestMeanings(t *testing.T) {
	var b bytes.Buffer
	meanings(&b, []goal{{kind: aboutCPU, verdict: missed}, {kind: aboutCPU, verdict: missed}, {kind: aboutRate, verdict: met}, {kind: aboutTail, verdict: noisy}})
	for k, text := range meaning {
		want := 0
		if k == aboutCPU || k == aboutTail {
			want = 1
		}
		if got := strings.Count(b.String(), text); got != want {
			t.Errorf("%q is there %d times, want %d", text, got, want)
		}
	}
}

// TestPage_ofOneSection: sections and goals without results are said to be, and plots that the page shows no more are gone; other files stay.
func TestPage_ofOneSection(t *testing.T) {
	dir := t.TempDir()
	results := filepath.Join(dir, "benchmarks")
	s, err := Read("testdata/results", "answers")
	if err != nil {
		t.Fatal(err)
	}
	s.Differing = []string{"rounds"}
	s.Surroundings = &Surroundings{Before: 0.43, Pressure: &Pressure{CPU: 0.5}}
	if err := s.Write(results); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"soak-memory.svg", "mine.svg"} {
		if err := os.WriteFile(filepath.Join(results, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	page := filepath.Join(dir, "benchmarks.md")
	if err := Page(page, results); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| Soak | not run |", "| The manager | not run |", "(**not the usual: rounds**)", "| idle: resident memory | ≤ 25.0 MiB | – |  | not measured |",
		"**43.0 %**", "**Something else used more than a tenth of the processors before or during: Answers.**",
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	left, err := filepath.Glob(filepath.Join(results, "*.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range left {
		left[i] = filepath.Base(left[i])
	}
	if diff := cmp.Diff([]string{"answers-cpu.svg", "answers-p99.svg", "answers-rate.svg", "mine.svg"}, left); diff != "" {
		t.Errorf("plots (-want +got):\n%s", diff)
	}
}
