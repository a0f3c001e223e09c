package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"

	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/event"
)

// lineWriter writes line by line for several printers, so that lines don't mix.
type lineWriter struct {
	mu  sync.Mutex
	out io.Writer
}

func (w *lineWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(line)
}

// errNobodyReads ends hookbay run when what it prints goes nowhere.
var errNobodyReads = errors.New("nobody reads standard output any more: events that were not printed wait for the next start")

// printer is a target that writes every event as one line of CloudEvents JSON (structured mode).
type printer struct {
	lines *lineWriter
	// broken is called when nobody reads the lines any more.
	broken func(error)
}

var _ target.Target = (*printer)(nil)

// Send writes one line. What can't be written waits to be tried again: by the next process if the reader of a pipe has gone.
func (p *printer) Send(_ context.Context, e *event.Event, _ int) target.Result {
	line, err := target.Structured(e)
	if err != nil {
		return target.Result{Class: target.Rejected, Outcome: target.OutcomeNetwork, Detail: fmt.Sprintf("not a CloudEvent: %v", err)}
	}
	if _, err := p.lines.Write(append(line, '\n')); err != nil {
		if errors.Is(err, syscall.EPIPE) {
			p.broken(errNobodyReads)
		}
		return target.Result{Class: target.Retryable, Outcome: target.OutcomeNetwork, Detail: fmt.Sprintf("write to standard output: %v", err)}
	}
	return target.Result{Class: target.Delivered, Outcome: target.Outcome2xx, Detail: "printed"}
}

// Close does nothing: standard output is not ours to close.
func (*printer) Close() {}
