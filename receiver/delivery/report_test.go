package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/event"
)

// logRecorder keeps what is logged, one JSON object a line.
type logRecorder struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func newLogRecorder() *logRecorder { return &logRecorder{} }

func (l *logRecorder) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

func (l *logRecorder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logRecorder) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// lines returns the lines without their time.
func (l *logRecorder) lines(t *testing.T) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(l.text()) {
		m := map[string]any{}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		delete(m, "time")
		all = append(all, m)
	}
	return all
}

func (l *logRecorder) count(message string) int {
	return strings.Count(l.text(), `"msg":"`+message+`"`)
}

func TestDispatcher_logsTroubleOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := sampleEvent("a", 1)
		q := newMemoryQueue(e)
		logs := newLogRecorder()
		start := time.Now()
		run(t, Options{
			Queue: q, Log: logs.logger(), Policy: Policy{InitialInterval: 20 * time.Second, MaxInterval: 20 * time.Second},
			Target: targetFunc(func(context.Context, *event.Event, int) target.Result {
				if time.Since(start) >= 75*time.Second {
					return accepted
				}
				return busy
			}),
		})
		pass(t, 2*time.Minute) // attempts every 10 s
		failed := func(attempt, failures float64) map[string]any {
			return map[string]any{
				"level": "WARN", "msg": "Delivery failed", "endpoint": "shop/im", "id": e.ID.String(), "type": "a1", "attempt": attempt,
				"outcome": "5xx", "detail": "target answered 503 Service Unavailable", "failures": failures,
			}
		}
		want := []map[string]any{
			failed(1, 1),
			failed(7, 6),
			{"level": "INFO", "msg": "Target accepts deliveries again", "endpoint": "shop/im"},
		}
		if diff := cmp.Diff(want, logs.lines(t)); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

// A second outage is told of at once, and counted from its own beginning.
func TestReporter_tellsOfTheNextOutageAtOnce(t *testing.T) {
	logs := newLogRecorder()
	clock := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	r := newReporter(logs.logger(), func() time.Time { return clock })
	fail := func(after time.Duration) {
		clock = clock.Add(after)
		r.count()
		r.failed(&buffer.Delivery{Event: sampleEvent("a", 1), Attempt: 1}, busy, clock)
	}
	fail(0)
	for range 5 {
		fail(time.Second)
	}
	r.delivered()
	fail(5 * time.Second) // the next outage, 10 s after the line of the first
	fail(time.Second)
	var got []string
	for _, line := range logs.lines(t) {
		got = append(got, fmt.Sprint(line["msg"], " ", line["failures"]))
	}
	want := []string{"Delivery failed 1", "Target accepts deliveries again <nil>", "Delivery failed 1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// Whoever looks at the log finds why the target fails now, not why it failed a while ago.
func TestReporter_tellsOfAnotherFailureAtOnce(t *testing.T) {
	logs := newLogRecorder()
	clock := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	r := newReporter(logs.logger(), func() time.Time { return clock })
	fail := func(outcome string) {
		clock = clock.Add(3 * time.Second)
		r.count()
		r.failed(&buffer.Delivery{Event: sampleEvent("a", 1), Attempt: 1}, target.Result{Class: target.Retryable, Outcome: outcome}, clock)
	}
	for _, outcome := range []string{target.OutcomeNotHTTP, target.OutcomeNotHTTP, target.OutcomeReset, target.OutcomeTimeout, target.OutcomeTimeout} {
		fail(outcome)
	}
	var got []string
	for _, line := range logs.lines(t) {
		got = append(got, fmt.Sprint(line["outcome"], " ", line["failures"]))
	}
	want := []string{"not_http 1", "reset 2", "timeout 1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	logs = newLogRecorder()
	r = newReporter(logs.logger(), func() time.Time { return clock })
	const minutes = 60
	for range minutes * 10 {
		fail(target.OutcomeReset)
		fail(target.OutcomeTimeout)
	}
	if got := logs.count("Delivery failed"); got < minutes || got > 4*minutes {
		t.Errorf("%d of failures that alternate are logged in an hour, want one to four a minute", got)
	}
}

// The outcome of an attempt is stored before it is told of, and meanwhile many others have failed.
func TestReporter_countsWhatIsNotStoredYet(t *testing.T) {
	logs := newLogRecorder()
	r := newReporter(logs.logger(), time.Now)
	for range 20 {
		r.count()
	}
	r.failed(&buffer.Delivery{Event: sampleEvent("a", 1), Attempt: 1}, busy, time.Now())
	if got := logs.lines(t)[0]["failures"]; got != 20.0 {
		t.Errorf("%v failures are told of, want 20", got)
	}
}

// A target that is down and fails in another way than it went down with is told of once, and its recovery too.
func TestDispatcher_tellsWhyTheTargetIsDownNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs := newLogRecorder()
		tg := &changing{answer: always(target.Result{Class: target.Retryable, Outcome: target.OutcomeTimeout, Detail: "no answer within 10s"})}
		d := New(Options{Queue: newMemoryQueue(manySubjects(100)...), Target: tg, Log: logs.logger(), Endpoint: "shop/im"})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { d.Run(ctx) })
		defer running.Wait()
		defer stop()
		pass(t, 3*time.Second)
		if s := d.State(); !s.Down || s.Since.IsZero() || s.NextTry.IsZero() || s.LastFailure.Outcome != "timeout" || s.LastFailure.Detail != "no answer within 10s" {
			t.Errorf("down: the state is %+v", s)
		}
		tg.become(always(target.Result{Class: target.Retryable, Outcome: target.OutcomeThrottled, Detail: "slower"}), 0)
		pass(t, 3*time.Minute)
		if s := d.State(); s.LastFailure.Outcome != "throttled" {
			t.Errorf("throttled: the state is %+v", s)
		}
		tg.become(always(accepted), 0)
		pass(t, time.Minute)
		if s := d.State(); s.Down || !s.Since.IsZero() || !s.NextTry.IsZero() || s.LastFailure.Outcome != "throttled" {
			t.Errorf("up: the state is %+v", s)
		}
		var down []string
		for _, line := range logs.lines(t) {
			if strings.HasPrefix(fmt.Sprint(line["msg"]), "Target ") {
				down = append(down, fmt.Sprint(line["msg"], ": ", line["outcome"]))
			}
			if n, ok := line["failures"].(float64); ok && line["msg"] == "Target is down, deliveries pause" && n < breakerRun {
				t.Errorf("the target is said to be down after %v failures, want %d at least", n, breakerRun)
			}
		}
		want := []string{"Target is down, deliveries pause: timeout", "Target is still down, but fails in another way: throttled", "Target is up, deliveries go on: <nil>"}
		if diff := cmp.Diff(want, down); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

// A target that answers 410 to all makes thousands of dead letters a second.
func TestDispatcher_saysLittleOfManyDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs := newLogRecorder()
		events := manySubjects(1000)
		run(t, Options{Queue: newMemoryQueue(events...), Log: logs.logger(), Target: answering(gone)})
		pass(t, time.Minute)
		single, rest := 0, 0.0
		for _, line := range logs.lines(t) {
			switch line["msg"] {
			case "Event became a dead letter":
				single++
			case "More events became dead letters":
				rest += line["count"].(float64) //nolint:forcetypeassert // A number of JSON.
				if line["id"] == "" || line["reason"] != "target answered 410 Gone" {
					t.Errorf("the summary has no example: %v", line)
				}
			}
		}
		if single != deadBurst || rest != float64(len(events)-deadBurst) {
			t.Errorf("%d dead letters have a line of their own and %v are summed up, want %d and the rest of %d", single, rest, deadBurst, len(events))
		}
	})
}

