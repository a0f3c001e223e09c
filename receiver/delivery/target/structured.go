package target

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/hookbay/hookbay/receiver/event"
)

// ContentTypeStructured is the content type of what Structured returns.
const ContentTypeStructured = "application/cloudevents+json"

// Structured renders an event as CloudEvents JSON (structured mode), on one line without its end. Bodies that are JSON go in as they are, without the white
// space between their parts, so no number changes; others go in as data_base64. It fails if an attribute is not what CloudEvents want.
func Structured(e *event.Event) ([]byte, error) {
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
	if c.Time != nil {
		// The SDK leaves out zeros at the end. The text is that attribute's alone: in a value its quotes would be escaped.
		written := []byte(`"time":"` + c.Time.String() + `"`)
		return bytes.Replace(line.Bytes(), written, []byte(`"time":"`+c.Time.Format(TimeFormat)+`"`), 1), nil
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
