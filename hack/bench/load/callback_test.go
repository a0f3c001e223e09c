package load

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
	"github.com/hookbay/hookbay/receiver/sources"
)

// TestCallback: what is sent is what the receiver's own code takes for signed callbacks, each another event, of the size that was asked for.
func TestCallback(t *testing.T) {
	for _, typ := range []string{config.SourceLazada, config.SourceTencentIM} {
		for _, size := range []int{300, 1 << 10, 64 << 10} {
			t.Run(fmt.Sprint(typ, " ", size), func(t *testing.T) {
				c, err := NewCallback(typ, size)
				if err != nil {
					t.Fatal(err)
				}
				cfg, secrets := Source(typ)
				src, err := sources.New(cfg, secrets)
				if err != nil {
					t.Fatal(err)
				}
				now := time.Now()
				requests := c.copies()
				ids, subjectsSeen := map[event.ID]int{}, map[string]bool{}
				for _, n := range []int{0, 1, 2, subjects - 1, 123_456, subjects, subjects + 1, 4_999_999} {
					raw, err := requests.next(n, now)
					if err != nil {
						t.Fatal(err)
					}
					events := taken(t, src, raw, Path(typ), size, now)
					if len(events) != 1 {
						t.Fatalf("callback %d has %d events, want 1", n, len(events))
					}
					if other, ok := ids[events[0].ID]; ok {
						t.Errorf("callbacks %d and %d are the same event", other, n)
					}
					ids[events[0].ID] = n
					subjectsSeen[events[0].Subject] = true
				}
				if len(subjectsSeen) != 5 { // the last three repeat some
					t.Errorf("the callbacks have %d subjects, want 5", len(subjectsSeen))
				}
			})
		}
	}
}

// taken has a request read, verified and identified by the receiver's code.
func taken(t *testing.T, src source.Source, raw []byte, path string, size int, now time.Time) []event.Event {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || len(body) != size || !json.Valid(body) || r.URL.Path != path {
		t.Fatalf("the request to %s has a body of %d bytes (valid JSON: %t), %v; want %s and %d", r.URL.Path, len(body), json.Valid(body), err, path, size)
	}
	request := &source.Request{Query: r.URL.RawQuery, Header: textproto.MIMEHeader(r.Header), Body: body, Received: now}
	if _, refusal := source.Verify(src, request); refusal != nil {
		t.Fatalf("the signature is refused: %+v", refusal)
	}
	events, refusal := src.Identify(nil, request)
	if refusal != nil {
		t.Fatalf("the body is refused: %+v", refusal)
	}
	return events
}

// TestCallback_later: the platform that signs its time signs it anew.
func TestCallback_later(t *testing.T) {
	c, err := NewCallback(config.SourceTencentIM, 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	cfg, secrets := Source(config.SourceTencentIM)
	src, err := sources.New(cfg, secrets)
	if err != nil {
		t.Fatal(err)
	}
	requests := c.copies()
	for _, now := range []time.Time{time.Now(), time.Now().Add(time.Hour)} {
		raw, err := requests.next(1, now)
		if err != nil {
			t.Fatal(err)
		}
		taken(t, src, raw, Path(config.SourceTencentIM), 1<<10, now)
	}
}

func TestNewCallback_refuses(t *testing.T) {
	for name, test := range map[string]struct {
		source string
		size   int
	}{
		"a source that it does not know":         {"Shopee", 1 << 10},
		"a size that no callback is as small as": {config.SourceLazada, 100},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewCallback(test.source, test.size); err == nil {
				t.Error("there is no error, want one")
			}
		})
	}
}
