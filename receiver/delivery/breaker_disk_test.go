package delivery

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/disk"
	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/event"
)

// With a real buffer, an outage drops nothing, disorders nothing, and counts no attempt for what was not tried.
func TestBreaker_realBuffer(t *testing.T) {
	const subjects, each = 200, 3
	b, err := disk.Open(disk.Options{Dir: t.TempDir(), Log: newLogRecorder().logger()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	q, err := b.Queue("shop/im", buffer.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range each {
		var events []event.Event
		for s := range subjects {
			events = append(events, sampleEvent(fmt.Sprintf("s%d-", s), n))
		}
		if _, err := q.Append(t.Context(), events); err != nil {
			t.Fatal(err)
		}
	}
	m := NewMetrics(nil)
	var mu sync.Mutex
	down, failed, delivered := true, map[string]int{}, map[string]int{}
	tg := targetFunc(func(_ context.Context, e *event.Event, attempt int) target.Result {
		mu.Lock()
		defer mu.Unlock()
		if attempt != failed[e.Type]+1 {
			t.Errorf("%s comes as attempt %d, after %d that failed", e.Type, attempt, failed[e.Type])
		}
		if down {
			failed[e.Type]++
			return busy
		}
		if want := fmt.Sprintf("%s%d", e.Subject[len("subject-"):], delivered[e.Subject]); e.Type != want {
			t.Errorf("%s is delivered, want %s", e.Type, want)
		}
		delivered[e.Subject]++
		return accepted
	})
	d := run(t, Options{Queue: q, Target: tg, Metrics: m})
	eventually(t, "the target is down", func() bool { return openCircuits(m) == 1 })
	mu.Lock()
	if tried := len(failed); tried > 64+breakerRun {
		t.Errorf("%d of %d subjects were tried before the target was known to be down", tried, subjects)
	}
	down = false
	mu.Unlock()
	eventually(t, "all is delivered", func() bool { return q.Stats().Pending == 0 })
	d.stop()
	<-d.stopped
	if got := q.Stats(); got.Dead != 0 || openCircuits(m) != 0 {
		t.Errorf("%d dead letters and %v open circuits, want none", got.Dead, openCircuits(m))
	}
}
