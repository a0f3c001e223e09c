package controllers

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlan(t *testing.T) {
	var (
		missing  = replicaState{}
		settled  = replicaState{exists: true, current: true, ready: true, serving: true}
		outdated = replicaState{exists: true, ready: true, serving: true}
		broken   = replicaState{exists: true, serving: true}
		starting = replicaState{exists: true, current: true, serving: true}
		takeBack = replicaState{exists: true, ready: true}
		leaving  = replicaState{exists: true, current: true, ready: true}
		empty    = replicaState{exists: true, current: true, ready: true, empty: true}
		lost     = replicaState{exists: true, current: true, serving: true, lost: true}
		lostOld  = replicaState{exists: true, serving: true, lost: true}
		lostAway = replicaState{exists: true, current: true, lost: true}
	)
	tests := map[string]struct {
		states []replicaState
		wanted int
		want   []decision
	}{
		"all are made at once at first":                     {[]replicaState{missing, missing}, 2, []decision{serve, serve}},
		"what is as it should be is kept":                   {[]replicaState{settled, settled}, 2, []decision{serve, serve}},
		"one after another":                                 {[]replicaState{outdated, outdated, outdated}, 3, []decision{serve, hold, hold}},
		"the next one when the first is back":               {[]replicaState{settled, outdated}, 2, []decision{serve, serve}},
		"not while the first starts":                        {[]replicaState{starting, outdated}, 2, []decision{serve, hold}},
		"not while another is missing":                      {[]replicaState{outdated, missing}, 2, []decision{hold, serve}},
		"a bad version is replaced at once":                 {[]replicaState{broken, outdated}, 2, []decision{serve, hold}},
		"several that don't work are replaced together":     {[]replicaState{broken, broken}, 2, []decision{serve, serve}},
		"a single replica has nobody to wait for":           {[]replicaState{outdated}, 1, []decision{serve}},
		"a surplus one leaves the Service":                  {[]replicaState{settled, settled, settled}, 2, []decision{serve, serve, drain}},
		"but not while another is not ready":                {[]replicaState{settled, starting, settled}, 2, []decision{serve, serve, hold}},
		"surplus ones leave one by one":                     {[]replicaState{settled, settled, settled, settled}, 2, []decision{serve, serve, drain, hold}},
		"one that never got ready leaves at once":           {[]replicaState{settled, starting, starting}, 1, []decision{serve, drain, drain}},
		"it stays while it holds events":                    {[]replicaState{settled, leaving}, 1, []decision{serve, drain}},
		"and goes when it holds none":                       {[]replicaState{settled, empty}, 1, []decision{serve, remove}},
		"whatever the others do":                            {[]replicaState{broken, empty}, 1, []decision{serve, remove}},
		"scaling in is taken back at once":                  {[]replicaState{settled, takeBack}, 2, []decision{serve, serve}},
		"an update and scaling in disturb one at a time":    {[]replicaState{outdated, settled, settled}, 2, []decision{serve, serve, hold}},
		"a draining one is updated beside the serving ones": {[]replicaState{outdated, outdated, takeBack}, 2, []decision{serve, hold, drain}},
		"a lost one is not waited for":                      {[]replicaState{outdated, lost, outdated}, 3, []decision{serve, serve, hold}},
		"nor is one that is lost and out of date":           {[]replicaState{settled, outdated, lostOld}, 3, []decision{serve, serve, serve}},
		"but the last one that serves is not stopped":       {[]replicaState{outdated, lost}, 2, []decision{hold, serve}},
		"nor is any while another starts":                   {[]replicaState{outdated, lost, starting}, 3, []decision{hold, serve, serve}},
		"scaling in waits for a lost one":                   {[]replicaState{settled, lost, settled}, 2, []decision{serve, serve, hold}},
		"a lost one that is too many drains at once":        {[]replicaState{settled, lost}, 1, []decision{serve, drain}},
		"and is kept, whatever it holds":                    {[]replicaState{settled, lostAway}, 1, []decision{serve, drain}},
		"a surplus one that serves waits, empty or not":     {[]replicaState{starting, {exists: true, ready: true, serving: true, empty: true}}, 1, []decision{serve, hold}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, plan(tt.states, tt.wanted)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// pretended is a replica as a cluster would have it: what is applied restarts its pod, which is then not ready for some rounds.
type pretended struct {
	version   int
	serving   bool
	restarts  int // rounds until it is ready
	backlog   int // rounds until it is empty, once it drains
	everReady bool
}

// TestPlan_neverDisturbsTwo lets random changes of version and number happen at any time. Among the replicas that stay wanted all along, at most one
// that was ready is stopped at a time; in the end all is as it should be, and nothing was removed that held events.
func TestPlan_neverDisturbsTwo(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		fleet := map[int]*pretended{}
		version, wanted := 1, 1+rng.IntN(5)
		for round := range 400 {
			if round < 300 && rng.IntN(20) == 0 {
				version++
			}
			if round < 300 && rng.IntN(30) == 0 {
				wanted = 1 + rng.IntN(5)
			}
			stopped := pretendRound(t, fleet, version, wanted, rng)
			down := 0
			for n := range wanted {
				if p := fleet[n]; p != nil && p.everReady && p.serving && p.restarts > 0 {
					down++
				}
			}
			if stopped > 1 || stopped == 1 && down > 1 {
				t.Fatalf("seed %d, round %d: %d stopped at once, %d down", seed, round, stopped, down)
			}
		}
		if len(fleet) != wanted {
			t.Fatalf("seed %d: %d replicas in the end, want %d", seed, len(fleet), wanted)
		}
		for n, p := range fleet {
			if p.version != version || !p.serving || p.restarts > 0 {
				t.Fatalf("seed %d: replica %d ends as %+v, want version %d serving", seed, n, *p, version)
			}
		}
	}
}

// pretendRound plans and carries out one round, and returns how many serving, ready replicas it stopped.
func pretendRound(t *testing.T, fleet map[int]*pretended, version, wanted int, rng *rand.Rand) int {
	t.Helper()
	var numbers []int
	for n := range 5 {
		if n < wanted || fleet[n] != nil {
			numbers = append(numbers, n)
		}
	}
	states := make([]replicaState, len(numbers))
	for i, n := range numbers {
		if p := fleet[n]; p != nil {
			states[i] = replicaState{
				exists: true, current: p.version == version && p.serving == (n < wanted), ready: p.restarts == 0,
				serving: p.serving, empty: p.backlog == 0 && p.restarts == 0 && !p.serving,
			}
		}
	}
	stopped := 0
	for i, d := range plan(states, wanted) {
		n, s := numbers[i], states[i]
		switch d {
		case remove:
			if s.exists && !s.empty {
				t.Fatalf("replica %d was removed with %d rounds of events", n, fleet[n].backlog)
			}
			delete(fleet, n)
		case serve, drain:
			if s.current {
				continue
			}
			if s.exists && s.ready && s.serving {
				stopped++
			}
			if !s.exists {
				fleet[n] = &pretended{backlog: rng.IntN(20)}
			}
			p := fleet[n]
			p.version, p.serving, p.restarts = version, d == serve, 1+rng.IntN(4)
		}
	}
	for _, p := range fleet {
		switch {
		case p.restarts > 0:
			p.restarts--
			p.everReady = p.everReady || p.restarts == 0
		case p.serving:
			p.backlog = rng.IntN(20)
		case p.backlog > 0:
			p.backlog--
		}
	}
	return stopped
}
