package target

import (
	"iter"
	"strconv"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
)

// attributes yields what a message in binary mode says of its event: every CloudEvents attribute that is there, extensions included, but
// datacontenttype, for which each protocol has its own place.
func attributes(e *event.Event) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, a := range [...]event.Extension{
			{Name: "specversion", Value: "1.0"}, {Name: "id", Value: e.ID.String()}, {Name: "type", Value: e.Type}, {Name: "source", Value: e.Source},
			{Name: "subject", Value: e.Subject}, {Name: "partitionkey", Value: e.Subject}, {Name: "time", Value: timeOf(e)},
			{Name: "hookbayendpoint", Value: e.Endpoint},
		} {
			if a.Value != "" && !yield(a.Name, a.Value) { // an attribute is absent rather than empty
				return
			}
		}
		for _, x := range e.Extensions {
			if x.Value != "" && extensionName(x.Name) && !yield(x.Name, x.Value) {
				return
			}
		}
	}
}

func timeOf(e *event.Event) string {
	if e.Time.IsZero() {
		return ""
	}
	return e.Time.UTC().Format(TimeFormat)
}

// payload returns a message's body, and its content type if that is Structured's.
func payload(e *event.Event, mode string) (body []byte, structured bool, err error) {
	if mode != config.ContentStructured {
		return e.Body, false, nil
	}
	body, err = Structured(e)
	return body, true, err
}

// notCloudEvent is for an event that no structured message can be made of: what it is made of never changes.
func notCloudEvent(err error) Result {
	return Result{Class: Rejected, Outcome: OutcomeInvalid, Detail: "not a CloudEvent: " + printable(err.Error())}
}

func attemptOf(attempt int) string { return strconv.Itoa(attempt) }
