package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
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

// judge reads the target's log and holds it against the promises.
func judge(t *testing.T, s *sender, log []arrival) {
	t.Helper()
	type progress struct {
		next     int // number of the callback that is due
		lifetime int // in which the one before was delivered
	}
	subjects := make([]progress, s.subjects)
	duplicates := map[int]int{} // by the lifetime that delivered first
	for i, a := range log {
		var c callback
		if _, err := fmt.Sscanf(a.mark, "%d/%d", &c.subject, &c.n); err != nil || c.subject >= s.subjects {
			t.Fatalf("attempt %d delivers %q, which nobody sent", i, a.body)
		}
		if !bytes.Equal(a.body, c.body(s.padding)) {
			t.Fatalf("attempt %d delivers %s changed: %q", i, c, a.body)
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
			t.Errorf("attempt %d, life %d: %s is delivered again, although %d of its subject were delivered, the last in life %d", i, a.lifetime, c, p.next, p.lifetime)
		default:
			t.Errorf("attempt %d, life %d: %s overtakes number %d of its subject", i, a.lifetime, c, p.next)
		}
	}
	for i, p := range subjects {
		if p.next != s.each {
			t.Errorf("subject %d: %d events delivered, want all %d that were acknowledged", i, p.next, s.each)
		}
	}
	for lifetime, n := range duplicates {
		t.Logf("life %d: %d events were delivered once more after it was killed", lifetime, n)
		if n > 2*maxInFlight {
			t.Errorf("life %d: %d events were delivered once more, but only %d can have been in flight", lifetime, n, 2*maxInFlight)
		}
	}
}
