package local

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestNothingAcknowledgedIsLost kills the receiver five times while callbacks pour in and the target is broken, slow, gone and well in turn.
// Every callback that was acknowledged must be delivered, unchanged, in its subject's order, and only once unless its delivery
// was under way when the receiver was killed.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	total := *callbacksFlag
	if testing.Short() {
		total = min(total, 1000)
	}
	tgt := newTarget(t)
	r := newReceiver(t, checkedHookbay(t), newManifest(tgt.url()))
	r.start(t)

	s := newSender(r.base(), total, max(total/50, 64))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sent := s.start(ctx)

	kill := func() {
		r.kill(t)
		tgt.nextLifetime(t)
		r.start(t)
	}
	// Steps of a script, each at a share of the callbacks, in percent.
	for _, step := range []struct {
		at   int
		what string
		do   func()
	}{
		{5, "the target breaks", func() { tgt.set(answerWith(http.StatusInternalServerError)) }},
		{15, "killed while the target is broken", kill},
		{25, "the target is slow", func() { tgt.set(answerSlowly(200 * time.Millisecond)) }},
		{35, "killed while the target is slow", kill},
		{45, "the target goes down", func() { tgt.down(t) }},
		{55, "killed while the target is down", kill},
		{60, "the target is back and well", func() { tgt.up(t); tgt.set(answerWith(http.StatusOK)) }},
		{70, "killed while all is well", kill},
		{85, "killed again", kill},
	} {
		s.waitAcked(t, s.total()*step.at/100)
		t.Logf("%d acknowledged, %d delivered: %s", s.acked.Load(), tgt.taken(), step.what)
		step.do()
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d acknowledged, %d of them sent more than once", s.acked.Load(), s.repeats.Load())
	tgt.waitTaken(t, s.total())
	r.stop(t)
	tgt.nextLifetime(t)
	judge(t, s, tgt.log())
}

