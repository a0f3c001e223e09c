package local

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/hookbay/hookbay/controllers/oneline"
)

const (
	progressEvery = 200 * time.Millisecond
	maxShown      = 200 // bytes of an answer that are printed
)

// tally counts what came of the callbacks, and tells the user.
type tally struct {
	count  int
	plays  []play
	stdout io.Writer
	stderr io.Writer
	start  time.Time // set by begin

	mu     sync.Mutex
	counts map[string]*counts // by endpoint
	sent   int
	failed int
}

// counts are one endpoint's.
type counts struct {
	sent    int
	took    []time.Duration   // of those that were answered
	reasons map[string]int    // failures by what the platform would say
	answers map[string]string // the first answer of each of them, as far as it says why
	last    outcome
}

func newTally(count int, plays []play, stdout, stderr io.Writer) *tally {
	t := &tally{count: count, plays: plays, stdout: stdout, stderr: stderr, counts: map[string]*counts{}}
	for i := range plays {
		t.counts[plays[i].endpoint.Key()] = &counts{reasons: map[string]int{}, answers: map[string]string{}}
	}
	return t
}

func (t *tally) add(p *play, o *outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts[p.endpoint.Key()]
	c.last = *o
	c.sent++
	t.sent++
	if o.status != 0 {
		c.took = append(c.took, o.took)
	}
	if o.objection != nil {
		t.failed++
		reason := o.objection.Error()
		if c.reasons[reason]++; c.reasons[reason] == 1 && o.status != 0 {
			c.answers[reason] = oneLine(o.body)
		}
	}
}

// begin starts the clock, and keeps a line on the terminal up to date until the returned function is called. There is none where there is
// no terminal, or little to wait for.
func (t *tally) begin(ctx context.Context) (stop func()) {
	t.start = time.Now()
	file, ok := t.stderr.(*os.File)
	if !ok || t.count == 1 || !term.IsTerminal(int(file.Fd())) {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				t.mu.Lock()
				sent, failed := t.sent, t.failed
				t.mu.Unlock()
				fmt.Fprintf(t.stderr, "\r\x1b[K%d of %d sent, %d failed, %.0f a second",
					sent, t.count*len(t.plays), failed, float64(sent)/time.Since(t.start).Seconds())
			case <-ctx.Done():
				fmt.Fprint(t.stderr, "\r\x1b[K")
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// verdict prints what came of it, and returns an error if a platform would be dissatisfied.
func (t *tally) verdict(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count == 1 {
		t.printEach()
	} else {
		t.printSummary()
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted after %d of %d callbacks", t.sent, t.count*len(t.plays))
	case t.failed > 0:
		return fmt.Errorf("the platform would call %d of %d callbacks failed", t.failed, t.sent)
	default:
		return nil
	}
}

// printEach prints a line for each endpoint's only callback.
func (t *tally) printEach() {
	w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	for i := range t.plays {
		p := &t.plays[i]
		c := t.counts[p.endpoint.Key()]
		if c.sent == 0 {
			continue // interrupted
		}
		o := &c.last
		status, verdict := "-", "accepted"
		if o.status != 0 {
			status = fmt.Sprint(o.status)
		}
		if o.objection != nil {
			verdict = "FAILED: " + o.objection.Error()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%v\t%s\n", p.endpoint.Key(), p.sample.Name, status, oneLine(o.body), rounded(o.took), verdict)
	}
	_ = w.Flush() // to a person
}

func (t *tally) printSummary() {
	took := time.Since(t.start)
	for i := range t.plays {
		p := &t.plays[i]
		c := t.counts[p.endpoint.Key()]
		failed := 0
		for _, n := range c.reasons {
			failed += n
		}
		slices.Sort(c.took)
		fmt.Fprintf(t.stdout, "%s  %s\n", p.endpoint.Key(), p.sample.Name)
		fmt.Fprintf(t.stdout, "  accepted  %d\n", c.sent-failed)
		fmt.Fprintf(t.stdout, "  failed    %d\n", failed)
		mostFirst := func(a, b string) int { return cmp.Or(c.reasons[b]-c.reasons[a], strings.Compare(a, b)) }
		for _, reason := range slices.SortedFunc(maps.Keys(c.reasons), mostFirst) {
			fmt.Fprintf(t.stdout, "    %d × %s\n", c.reasons[reason], reason)
			if answer := c.answers[reason]; answer != "" {
				fmt.Fprintf(t.stdout, "        the first was answered %s\n", answer)
			}
		}
		if p.repeats() {
			fmt.Fprint(t.stdout, "  note      all of them are one event and its repeats: nothing in the body counts\n")
		}
		if len(c.took) > 0 {
			fmt.Fprintf(t.stdout, "  answered  p50 %v, p99 %v, max %v (the platform waits %v)\n",
				rounded(quantile(c.took, .5)), rounded(quantile(c.took, .99)), rounded(c.took[len(c.took)-1]), p.platform.AnswerWithin())
		}
	}
	fmt.Fprintf(t.stdout, "%d callbacks in %v, %.0f a second\n", t.sent, rounded(took), float64(t.sent)/took.Seconds())
}

// quantile of durations in ascending order.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// rounded to what people read.
func rounded(d time.Duration) time.Duration {
	switch {
	case d > 10*time.Second:
		return d.Round(100 * time.Millisecond)
	case d > time.Second:
		return d.Round(10 * time.Millisecond)
	case d > 10*time.Millisecond:
		return d.Round(time.Millisecond)
	default:
		return d.Round(10 * time.Microsecond)
	}
}

// oneLine is an answer's body, fit for a terminal.
func oneLine(body []byte) string { return cmp.Or(oneline.Of(string(body), maxShown), "(no body)") }
