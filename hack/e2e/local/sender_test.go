package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// sender plays platforms that never give up: it sends each subject's callbacks one after another, and each until it is acknowledged. So a
// subject's order is known, and at the end every callback has been acknowledged.
type sender struct {
	base     string
	subjects int
	each     int // callbacks per subject
	padding  int
	workers  int
	client   *http.Client
	// lazadaOnly sends the callbacks of all subjects to lazada-im.
	lazadaOnly bool

	acked   atomic.Int64
	repeats atomic.Int64 // callbacks that were sent again
}

func newSender(base string, total, subjects int) *sender {
	const workers = 64
	transport := &http.Transport{MaxIdleConnsPerHost: workers}
	return &sender{
		base: base, subjects: subjects, each: (total + subjects - 1) / subjects, workers: workers,
		client: &http.Client{Transport: transport, Timeout: patience},
	}
}

// total is how many callbacks there are.
func (s *sender) total() int { return s.subjects * s.each }

// start sends everything in the background. The channel yields nil when all is acknowledged, or what went wrong.
func (s *sender) start(ctx context.Context) <-chan error {
	done := make(chan error, 1)
	errs := make([]error, s.workers)
	var workers sync.WaitGroup
	for w := range s.workers {
		workers.Go(func() { errs[w] = s.work(ctx, w) })
	}
	go func() {
		workers.Wait()
		s.client.CloseIdleConnections()
		done <- errors.Join(errs...)
	}()
	return done
}

// work sends the callbacks of every workers-th subject.
func (s *sender) work(ctx context.Context, worker int) error {
	for n := range s.each {
		for subject := worker; subject < s.subjects; subject += s.workers {
			if err := s.insist(ctx, callback{subject, n}); err != nil {
				return err
			}
		}
	}
	return nil
}

// insist sends a callback until it is acknowledged. Being refused for lack of room and being cut off are what the tests provoke; any other
// answer is an error.
func (s *sender) insist(ctx context.Context, c callback) error {
	for attempt := 0; ; attempt++ {
		status, err := s.once(ctx, c)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && status == http.StatusOK:
			s.acked.Add(1)
			return nil
		case err == nil && status != http.StatusServiceUnavailable:
			return fmt.Errorf("callback %s: answered %d, want 200 or 503", c, status)
		case errors.Is(err, errWrongWords):
			return fmt.Errorf("callback %s: %w", c, err)
		}
		if attempt == 0 {
			s.repeats.Add(1)
		}
		select {
		case <-time.After(20 * time.Millisecond): // a receiver that is being restarted needs a moment
		case <-ctx.Done():
		}
	}
}

var errWrongWords = errors.New("answered 200 in the wrong words")

// once sends a callback. The status is of use only if err is nil.
func (s *sender) once(ctx context.Context, c callback) (int, error) {
	if s.lazadaOnly {
		c.subject *= 2
	}
	r, want, err := c.request(ctx, s.base, s.padding)
	if err != nil {
		return 0, err
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode == http.StatusOK && string(body) != want {
		return 0, fmt.Errorf("%w: %q, want %q", errWrongWords, body, want)
	}
	return resp.StatusCode, nil
}

// waitAcked waits until n callbacks are acknowledged. It fails when there is no progress.
func (s *sender) waitAcked(t *testing.T, n int) {
	t.Helper()
	waitProgress(t, fmt.Sprintf("%d callbacks are acknowledged", n), n, func() int { return int(s.acked.Load()) })
}

// waitProgress polls count until it is n, and fails when it stands still for longer than patience.
func waitProgress(t *testing.T, what string, n int, count func() int) {
	t.Helper()
	last, since := -1, time.Now()
	for {
		got := count()
		if got >= n {
			return
		}
		if got != last {
			last, since = got, time.Now()
		}
		if time.Since(since) > patience {
			t.Fatalf("waiting until %s: stuck at %d", what, got)
		}
		pause(t)
	}
}

// pause is one step of a poll.
func pause(t *testing.T) {
	t.Helper()
	select {
	case <-time.After(5 * time.Millisecond):
	case <-t.Context().Done():
		t.Fatal("the test was ended while it waited")
	}
}