// TestStopUnderLoad asks the receiver to end, three times, while callbacks pour in. It puts everything away first, so that not even what was
// being delivered is delivered once more.
func TestStopUnderLoad(t *testing.T) {
	tgt := newTarget(t)
	r := newReceiver(t, checkedHookbay(t), newManifest(tgt.url()))
	r.start(t)
	s := newSender(r.base(), 2000, 64)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sent := s.start(ctx)
	tgt.set(answerSlowly(20 * time.Millisecond)) // so that some are always under way
	for _, percent := range []int{20, 40, 60} {
		s.waitAcked(t, s.total()*percent/100)
		r.stop(t)
		tgt.nextLifetime(t)
		r.start(t)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	tgt.waitTaken(t, s.total())
	r.stop(t)
	tgt.nextLifetime(t)
	if duplicates := judge(t, s, tgt.log()); len(duplicates) > 0 {
		t.Errorf("delivered once more after an orderly end, by the life that had delivered them before: %v", duplicates)
	}
}

// judge reads the target's log and holds it against the promises. It returns how many events were delivered once more.
func judge(t *testing.T, s *sender, log []arrival) map[int]int {
	t.Helper()
	problems, duplicates := objections(s, log)
	for _, p := range problems {
		t.Error(p)
	}
	for lifetime, n := range duplicates {
		t.Logf("life %d: %d events were delivered once more after it was killed", lifetime, n)
	}
	return duplicates
}

// objections is what is wrong with a log, and how many events were delivered once more, by the life of the receiver that had delivered
// them before.
func objections(s *sender, log []arrival) (problems []string, duplicates map[int]int) {
	object := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	duplicates = map[int]int{}
	type progress struct {
		next     int // number of the callback that is due
		lifetime int // in which the one before was delivered
	}
	subjects := make([]progress, s.subjects)
	for i, a := range log {
		var c callback
		if _, err := fmt.Sscanf(a.mark, "%d/%d", &c.subject, &c.n); err != nil || c.subject >= s.subjects || c.n >= s.each {
			object("attempt %d delivers %q, which nobody sent", i, a.body)
			continue
		}
		if !bytes.Equal(a.body, c.body(s.padding)) {
			object("attempt %d delivers %s changed: %q", i, c, a.body)
		}
		p := &subjects[c.subject]
		switch {
		case c.n == p.next:
			if a.delivered() {
				p.next, p.lifetime = p.next+1, a.lifetime
			}
		case c.n == p.next-1 && a.lifetime > p.lifetime:
			// It was answered in an earlier life, but the receiver may have been killed before it could note that down.
			if a.delivered() {
				duplicates[p.lifetime]++
				p.lifetime = a.lifetime
			}
		case c.n < p.next:
			object("attempt %d, life %d: %s is delivered again, although %d of its subject were delivered, the last in life %d",
				i, a.lifetime, c, p.next, p.lifetime)
		default:
			object("attempt %d, life %d: %s overtakes number %d of its subject", i, a.lifetime, c, p.next)
		}
	}
	for i, p := range subjects {
		if p.next != s.each {
			object("subject %d: %d events were delivered, want all %d that were acknowledged", i, p.next, s.each)
		}
	}
	// Of each of the two endpoints: the attempts under way, and as many that were answered and not noted down yet.
	const unsettled = 2 * 2 * maxInFlight
	for lifetime, n := range duplicates {
		if n > unsettled {
			object("life %d: %d events were delivered once more, but only %d can have been unsettled", lifetime, n, unsettled)
		}
	}
	return problems, duplicates
}

// TestObjections makes sure that a broken promise would be noticed.
func TestObjections(t *testing.T) {
	s := &sender{subjects: 2, each: 2}
	at := func(lifetime, status, subject, n int) arrival {
		c := callback{subject, n}
		return arrival{mark: c.String(), lifetime: lifetime, status: status, body: c.body(0)}
	}
	changed := at(0, 200, 0, 1)
	changed.body = append(changed.body, '\n')
	for name, tc := range map[string]struct {
		log            []arrival
		want           string // part of the only objection; empty: none
		wantDuplicates int
	}{
		"all is well":                       {log: []arrival{at(0, 200, 0, 0), at(0, 200, 1, 0), at(0, 200, 0, 1), at(0, 200, 1, 1)}},
		"tried again":                       {log: []arrival{at(0, 500, 0, 0), at(0, 0, 0, 0), at(0, 200, 0, 0), at(0, 200, 0, 1), at(0, 200, 1, 0), at(0, 200, 1, 1)}},
		"killed before it was noted down":   {log: []arrival{at(0, 200, 0, 0), at(0, 200, 0, 1), at(1, 500, 0, 1), at(2, 200, 0, 1), at(2, 200, 1, 0), at(2, 200, 1, 1)}, wantDuplicates: 1},
		"lost":                              {log: []arrival{at(0, 200, 0, 0), at(0, 200, 1, 0), at(0, 200, 1, 1)}, want: "subject 0: 1 events"},
		"overtaken":                         {log: []arrival{at(0, 500, 0, 0), at(0, 500, 0, 1), at(0, 200, 0, 0), at(0, 200, 0, 1), at(0, 200, 1, 0), at(0, 200, 1, 1)}, want: "overtakes"},
		"delivered twice in one life":       {log: []arrival{at(0, 200, 0, 0), at(0, 200, 0, 0), at(0, 200, 0, 1), at(0, 200, 1, 0), at(0, 200, 1, 1)}, want: "again"},
		"delivered twice though long noted": {log: []arrival{at(0, 200, 0, 0), at(0, 200, 0, 1), at(1, 200, 0, 0), at(1, 200, 1, 0), at(1, 200, 1, 1)}, want: "again"},
		"invented":                          {log: []arrival{at(0, 200, 0, 0), at(0, 200, 0, 1), at(0, 200, 1, 0), at(0, 200, 1, 1), at(0, 200, 2, 0)}, want: "nobody sent"},
		"changed":                           {log: []arrival{at(0, 200, 0, 0), changed, at(0, 200, 1, 0), at(0, 200, 1, 1)}, want: "changed"},
		"given up":                          {log: []arrival{at(0, 200, 0, 0), at(0, 410, 0, 1), at(0, 200, 1, 0), at(0, 200, 1, 1)}, want: "subject 0: 1 events"},
	} {
		t.Run(name, func(t *testing.T) {
			problems, duplicates := objections(s, tc.log)
			if tc.want == "" && len(problems) > 0 || tc.want != "" && (len(problems) != 1 || !strings.Contains(problems[0], tc.want)) {
				t.Errorf("objections %q, want one that says %q", problems, tc.want)
			}
			if duplicates[0] != tc.wantDuplicates {
				t.Errorf("%d duplicates, want %d", duplicates[0], tc.wantDuplicates)
			}
		})
	}
}
