package delivery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/event"
)

// changing is a target whose answer can change, after a time that it takes. It keeps when attempts began, and how many were under way at most.
type changing struct {
	mu           sync.Mutex
	answer       func(e *event.Event) target.Result
	takes        time.Duration
	began        []time.Time
	underWay     int
	mostUnderWay int
}

func (c *changing) Send(ctx context.Context, e *event.Event, _ int) target.Result {
	c.mu.Lock()
	c.began = append(c.began, time.Now())
	c.underWay++
	c.mostUnderWay = max(c.mostUnderWay, c.underWay)
	answer, takes := c.answer(e), c.takes
	c.mu.Unlock()
	sleep(ctx, takes)
	c.mu.Lock()
	c.underWay--
	c.mu.Unlock()
	return answer
}

func (c *changing) Close() {}

func (c *changing) become(answer func(e *event.Event) target.Result, takes time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer, c.takes, c.began = answer, takes, nil
}

func (c *changing) most() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mostUnderWay
}

func (c *changing) attempts() []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.began)
}

// always gives one answer to all.
func always(r target.Result) func(*event.Event) target.Result {
	return func(*event.Event) target.Result { return r }
}

// manySubjects returns n events, each of a subject of its own.
func manySubjects(n int) []event.Event {
	var all []event.Event
	for i := range n {
		all = append(all, sampleEvent(fmt.Sprintf("s%d-", i), 1))
	}
	return all
}

func openCircuits(m *Metrics) (n float64) {
	for _, o := range target.Failures() {
		n += testutil.ToFloat64(m.open.WithLabelValues("shop/im", o))
	}
	return n
}

func TestBreaker_deadTarget(t *testing.T) {
	tests := map[string]struct {
		result target.Result
		takes  time.Duration
	}{
		"refuses":       {result: target.Result{Class: target.Retryable, Outcome: target.OutcomeRefused, Detail: "connection refused"}},
		"never answers": {result: target.Result{Class: target.Retryable, Outcome: target.OutcomeTimeout, Detail: "no answer"}, takes: 10 * time.Second},
		"only errors":   {result: busy, takes: time.Millisecond},
		"throttles":     {result: target.Result{Class: target.Retryable, Outcome: target.OutcomeThrottled, Detail: "429"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const events = 1000
				q := newMemoryQueue(manySubjects(events)...)
				m, logs := NewMetrics(nil), newLogRecorder()
				tg := &changing{answer: always(tc.result), takes: tc.takes}
				run(t, Options{Queue: q, Target: tg, Metrics: m, Log: logs.logger()})
				pass(t, 12*time.Second)
				if got := openCircuits(m); got != 1 {
					t.Fatalf("%v circuits are open, want 1", got)
				}
				if got := testutil.ToFloat64(m.opened.WithLabelValues("shop/im", tc.result.Outcome)); got != 1 {
					t.Errorf("the target began %v times to be down, want once", got)
				}
				before := len(tg.attempts())
				if before > 64+breakerRun+5 {
					t.Errorf("%d attempts before it was known to be down", before)
				}
				pass(t, 10*time.Minute)
				probes := tg.attempts()[before:]
				if n := len(probes); n < 12 || n > 45 {
					t.Errorf("%d attempts in ten minutes, want one every 15 to 40 s", n)
				}
				for i := 1; i < len(probes); i++ {
					if gap := probes[i].Sub(probes[i-1]); gap > breakerPauseMax+tc.takes {
						t.Errorf("%s between two probes", gap)
					}
				}
				if got := tg.most(); got > 64 {
					t.Errorf("%d attempts at once", got)
				}

				tg.become(always(accepted), 100*time.Millisecond)
				back := time.Now()
				pass(t, 10*time.Minute)
				began := tg.attempts()
				if late := began[0].Sub(back); late > breakerPauseMax+tc.takes {
					t.Errorf("noticed after %s that the target is back", late)
				}
				checkRamp(t, began)
				if got := openCircuits(m); got != 0 {
					t.Errorf("%v circuits are open in the end, want none", got)
				}
				delivered := 0
				for _, l := range q.history() {
					if strings.HasPrefix(l, "delivered") {
						delivered++
					}
				}
				if delivered != events {
					t.Errorf("%d of %d events were delivered", delivered, events)
				}
				if down, up := logs.count("Target is down, deliveries pause"), logs.count("Target is up, deliveries go on"); down != 1 || up != 1 {
					t.Errorf("logged %d times that it is down and %d times that it is up, want once each:\n%s", down, up, logs.text())
				}
			})
		})
	}
}

