package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"unicode/utf8"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

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
	line, err := structured(e)
	if err != nil {
		return target.Result{Class: target.Rejected, Outcome: target.OutcomeNetwork, Detail: fmt.Sprintf("not a CloudEvent: %v", err)}
	}
	if _, err := p.lines.Write(line); err != nil {
		if errors.Is(err, syscall.EPIPE) {
			p.broken(errNobodyReads)
		}
		return target.Result{Class: target.Retryable, Outcome: target.OutcomeNetwork, Detail: fmt.Sprintf("write to standard output: %v", err)}
	}
	return target.Result{Class: target.Delivered, Outcome: target.Outcome2xx, Detail: "printed"}
}

// Close does nothing: standard output is not ours to close.
func (*printer) Close() {}

// structured renders an event as one line of CloudEvents JSON. Bodies that are JSON go in as they are, without the white space between
// their parts, so no number changes; others go in as data_base64.
func structured(e *event.Event) ([]byte, error) {
	source := types.ParseURIRef(e.Source)
	if source == nil {
		return nil, fmt.Errorf("source %q is not a URI reference", e.Source)
	}
	c := cloudevents.EventContextV1{
		ID:         e.ID.String(),
		Type:       e.Type,
		Source:     *source,
		Extensions: map[string]any{"hookbayendpoint": e.Endpoint},
	}
	// The fields are set as they are, not through setters, which trim them.
	if e.Subject != "" {
		c.Subject = &e.Subject
		c.Extensions["partitionkey"] = e.Subject
	}
	if e.ContentType != "" {
		c.DataContentType = &e.ContentType
	}
	if !e.Time.IsZero() {
		c.Time = &types.Timestamp{Time: e.Time.UTC()}
	}
	for _, x := range e.Extensions {
		if x.Value != "" {
			c.Extensions[x.Name] = x.Value
		}
	}
	ce := cloudevents.Event{Context: &c}
	if len(e.Body) > 0 {
		ce.DataEncoded, ce.DataBase64 = data(e)
	}
	var line bytes.Buffer
	if err := cloudevents.WriteJson(&ce, &line); err != nil {
		return nil, err
	}
	line.WriteByte('\n')
	if c.Time != nil {
		// The SDK leaves out zeros at the end. The text is that attribute's alone: in a value its quotes would be escaped.
		written := []byte(`"time":"` + c.Time.String() + `"`)
		return bytes.Replace(line.Bytes(), written, []byte(`"time":"`+c.Time.Format(target.TimeFormat)+`"`), 1), nil
	}
	return line.Bytes(), nil
}

// data returns the body as it goes into the line, and whether it must be encoded.
func data(e *event.Event) (body []byte, base64 bool) {
	if e.ContentType != event.ContentTypeJSON || !utf8.Valid(e.Body) {
		return e.Body, true
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, e.Body); err != nil {
		return e.Body, true
	}
	return compact.Bytes(), false
}
