package target

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
)

// kind is a kind of target, and what stands for its other side.
type kind struct {
	// works is a configuration whose other side takes events; away one where nobody listens; silent one where somebody does and never answers.
	works, away, silent config.Target
}

func kinds(t *testing.T) map[string]kind {
	t.Helper()
	web := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	nats := natsServer(t, nil)
	stream(t, nats, nil)
	mute := silent(t)
	kafka := func(brokers ...string) config.Target {
		return config.Target{Type: config.TargetKafka, Kafka: &config.KafkaTarget{Brokers: brokers, Topic: "events"}}
	}
	js := func(url string) config.Target {
		return config.Target{Type: config.TargetJetStream, JetStream: &config.JetStreamTarget{NATS: config.NATS{URLs: []string{url}}, Subject: "events.{id}"}}
	}
	url := func(to string) config.Target { return config.Target{Type: config.TargetHTTP, URL: to} }
	return map[string]kind{
		"HTTP":      {url(web.URL), url("http://127.0.0.1:1/"), url("http://" + mute)},
		"Kafka":     {kafka(brokers(t).ListenAddrs()...), kafka("127.0.0.1:1"), kafka(mute)},
		"JetStream": {js(natsURL(nats)), js("nats://127.0.0.1:1"), js("nats://" + mute)},
	}
}

// silent takes connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // nothing was written
	return l.Addr().String()
}

func (k *kind) target(t *testing.T, c config.Target, timeout time.Duration) Target {
	t.Helper()
	c.Timeout = config.Duration(timeout)
	made, err := New(c, nil, 0, Common{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	return made
}

// TestConformance is what every kind of target promises.
func TestConformance(t *testing.T) {
	for name, k := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			t.Run("delivers what many send at once, and changes nothing of it", func(t *testing.T) { conformSends(t, k.target(t, k.works, time.Minute)) })
			t.Run("says in bounded words that nobody is there", func(t *testing.T) {
				conformFails(t, k.target(t, k.away, 2*time.Second), t.Context())
			})
			t.Run("ends with its time", func(t *testing.T) { conformFails(t, k.target(t, k.silent, 500*time.Millisecond), t.Context()) })
			t.Run("ends with what its caller waits for", func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				conformFails(t, k.target(t, k.silent, time.Hour), ctx)
			})
			t.Run("ends when the receiver stops", func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(50*time.Millisecond, cancel)
				if r := conformFails(t, k.target(t, k.silent, time.Hour), ctx); r.Outcome != OutcomeCancelled {
					t.Errorf("the outcome is %s, want cancelled", r.Outcome)
				}
			})
		})
	}
}

func conformSends(t *testing.T, tg Target) {
	t.Helper()
	const n = 32
	done := make(chan Result, n)
	events := make([]*event.Event, n)
	for i := range n {
		e := sampleEvent()
		e.ID = event.NewID("conformance", string(rune('a'+i)))
		events[i] = e
		go func() { done <- tg.Send(t.Context(), e, 1) }()
	}
	for range n {
		if r := <-done; r.Class != Delivered || !slices.Contains(Outcomes(), r.Outcome) || slices.Contains(Failures(), r.Outcome) {
			t.Errorf("got %+v, want it delivered", r)
		}
	}
	for _, e := range events {
		if want := sampleEvent(); !bytes.Equal(e.Body, want.Body) || e.Subject != want.Subject || len(e.Extensions) != len(want.Extensions) {
			t.Errorf("the event is changed: %+v", e)
		}
	}
}

// conformFails wants an attempt to end, and to be worth another.
func conformFails(t *testing.T, tg Target, ctx context.Context) Result { //nolint:revive // the test is first
	t.Helper()
	done := make(chan Result, 1)
	go func() { done <- tg.Send(ctx, sampleEvent(), 1) }()
	select {
	case r := <-done:
		if r.Class != Retryable || r.Detail == "" || !slices.Contains(append(Failures(), OutcomeCancelled), r.Outcome) {
			t.Errorf("got %+v, want a failure of the target that is tried again", r)
		}
		return r
	case <-time.After(time.Duration(longEnough)):
		t.Fatal("the attempt does not end")
	}
	return Result{}
}