// checkRamp checks that attempts, which take the same time, begin in rounds of 1, 2, 4, … up to 64.
func checkRamp(t *testing.T, began []time.Time) {
	t.Helper()
	var rounds []int
	for i, at := range began {
		if i == 0 || !at.Equal(began[i-1]) {
			rounds = append(rounds, 0)
		}
		rounds[len(rounds)-1]++
	}
	if len(rounds) > 8 {
		rounds = rounds[:8]
	}
	if diff := cmp.Diff([]int{1, 1, 2, 4, 8, 16, 32, 64}, rounds); diff != "" {
		t.Errorf("attempts that begin at once (-want +got):\n%s", diff)
	}
}

// What a target says of single events, or of one subject, is not about the target.
func TestBreaker_staysClosed(t *testing.T) {
	notFound := target.Result{Class: target.Retryable, Outcome: target.Outcome4xx, Detail: "target answered 404 Not Found"}
	random := rand.New(rand.NewPCG(1, 2))
	tests := map[string]struct {
		events []event.Event
		answer func(e *event.Event) target.Result
	}{
		"every event is rejected": {events: manySubjects(100), answer: always(gone)},
		"events can't be sent": {
			events: manySubjects(100), answer: always(target.Result{Class: target.Rejected, Outcome: target.OutcomeNetwork, Detail: "not a CloudEvent"}),
		},
		"nothing is found":           {events: manySubjects(100), answer: always(notFound)},
		"one subject always fails":   {events: []event.Event{sampleEvent("a", 1), sampleEvent("a", 2)}, answer: always(busy)},
		"a few subjects always fail": {events: manySubjects(breakerRun - 1), answer: always(busy)},
		"half of the attempts fail": {events: manySubjects(1000), answer: func(*event.Event) target.Result {
			if random.Float64() < 0.5 {
				return busy
			}
			return accepted
		}},
		"the receiver stops": {events: manySubjects(100), answer: always(target.Result{Class: target.Retryable, Outcome: target.OutcomeCancelled})},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := NewMetrics(nil)
				run(t, Options{
					Queue: newMemoryQueue(tc.events...), Target: &changing{answer: tc.answer, takes: time.Millisecond}, Metrics: m,
					Policy: Policy{MaxInterval: time.Second},
				})
				for range 30 {
					pass(t, time.Second)
					if got := openCircuits(m); got != 0 {
						t.Fatalf("%v circuits are open", got)
					}
				}
			})
		})
	}
}

func TestBreaker_retryAfter(t *testing.T) {
	for name, tc := range map[string]struct{ asked, want time.Duration }{
		"a minute": {time.Minute, time.Minute},
		"an hour":  {time.Hour, breakerRetryAfter},
		"a moment": {time.Millisecond, breakerPauseMin / 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answer := busy
				answer.RetryAfter = tc.asked
				tg := &changing{answer: always(answer)}
				run(t, Options{Queue: newMemoryQueue(manySubjects(200)...), Target: tg})
				synctest.Wait()
				before := tg.attempts()
				pass(t, tc.want-time.Nanosecond)
				if n := len(tg.attempts()) - len(before); n != 0 {
					t.Errorf("%d attempts in the time that the target asked for", n)
				}
				pass(t, time.Nanosecond)
				if n := len(tg.attempts()) - len(before); n != 1 {
					t.Errorf("%d attempts after it, want a probe", n)
				}
			})
		})
	}
}

// An event is tried at least once, however long the target was down; what failed before it was too old gets another chance as well.
func TestBreaker_longOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemoryQueue(manySubjects(300)...)
		tg := &changing{answer: always(busy)}
		run(t, Options{Queue: q, Target: tg, Policy: Policy{MaxAge: time.Minute, MaxInterval: time.Second}})
		pass(t, 30*time.Minute) // a probe every 15 s: at most 130 of the events
		tg.become(always(accepted), 0)
		pass(t, time.Hour)
		dead, delivered := 0, 0
		for _, l := range q.history() {
			switch {
			case strings.HasPrefix(l, "dead"):
				dead++
			case strings.HasPrefix(l, "delivered"):
				delivered++
			case strings.HasPrefix(l, "release"):
				t.Error("an event was leased while the target was down")
			}
		}
		if dead+delivered != 300 || dead == 0 || dead > 130 {
			t.Errorf("%d dead letters and %d deliveries of 300 events; want a dead letter for each probe at most", dead, delivered)
		}
	})
}

