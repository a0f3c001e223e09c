package sourcetest

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

// identify checks that whatever is verified becomes well-formed events with the platform's own bytes.
func (h Harness) identify(t *testing.T) {
	sim, s := h.Simulator(t, credential), h.Source(t, credential)

	t.Run("a repeat has the same id", func(t *testing.T) {
		for _, sample := range sim.Samples() {
			first := accept(t, s, request(t, sim, sample.Body, now))
			repeat := accept(t, h.Source(t, otherCredential, credential), request(t, sim, sample.Body, now.Add(30*time.Minute)))
			if diff := cmp.Diff(first, repeat); diff != "" {
				t.Errorf("%s: first and repeat (-/+):\n%s", sample.Name, diff)
			}
		}
	})
	t.Run("events are appended", func(t *testing.T) {
		r := request(t, sim, sim.Samples()[0].Body, now)
		events, refusal := s.Identify([]event.Event{{Type: "before"}}, r)
		if refusal != nil || len(events) != 2 || events[0].Type != "before" {
			t.Errorf("got %d events, refusal %v", len(events), refusal)
		}
	})
	t.Run("attributes outlive the request", func(t *testing.T) {
		r := request(t, sim, sim.Samples()[0].Body, now)
		events := accept(t, s, r)
		want := fmt.Sprintf("%s %s %s %v", events[0].Type, events[0].Source, events[0].Subject, events[0].Extensions)
		clear(r.Body)
		if got := fmt.Sprintf("%s %s %s %v", events[0].Type, events[0].Source, events[0].Subject, events[0].Extensions); got != want {
			t.Errorf("after the request: %s, want %s", got, want)
		}
	})
	t.Run("a kind that is not known is kept", func(t *testing.T) {
		events := accept(t, s, request(t, sim, []byte(h.Unknown), now))
		if len(events) != 1 || events[0].Type != h.UnknownType {
			t.Fatalf("got %v, want one event of type %s", events, h.UnknownType)
		}
		CheckEvents(t, []byte(h.Unknown), events)
	})
	t.Run("a huge callback is kept", func(t *testing.T) {
		body := []byte(strings.TrimSuffix(h.Unknown, "}") + `,"filler":"` + strings.Repeat("0123456789abcdef", 1<<18) + `"}`)
		CheckEvents(t, body, accept(t, s, request(t, sim, body, now)))
	})
	t.Run("the tenant is who acted, whatever the credential", func(t *testing.T) {
		if h.Tenant == "" {
			t.Fatal("the harness names no tenant")
		}
		for _, s := range []source.Source{s, h.Source(t, otherCredential, credential)} {
			if got := accept(t, s, request(t, sim, sim.Samples()[0].Body, now))[0].Tenant; got != h.Tenant {
				t.Errorf("tenant %q, want %q", got, h.Tenant)
			}
		}
	})
	t.Run("what is not JSON", h.notJSON)
}

// Malformed are bodies that are no JSON text in UTF-8, or such a one as no platform sends.
var Malformed = map[string]string{
	"empty":                   "",
	"white space":             " \n",
	"plain text":              "hello",
	"cut off":                 `{"a":1`,
	"two texts":               `{"a":1}{"b":2}`,
	"a comment":               "{\"a\":1} // one",
	"single quotes":           `{'a':1}`,
	"a trailing comma":        `{"a":1,}`,
	"a control character":     "{\"a\":\"\x01\"}",
	"a byte order mark":       "\xef\xbb\xbf{\"a\":1}",
	"Latin-1 text":            "{\"a\":\"\xe9\"}",
	"a broken sequence":       "{\"a\":\"\xe4\xbd\"}",
	"a surrogate as UTF-8":    "{\"a\":\"\xed\xa0\x80\"}",
	"a leading zero":          `{"a":012}`,
	"a double brace":          `{"data":{{"a":1}}}`,
	"arrays without an end":   strings.Repeat("[", 1<<20),
	"objects without an end":  strings.Repeat(`{"a":`, 1<<20),
	"arrays too deep":         strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20),
	"objects too deep":        strings.Repeat(`{"a":`, 1<<18) + "1" + strings.Repeat("}", 1<<18),
	"brackets within strings": `{"a":"` + strings.Repeat("[{", 1<<10),
}

func (h Harness) notJSON(t *testing.T) {
	sim, s := h.Simulator(t, credential), h.Source(t, credential)
	seen := map[event.ID]string{}
	for name, body := range Malformed {
		t.Run(name, func(t *testing.T) {
			r := request(t, sim, []byte(body), now)
			if h.NotJSON != "" {
				refuse(t, s, r, h.NotJSON)
				return
			}
			events := accept(t, s, r)
			if len(events) != 1 || events[0].Type != h.Unparsed || events[0].ContentType != event.ContentTypeBytes {
				t.Fatalf("got %v, want one event of type %s, %s", events, h.Unparsed, event.ContentTypeBytes)
			}
			CheckEvents(t, []byte(body), events)
			if other, ok := seen[events[0].ID]; ok {
				t.Errorf("has the id of %q", other)
			}
			seen[events[0].ID] = name
		})
	}
}

var (
	validType      = regexp.MustCompile(`^com\.[a-z]+\.[a-z]+\..`)
	validSource    = regexp.MustCompile(`^//[a-z.]+/apps/[^/?#\s]+$`)
	validExtension = regexp.MustCompile(`^[a-z0-9]{1,20}$`)
)

// CheckEvents fails the test unless the events are well-formed, and their bodies the callback's own bytes.
func CheckEvents(tb testing.TB, body []byte, events []event.Event) {
	tb.Helper()
	if len(events) == 0 {
		tb.Error("no event")
	}
	for i := range events {
		e := &events[i]
		if e.ID == (event.ID{}) {
			tb.Errorf("event %d has no id", i)
		}
		if !validType.MatchString(e.Type) || !source.CleanAttribute(e.Type) {
			tb.Errorf("event %d: type %q", i, e.Type)
		}
		if !validSource.MatchString(e.Source) || !source.CleanAttribute(e.Source) {
			tb.Errorf("event %d: source %q", i, e.Source)
		}
		if e.Subject == "" || !source.CleanAttribute(e.Subject) {
			tb.Errorf("event %d: subject %q", i, e.Subject)
		}
		if e.ContentType != event.ContentTypeJSON && e.ContentType != event.ContentTypeBytes {
			tb.Errorf("event %d: content type %q", i, e.ContentType)
		}
		for _, x := range e.Extensions {
			if !validExtension.MatchString(x.Name) || x.Value == "" || !source.CleanAttribute(x.Value) {
				tb.Errorf("event %d: extension %q = %q", i, x.Name, x.Value)
			}
		}
		if !source.CleanAttribute(e.Tenant) {
			tb.Errorf("event %d: tenant %q", i, e.Tenant)
		}
		if e.Endpoint != "" || !e.Received.IsZero() {
			tb.Errorf("event %d: Endpoint and Received are not the source's to fill", i)
		}
		if whole := len(events) == 1 && bytes.Equal(e.Body, body); !whole && !bytes.Contains(body, e.Body) {
			tb.Errorf("event %d: its body is not the callback's bytes: %.100q", i, e.Body)
		}
		if e.ContentType == event.ContentTypeJSON {
			if _, ok := source.ParseJSON(e.Body); !ok {
				tb.Errorf("event %d: its body is not JSON: %.100q", i, e.Body)
			}
		}
	}
}
