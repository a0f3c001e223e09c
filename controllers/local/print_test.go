package local

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/event"
)

func TestPrinter(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 250_000_000, time.FixedZone("SGT", 8*3600))
	tests := map[string]struct {
		event event.Event
		want  string
	}{
		"a body that is JSON, with integers beyond 2^53, on several lines": {
			event: event.Event{
				ID: event.NewID("a"), Endpoint: "shop/lazada-im", Type: "com.lazada.push.19", Source: "//open.lazada.com/apps/100132",
				Subject: " 买家 <1>\" ", ContentType: event.ContentTypeJSON, Time: at,
				Extensions: []event.Extension{{Name: "sellerid", Value: "9007199254740993"}, {Name: "site", Value: ""}},
				Body:       []byte("{\n\t\"id\": 9223372036854775807, \"big\": 123456789012345678901234567890,\n\t\"f\": 1.10, \"html\": \"<b>&\\u00e9\" }"),
			},
			want: `{"specversion":"1.0","id":"ca978112ca1bbdcafac231b39a23dc4d","source":"//open.lazada.com/apps/100132","type":"com.lazada.push.19",` +
				`"subject":" 买家 <1>\" ","datacontenttype":"application/json","time":"2026-03-01T04:00:00.250000000Z",` +
				`"data":{"id":9223372036854775807,"big":123456789012345678901234567890,"f":1.10,"html":"<b>&\u00e9"},` +
				`"hookbayendpoint":"shop/lazada-im","partitionkey":" 买家 <1>\" ","sellerid":"9007199254740993"}`,
		},
		"a body that does not parse": {
			event: event.Event{ID: event.NewID("a"), Endpoint: "s/e", Type: "t", Source: "//s", ContentType: event.ContentTypeBytes, Body: []byte("{\"a\":\n")},
			want: `{"specversion":"1.0","id":"ca978112ca1bbdcafac231b39a23dc4d","source":"//s","type":"t","datacontenttype":"application/octet-stream",` +
				`"data_base64":"eyJhIjoK","hookbayendpoint":"s/e"}`,
		},
		"JSON that is not UTF-8": {
			event: event.Event{ID: event.NewID("a"), Endpoint: "s/e", Type: "t", Source: "//s", ContentType: event.ContentTypeJSON, Body: []byte("\"\xff\"")},
			want: `{"specversion":"1.0","id":"ca978112ca1bbdcafac231b39a23dc4d","source":"//s","type":"t","datacontenttype":"application/json",` +
				`"data_base64":"Iv8i","hookbayendpoint":"s/e"}`,
		},
		"no body": {
			event: event.Event{ID: event.NewID("a"), Endpoint: "s/e", Type: "t", Source: "//s"},
			want:  `{"specversion":"1.0","id":"ca978112ca1bbdcafac231b39a23dc4d","source":"//s","type":"t","hookbayendpoint":"s/e"}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			p := &printer{lines: &lineWriter{out: &out}}
			if r := p.Send(t.Context(), &tt.event, 1); r.Class != target.Delivered {
				t.Fatalf("got %+v, want delivered", r)
			}
			if diff := cmp.Diff(tt.want+"\n", out.String()); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
			var back cloudevents.Event
			if err := back.UnmarshalJSON(out.Bytes()); err != nil {
				t.Errorf("the line does not read back as a CloudEvent: %v", err)
			} else if err := back.Validate(); err != nil {
				t.Errorf("the line is not a valid CloudEvent: %v", err)
			}
		})
	}
}

func TestPrinter_cannotWrite(t *testing.T) {
	p := &printer{lines: &lineWriter{out: brokenWriter{}}}
	r := p.Send(t.Context(), &event.Event{Type: "t", Source: "//s"}, 1)
	if r.Class != target.Retryable || !strings.Contains(r.Detail, "broken") {
		t.Errorf("got %+v, want a retryable result that says why", r)
	}
}

func TestPrinter_nobodyReads(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close() //nolint:errcheck // Nothing was written.
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	var stopped error
	p := &printer{lines: &lineWriter{out: w}, broken: func(err error) { stopped = err }}
	if res := p.Send(t.Context(), &event.Event{Type: "t", Source: "//s"}, 1); res.Class != target.Retryable {
		t.Errorf("got %+v, want a retryable result: the event was not printed", res)
	}
	if !errors.Is(stopped, errNobodyReads) {
		t.Errorf("told to stop by %v, want errNobodyReads", stopped)
	}
}

func TestPrinter_linesDoNotMix(t *testing.T) {
	const lines = 200
	var out bytes.Buffer
	p := &printer{lines: &lineWriter{out: &out}}
	var wg sync.WaitGroup
	for range lines {
		wg.Go(func() {
			p.Send(t.Context(), &event.Event{Type: "t", Source: "//s", ContentType: event.ContentTypeJSON, Body: []byte(`{"a":1}`)}, 1)
		})
	}
	wg.Wait()
	got := map[string]int{}
	for line := range strings.Lines(out.String()) {
		got[line]++
	}
	if len(got) != 1 || strings.Count(out.String(), "\n") != lines {
		t.Errorf("got %d different lines, %d in all; want %d equal ones", len(got), strings.Count(out.String(), "\n"), lines)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken") }
