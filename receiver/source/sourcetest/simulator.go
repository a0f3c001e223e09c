package sourcetest

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

// simulator checks that the simulator is one that tests and people can rely on.
func (h Harness) simulator(t *testing.T) {
	sim, s := h.Simulator(t, credential), h.Source(t, credential)
	names := map[string]bool{}
	for _, sample := range sim.Samples() {
		if names[sample.Name] {
			t.Errorf("sample %s is there twice", sample.Name)
		}
		names[sample.Name] = true
		t.Run(sample.Name, func(t *testing.T) {
			CheckEvents(t, sample.Body, accept(t, s, request(t, sim, sample.Body, now)))
			if bytes.Equal(sim.Vary(sample, 1, 1), sample.Body) {
				return // cannot be varied
			}
			ids := map[event.ID]bool{}
			for n := range 20 {
				for subject := range 3 {
					body := sim.Vary(sample, n, subject)
					events := accept(t, s, request(t, sim, body, now))
					CheckEvents(t, body, events)
					for _, e := range events {
						if ids[e.ID] {
							t.Fatalf("event %d of subject %d has the id of another", n, subject)
						}
						ids[e.ID] = true
					}
				}
			}
		})
	}
	t.Run("the first sample makes as many events and subjects as asked for", func(t *testing.T) {
		h.vary(t, 5000, 7)
	})
}

// vary makes total events of a number of subjects in turn.
func (h Harness) vary(t *testing.T, total, subjects int) {
	sim, s := h.Simulator(t, credential), h.Source(t, credential)
	sample := sim.Samples()[0]
	ids := map[event.ID]bool{}
	latest := map[string]time.Time{}
	for i := range total {
		body := sim.Vary(sample, i, i%subjects)
		if !bytes.Equal(body, sim.Vary(sample, i, i%subjects)) {
			t.Fatalf("event %d is not the same when made twice", i)
		}
		for _, e := range accept(t, s, request(t, sim, body, now)) {
			ids[e.ID] = true
			if !e.Time.After(latest[e.Subject]) {
				t.Fatalf("event %d: time %s is not after %s", i, e.Time, latest[e.Subject])
			}
			latest[e.Subject] = e.Time
		}
	}
	if len(ids) != total || len(latest) != subjects {
		t.Errorf("got %d ids of %d subjects, want %d of %d", len(ids), len(latest), total, subjects)
	}
}

// concurrent uses one source from many goroutines at once; it is the race detector that judges.
func (h Harness) concurrent(t *testing.T) {
	sim, s := h.Simulator(t, credential), h.Source(t, otherCredential, credential)
	sample := sim.Samples()[0]
	var requests []*source.Request
	for n := range 1600 {
		r := request(t, sim, sim.Vary(sample, n, n%8), now)
		if n%3 == 0 {
			r.Body = append(r.Body, ' ')
		}
		requests = append(requests, r)
	}
	var done sync.WaitGroup
	for worker := range 8 {
		done.Go(func() {
			for n := worker; n < len(requests); n += 8 {
				_, refusal := source.Verify(s, requests[n])
				if refused := refusal != nil; refused != (h.BodySigned && n%3 == 0) {
					t.Errorf("callback %d: refusal %v", n, refusal)
				}
				if events, _ := s.Identify(nil, requests[n]); len(events) != 1 {
					t.Errorf("callback %d: %d events", n, len(events))
				}
				_ = s.Answer(refusal)
			}
		})
	}
	done.Wait()
}