// An event that is waited for when the target turns out to be down goes back.
func TestBreaker_holdsNoEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemoryQueue(manySubjects(breakerRun)...)
		tg := &changing{answer: always(busy), takes: time.Second}
		run(t, Options{Queue: q, Target: tg, Policy: Policy{InitialInterval: time.Hour}})
		pass(t, time.Second+time.Millisecond) // all have failed; the next worker waits for an event since before
		late := sampleEvent("late", 1)
		q.add(late)
		synctest.Wait()
		got := q.history()
		if want := []string{"lease late1 #1", "release late1"}; cmp.Diff(want, got[len(got)-2:]) != "" {
			t.Errorf("got %v in the end, want %v", got[len(got)-2:], want)
		}
		tg.become(always(accepted), 0)
		pass(t, 5*time.Second)
		got = q.history()
		if want := []string{"lease late1 #1", "delivered late1"}; cmp.Diff(want, got[len(got)-2:]) != "" {
			t.Errorf("got %v in the end, want %v, its first attempt", got[len(got)-2:], want)
		}
	})
}

func TestBreaker_stop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMetrics(nil)
		q := newMemoryQueue(manySubjects(200)...)
		d := run(t, Options{Queue: q, Target: &changing{answer: always(busy)}, Metrics: m})
		pass(t, time.Minute)
		if got := openCircuits(m); got != 1 {
			t.Fatalf("%v circuits are open, want 1", got)
		}
		began := time.Now()
		d.stop()
		<-d.stopped
		if took := time.Since(began); took != 0 {
			t.Errorf("stopped after %s, want at once", took)
		}
		if got := openCircuits(m); got != 0 {
			t.Errorf("%v circuits are open after the stop, want none", got)
		}
	})
}

// The first pause is the shortest, however many attempts were under way when the target turned out to be down; also of a later outage.
func TestBreaker_firstPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		timeout := target.Result{Class: target.Retryable, Outcome: target.OutcomeTimeout, Detail: "no answer"}
		q := newMemoryQueue(manySubjects(100)...)
		tg := &changing{answer: always(timeout), takes: 10 * time.Second}
		run(t, Options{Queue: q, Target: tg, Policy: Policy{MaxInterval: time.Second}})
		firstProbe := func() {
			t.Helper()
			began := tg.attempts()
			down := began[0].Add(10 * time.Second)
			probe := slices.IndexFunc(began, down.Before)
			if probe < 0 || began[probe].Sub(down) != breakerPauseMin/2 {
				t.Errorf("the first attempt after the target is known to be down is number %d of %d, want it %s later", probe, len(began), breakerPauseMin/2)
			}
		}
		pass(t, 12*time.Second)
		firstProbe()
		tg.become(always(accepted), 0)
		pass(t, 2*time.Minute)
		tg.become(always(timeout), 10*time.Second)
		for _, e := range manySubjects(100) {
			q.add(e)
		}
		pass(t, 12*time.Second)
		firstProbe()
	})
}

// A target that comes and goes is neither hammered nor told of again and again.
func TestBreaker_flappingTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		tg := &changing{takes: 10 * time.Millisecond, answer: func(*event.Event) target.Result {
			if int(time.Since(start).Seconds())%4 == 0 { // a second of every four
				return accepted
			}
			return busy
		}}
		var events []event.Event
		for s := range 30 {
			for n := range 50 {
				events = append(events, sampleEvent(fmt.Sprintf("s%d-", s), n))
			}
		}
		logs := newLogRecorder()
		run(t, Options{Queue: newMemoryQueue(events...), Target: tg, Log: logs.logger(), Policy: Policy{MaxInterval: time.Second}})
		pass(t, 2*time.Minute)
		if n := logs.count("Target is down, deliveries pause"); n > 12 {
			t.Errorf("told %d times in two minutes that the target is down", n)
		}
	})
}
