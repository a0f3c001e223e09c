package local

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// ledger is the books of a load whose callbacks come in on several receivers and are delivered by several: what was acknowledged, what arrived at the target, and through whom.
type ledger struct {
	mu       sync.Mutex
	subjects []entry
	began    time.Time
	problems []string
	strange  int // problems that are not listed

	acknowledged, arrived, repeats int
	// Repeats are explained by what became of the receiver that delivered before. By cause:
	causes map[string]int
	killed map[string]time.Time // lives of receivers that were killed, and when
}

// entry is one subject's.
type entry struct {
	acked   []time.Duration // since the beginning, when callbacks were acknowledged, from number 0
	arrived []arrived       // by number
	newest  int             // the greatest number that has arrived, or -1
}

// arrived is how an event was delivered for the first time.
type arrived struct {
	by string // the life of a receiver; empty: it has not arrived
	at time.Time
}

func newLedger(subjects int) *ledger {
	l := &ledger{subjects: make([]entry, subjects), began: time.Now(), causes: map[string]int{}, killed: map[string]time.Time{}}
	for i := range l.subjects {
		l.subjects[i].newest = -1
	}
	return l
}

// The causes of repeats.
const (
	causeKilled = "the receiver that delivered it was killed, maybe before it had noted that"
	causeMoved  = "another receiver took its partition over, before the delivery was noted"
	causeSame   = "unexplained: by the same receiver again"
)

// acknowledge books that number n of a subject was acknowledged. Numbers of a subject come one after another.
func (l *ledger) acknowledge(subject, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acknowledged++
	e := &l.subjects[subject]
	if len(e.acked) != n {
		l.object("%d/%d is acknowledged after %d of its subject", subject, n, len(e.acked))
	}
	e.acked = append(e.acked, time.Since(l.began))
}

// dead books that a life of a receiver was killed.
func (l *ledger) dead(who string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.killed[who] = time.Now()
}

// arrive books that the target takes number n of a subject, from a life of a receiver.
func (l *ledger) arrive(subject, n int, by string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if subject < 0 || subject >= len(l.subjects) || n < 0 {
		l.object("%d/%d arrives, which nobody sent", subject, n)
		return
	}
	e, now := &l.subjects[subject], time.Now()
	for len(e.arrived) <= n {
		e.arrived = append(e.arrived, arrived{})
	}
	first := &e.arrived[n]
	if first.by == "" {
		*first = arrived{by, now}
		l.arrived++
		if n != e.newest+1 {
			l.object("%d/%d arrives after number %d, by %s", subject, n, e.newest, by)
		}
		e.newest = max(e.newest, n)
		return
	}
	l.repeats++
	cause := causeMoved
	if died, ok := l.killed[first.by]; ok && died.Before(now) {
		cause = causeKilled
	} else if first.by == by {
		cause = causeSame
		l.object("%d/%d arrives again, by %s, which had delivered it %v before", subject, n, by, now.Sub(first.at))
	}
	l.causes[cause]++
	if n < e.newest {
		l.object("%d/%d arrives again after number %d, by %s; before by %s", subject, n, e.newest, by, first.by)
	}
	first.by, first.at = by, now
}

// object notes what must not be.
func (l *ledger) object(format string, args ...any) {
	if len(l.problems) >= 50 {
		l.strange++
		return
	}
	l.problems = append(l.problems, time.Since(l.began).Round(time.Millisecond).String()+": "+fmt.Sprintf(format, args...))
}

// settled is how many of the acknowledged have arrived.
func (l *ledger) settled() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for i := range l.subjects {
		e := &l.subjects[i]
		for _, a := range e.arrived[:min(len(e.acked), len(e.arrived))] {
			if a.by != "" {
				n++
			}
		}
	}
	return n
}

// counts are how many were acknowledged, and how many arrived, for the first time and again.
func (l *ledger) counts() (acknowledged, arrived, repeats int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acknowledged, l.arrived, l.repeats
}

// verdict is what is wrong, in the end.
func (l *ledger) verdict() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	problems := slices.Clone(l.problems)
	if l.strange > 0 {
		problems = append(problems, fmt.Sprintf("and %d more", l.strange))
	}
	lost := 0
	for subject := range l.subjects {
		e := &l.subjects[subject]
		for n, at := range e.acked {
			if n < len(e.arrived) && e.arrived[n].by != "" {
				continue
			}
			if lost++; lost <= 100 {
				problems = append(problems, fmt.Sprintf("%d/%d, acknowledged at %v, is lost", subject, n, at.Round(time.Millisecond)))
			}
		}
	}
	if lost > 100 {
		problems = append(problems, fmt.Sprintf("%d acknowledged callbacks are lost", lost))
	}
	return problems
}

// TestLedger makes sure that a broken promise would be noticed.
func TestLedger(t *testing.T) {
	type step struct {
		do   string // ack, arrive or kill
		n    int
		name string
	}
	for name, tc := range map[string]struct {
		steps []step
		want  string // part of the only problem; empty: none
		cause string // of the only repeat
	}{
		"all is well":          {steps: []step{{"ack", 0, ""}, {"arrive", 0, "r1-1"}, {"ack", 1, ""}, {"arrive", 1, "r2-1"}}},
		"arrives before":       {steps: []step{{"arrive", 0, "r1-1"}, {"ack", 0, ""}}},
		"stored, not answered": {steps: []step{{"ack", 0, ""}, {"arrive", 0, "r1-1"}, {"arrive", 1, "r1-1"}}},
		"lost":                 {steps: []step{{"ack", 0, ""}, {"ack", 1, ""}, {"arrive", 0, "r1-1"}}, want: "is lost"},
		"overtaken":            {steps: []step{{"ack", 0, ""}, {"ack", 1, ""}, {"arrive", 1, "r1-1"}, {"arrive", 0, "r1-1"}}, want: "arrives after number"},
		"again, killed":        {steps: []step{{"ack", 0, ""}, {"arrive", 0, "r1-1"}, {"kill", 0, "r1-1"}, {"arrive", 0, "r2-1"}}, cause: causeKilled},
		"again, moved":         {steps: []step{{"ack", 0, ""}, {"arrive", 0, "r1-1"}, {"arrive", 0, "r2-1"}}, cause: causeMoved},
		"again, by the same":   {steps: []step{{"ack", 0, ""}, {"arrive", 0, "r1-1"}, {"arrive", 0, "r1-1"}}, want: "arrives again, by r1-1", cause: causeSame},
		"again, too late": {steps: []step{{"ack", 0, ""}, {"arrive", 0, "r1-1"}, {"arrive", 1, "r2-1"}, {"arrive", 0, "r2-1"}},
			want: "arrives again after number 1", cause: causeMoved},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(1)
			for _, s := range tc.steps {
				switch s.do {
				case "ack":
					l.acknowledge(0, s.n)
				case "arrive":
					l.arrive(0, s.n, s.name)
				case "kill":
					l.dead(s.name)
				}
			}
			got := l.verdict()
			if tc.want == "" && len(got) > 0 {
				t.Errorf("problems %q, want none", got)
			}
			if tc.want != "" && !slices.ContainsFunc(got, func(p string) bool { return strings.Contains(p, tc.want) }) {
				t.Errorf("problems %q, want one that says %q", got, tc.want)
			}
			if tc.cause != "" && l.causes[tc.cause] != 1 || len(l.causes) > 1 {
				t.Errorf("causes %v, want %q once", l.causes, tc.cause)
			}
		})
	}
}