// What is unsaid when the dispatcher ends is said then.
func TestDeadLetters_closeTellsTheRest(t *testing.T) {
	logs := newLogRecorder()
	l := deadLetters{log: logs.logger()}
	for n := range deadBurst + 2 {
		l.add(&buffer.Delivery{Event: sampleEvent("a", n), Attempt: 1}, "expired")
	}
	l.close()
	lines := logs.lines(t)
	if got := lines[len(lines)-1]; got["msg"] != "More events became dead letters" || got["count"] != 2.0 {
		t.Errorf("the last line is %v, want the two that have none", got)
	}
}

// A target that fails every now and then is an outage each time.
func TestReporter_saysLittleOfManyOutages(t *testing.T) {
	logs := newLogRecorder()
	clock := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	r := newReporter(logs.logger(), func() time.Time { return clock })
	const minutes = 60
	for range minutes * 60 * 10 {
		clock = clock.Add(100 * time.Millisecond)
		r.count()
		r.failed(&buffer.Delivery{Event: sampleEvent("a", 1), Attempt: 1}, busy, clock)
		r.delivered()
	}
	if got := logs.count("Delivery failed"); got < minutes || got > 4*minutes {
		t.Errorf("%d failures are logged in an hour, want one to four a minute", got)
	}
}

func TestDispatcher_logsEachDeadLetterWithoutItsSubject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := sampleEvent("a", 1), sampleEvent("a", 2)
		logs := newLogRecorder()
		// One worker: two might log in either order.
		run(t, Options{Queue: newMemoryQueue(first, second), Log: logs.logger(), Target: answering(gone), Policy: Policy{MaxInFlight: 1}})
		synctest.Wait()
		line := func(e event.Event) map[string]any {
			return map[string]any{
				"level": "WARN", "msg": "Event became a dead letter", "endpoint": "shop/im", "id": e.ID.String(), "type": e.Type,
				"attempts": 1.0, "reason": "target answered 410 Gone",
			}
		}
		if diff := cmp.Diff([]map[string]any{line(first), line(second)}, logs.lines(t)); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		if strings.Contains(logs.text(), "subject-") {
			t.Errorf("the log holds a subject:\n%s", logs.text())
		}
	})
}

// A target that accepts some events and fails others must not write a line for each.
func TestDispatcher_logsLittleWhenTheTargetFlaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []event.Event
		for i := range 1000 {
			events = append(events, sampleEvent("a", i))
		}
		logs := newLogRecorder()
		q := newMemoryQueue(events...)
		run(t, Options{Queue: q, Log: logs.logger(), Policy: Policy{InitialInterval: 2 * time.Millisecond}, Target: targetFunc(
			func(_ context.Context, _ *event.Event, attempt int) target.Result {
				if attempt == 1 {
					return busy
				}
				return accepted
			})})
		pass(t, 30*time.Second)
		if got, _, _ := q.counts(); got != 2000 {
			t.Fatalf("got %d outcomes, want 2000", got)
		}
		if got := len(logs.lines(t)); got != 2 {
			t.Errorf("got %d log lines, want 2:\n%s", got, logs.text())
		}
	})
}
