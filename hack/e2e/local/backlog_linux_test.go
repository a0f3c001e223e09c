package local

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

const maxMemory = 256 << 20

// TestBacklog lets events pile up while the target is down, restarts the receiver in the middle, and then lets one subject stay stuck
// forever. Memory stays bounded, the receiver is back at once, and no other subject waits for the stuck one.
func TestBacklog(t *testing.T) {
	total, subjects := *backlogFlag, *subjectsFlag
	if testing.Short() {
		total, subjects = min(total, 2000), min(subjects, 200)
	}
	tgt := newTarget(t)
	tgt.down(t)
	r := newReceiver(t, hookbay(t), newManifest(tgt.url()))
	r.start(t)

	s := newSender(r.base(), total, subjects)
	s.padding = 500
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := <-s.start(ctx); err != nil {
		t.Fatal(err)
	}
	checkMemory(t, r, "while the backlog grew")

	r.kill(t)
	tgt.nextLifetime(t)
	took := r.start(t)
	t.Logf("ready %v after a start with %d events waiting", took.Round(time.Millisecond), s.total())

	const stuck = "0/"
	tgt.set(func(a arrival) (int, time.Duration) {
		if strings.HasPrefix(a.mark, stuck) {
			return http.StatusInternalServerError, 0
		}
		return http.StatusOK, 0
	})
	tgt.up(t)
	began := time.Now()
	tgt.waitTaken(t, s.total()-s.each)
	t.Logf("all other subjects were delivered within %v", time.Since(began).Round(time.Millisecond))
	checkMemory(t, r, "while it was delivered")

	tgt.set(answerWith(http.StatusOK))
	tgt.waitTaken(t, s.total())
	r.stop(t)
	tgt.nextLifetime(t)
	judge(t, s, tgt.log())
}

func checkMemory(t *testing.T, r *receiver, when string) {
	t.Helper()
	most := r.memory(t, "VmHWM")
	t.Logf("at most %d MiB resident %s", most>>20, when)
	if most > maxMemory {
		t.Errorf("%d MiB resident %s, want at most %d MiB", most>>20, when, maxMemory>>20)
	}
}
