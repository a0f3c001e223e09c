package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/time/rate"
)

const (
	// giveUp is when a callback that is not answered is given up: later than any platform does, to see how late the answer is.
	giveUp = 15 * time.Second
	// maxAnswer is how much of an answer is read, in bytes. Platforms expect a few words.
	maxAnswer = 64 << 10
	// waitStep is the pause between two looks at whether the receiver is there.
	waitStep = 100 * time.Millisecond
)

// sender sends the callbacks of several endpoints.
type sender struct {
	flags  *sendFlags
	plays  []play
	client *http.Client
	report *report
	tally  *tally
}

// outcome is what came of one callback.
type outcome struct {
	status int
	body   []byte
	took   time.Duration
	// objection is what the platform would say against the answer; nil if nothing.
	objection error
}

func newSender(f *sendFlags, plays []play, report *report, stdout, stderr io.Writer) (*sender, error) {
	transport, err := newTransport(f, plays)
	if err != nil {
		return nil, err
	}
	return &sender{
		flags:  f,
		plays:  plays,
		report: report,
		client: &http.Client{
			Transport: transport,
			Timeout:   giveUp,
			// A platform's redirects are not documented: the answer counts as it is.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		tally: newTally(f.count, plays, stdout, stderr),
	}, nil
}

func (s *sender) close() { s.client.CloseIdleConnections() }

// run sends everything, or stops early when ctx ends. Each worker has subjects of its own, so that the callbacks of one subject go one
// after another, in order.
func (s *sender) run(ctx context.Context) {
	limit := rate.NewLimiter(rate.Inf, 1)
	if s.flags.rate > 0 {
		limit.SetLimit(rate.Limit(s.flags.rate))
	}
	workers := min(s.flags.concurrency, s.flags.subjects, s.flags.count)
	stop := s.tally.begin(ctx)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := range s.flags.count {
				subject := n % s.flags.subjects
				if subject%workers != w {
					continue
				}
				for i := range s.plays {
					if limit.Wait(ctx) != nil {
						return
					}
					s.one(ctx, &s.plays[i], n, subject)
				}
			}
		})
	}
	wg.Wait()
	stop()
}

// one sends a callback and takes note of what came of it.
func (s *sender) one(ctx context.Context, p *play, n, subject int) {
	body := p.sample.Body
	if !p.fixed {
		body = p.platform.Vary(p.sample, n, s.flags.seed+subject)
	}
	o := s.post(ctx, p, body)
	if ctx.Err() != nil && o.objection != nil {
		return // it was broken off, not refused
	}
	s.report.write(p, n, subject, &o)
	s.tally.add(p, &o)
}

func (s *sender) post(ctx context.Context, p *play, body []byte) outcome {
	signed, err := p.platform.Sign(body, time.Now())
	if err != nil {
		return outcome{objection: fmt.Errorf("sign: %w", err)}
	}
	address := s.flags.base(p) + p.endpoint.Path
	if signed.Query != "" {
		address += "?" + signed.Query
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return outcome{objection: err}
	}
	maps.Copy(req.Header, http.Header(signed.Header))
	start := time.Now()
	resp, err := s.client.Do(req)
	if err != nil {
		return outcome{took: time.Since(start), objection: plainError(err)}
	}
	defer resp.Body.Close() //nolint:errcheck // Nothing was written.
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	o := outcome{status: resp.StatusCode, body: answer, took: time.Since(start)}
	switch {
	case err != nil:
		o.objection = plainError(err)
	default:
		if o.objection = p.platform.Judge(o.status, answer); o.objection == nil && o.took > p.platform.AnswerWithin() {
			o.objection = fmt.Errorf("answered later than the platform's %v", p.platform.AnswerWithin())
		}
		if o.status == http.StatusNotFound {
			o.objection = fmt.Errorf("%w; is --url that of the receiver that serves this manifest?", o.objection)
		}
	}
	return o
}

// plainError says why there was no answer in words that are the same each time, without the signed URL.
func plainError(err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("connection refused: nothing listens there; start hookbay run, or write where it is with --url")
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		return errors.New("the receiver closed the connection without an answer")
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer within %v", giveUp)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("look up %s: %s", dns.Name, dns.Err)
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(inner) {
		err = inner // the outer ones hold addresses and the URL
	}
	return err
}

// waitForReceiver returns when the receiver answers, or with an error after limit.
func (s *sender) waitForReceiver(ctx context.Context, limit time.Duration) error {
	if limit <= 0 {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errNotThere)
	defer cancel()
	seen := s.probe(ctx)
	for seen != "" {
		select {
		case <-time.After(waitStep):
			if now := s.probe(ctx); ctx.Err() == nil { // else it only says that the time is up
				seen = now
			}
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errNotThere) {
				return fmt.Errorf("waited %v for %s in vain: %s", limit, s.flags.url, seen)
			}
			return ctx.Err()
		}
	}
	return nil
}

var errNotThere = errors.New("the receiver is not there")

// probe returns what speaks against the receiver being there. It asks with "OPTIONS *", which concerns no endpoint: nothing is counted or
// logged as a refused callback.
func (s *sender) probe(ctx context.Context) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodOptions, s.flags.base(&s.plays[0]), nil)
	if err != nil {
		return err.Error()
	}
	req.URL.Opaque = "*"
	resp, err := s.client.Do(req)
	if err != nil {
		return plainError(err).Error()
	}
	_ = resp.Body.Close() // nothing of it is read
	if resp.StatusCode >= http.StatusInternalServerError {
		return "it answers " + resp.Status
	}
	return ""
}
