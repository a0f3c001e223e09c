package jetstream_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/buffertest"
	"github.com/hookbay/hookbay/receiver/buffer/jetstream"
	"github.com/hookbay/hookbay/receiver/event"
)

// found is a stream that a buffer can use.
func found() natsjs.StreamConfig {
	return natsjs.StreamConfig{
		Name: "mine", Subjects: []string{"hookbay.shop.orders.>"}, Discard: natsjs.DiscardNew, MaxMsgsPerSubject: 1,
		AllowAtomicPublish: true, AllowMsgTTL: true, AllowDirect: true,
	}
}

func TestStream_usedAsFound(t *testing.T) {
	tests := map[string]struct {
		change func(*natsjs.StreamConfig)
		want   string // of Ready; empty: it can be used
	}{
		"as it should be": {func(*natsjs.StreamConfig) {}, ""},
		"more subjects":   {func(c *natsjs.StreamConfig) { c.Subjects = []string{"hookbay.>"} }, ""},
		"other subjects": {
			func(c *natsjs.StreamConfig) { c.Subjects = []string{"hookbay.shop.other.>"} }, "add hookbay.shop.orders.> to its subjects",
		},
		"a work queue": {func(c *natsjs.StreamConfig) { c.Retention = natsjs.WorkQueuePolicy }, "set retention to limits"},
		"discards old": {func(c *natsjs.StreamConfig) { c.Discard = natsjs.DiscardOld }, "set discard to new"},
		"many messages of a subject": {
			func(c *natsjs.StreamConfig) { c.MaxMsgsPerSubject = 5 }, "set max_msgs_per_subject to 1",
		},
		"no batches":     {func(c *natsjs.StreamConfig) { c.AllowAtomicPublish = false }, "set allow_atomic"},
		"no lifetimes":   {func(c *natsjs.StreamConfig) { c.AllowMsgTTL = false }, "set allow_msg_ttl"},
		"a short life":   {func(c *natsjs.StreamConfig) { c.MaxAge = time.Hour }, "set max_age to 0, or to 24h0m0s at least"},
		"a long life":    {func(c *natsjs.StreamConfig) { c.MaxAge = 48 * time.Hour }, ""},
		"no purge":       {func(c *natsjs.StreamConfig) { c.DenyPurge = true }, "deny_purge"},
		"small messages": {func(c *natsjs.StreamConfig) { c.MaxMsgSize = 4096 }, "set max_msg_size"},
		"large messages": {func(c *natsjs.StreamConfig) { c.MaxMsgSize = 100 << 10 }, ""},
		"markers": {
			func(c *natsjs.StreamConfig) { c.SubjectDeleteMarkerTTL, c.AllowRollup = time.Hour, true }, "set no subject_delete_marker_ttl",
		},
		"writes that are acknowledged before they are stored": {
			func(c *natsjs.StreamConfig) { c.PersistMode, c.AllowAtomicPublish = natsjs.AsyncPersistMode, false }, "persist_mode",
		},
		"another endpoint's": {
			func(c *natsjs.StreamConfig) { c.Metadata = map[string]string{"hookbay.dev/endpoint": "shop/other"} }, "mine is the one that was made for the events of shop/other",
		},
		"none": {nil, "make it"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := natsServer(t, t.TempDir(), -1)
			t.Cleanup(func() { stop(s) })
			js, config := jetStream(t, s), found()
			if tc.change != nil {
				tc.change(&config)
				if _, err := js.CreateStream(t.Context(), config); err != nil {
					t.Fatal(err)
				}
			}
			b := open(t, jetstream.Options{Connect: connect(s.ClientURL()), Stream: "mine", LeaseTime: time.Second})
			q, err := b.Queue(endpoint, buffertest.Settings())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Queue("shop/other", buffertest.Settings()); err == nil {
				t.Error("a second queue in a stream that is used as found: want an error")
			}
			if tc.want == "" {
				if err := b.Ready(); err != nil {
					t.Errorf("Ready: %v", err)
				}
				if got, err := q.Append(t.Context(), []event.Event{numbered("a", 0)}); err != nil || got.Stored != 1 {
					t.Errorf("Append: %+v, %v", got, err)
				}
			} else {
				within(t, "Ready says "+tc.want, func() bool { err := b.Ready(); return err != nil && strings.Contains(err.Error(), tc.want) })
				if _, err := q.Append(t.Context(), []event.Event{numbered("a", 0)}); err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("Append: %v; want an error that says %q", err, tc.want)
				}
				if tc.change == nil {
					return
				}
			}
			stream, err := js.Stream(t.Context(), "mine")
			if err != nil {
				t.Fatal(err)
			}
			if got := stream.CachedInfo().Config; got.Metadata["hookbay.dev/settings"] != "" || got.MaxMsgsPerSubject != config.MaxMsgsPerSubject {
				t.Errorf("the stream was changed: %+v", got)
			}
		})
	}
}

func TestStream_keptAsDeclared(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	js, prefix := jetStream(t, s), newPrefix()
	declare := func(o jetstream.Options) (*jetstream.Buffer, natsjs.StreamConfig) {
		t.Helper()
		o.Connect, o.Prefix = connect(s.ClientURL()), prefix
		b := open(t, o)
		if _, err := b.Queue(endpoint, buffertest.Settings()); err != nil {
			t.Fatal(err)
		}
		stream, err := js.Stream(t.Context(), prefix+"_shop_orders")
		if err != nil {
			t.Fatal(err)
		}
		return b, stream.CachedInfo().Config
	}
	b, c := declare(jetstream.Options{MaxBytes: 1 << 20})
	if c.MaxBytes != 1<<20 || c.Discard != natsjs.DiscardNew || c.Storage != natsjs.FileStorage || c.Replicas != 1 {
		t.Errorf("made: %+v", c)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b, c = declare(jetstream.Options{MaxBytes: 2 << 20, MaxAge: time.Hour})
	if c.MaxBytes != 2<<20 || c.MaxAge != time.Hour {
		t.Errorf("changed: %+v", c)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for field, o := range map[string]jetstream.Options{"storage": {Storage: jetstream.Memory}, "replicas": {Replicas: 3}} {
		b, _ = declare(o)
		if err := b.Complaint(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("a change that is not possible: the complaint is %v, want something about %s", err, field)
		}
		if err := b.Ready(); err != nil {
			t.Errorf("a change that is not possible: Ready says %v, want nothing: events can be stored", err)
		}
		q, err := b.Queue(endpoint, buffertest.Settings())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Append(t.Context(), []event.Event{numbered(field, 0)}); err != nil {
			t.Errorf("Append all the same: %v", err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpen_refuses(t *testing.T) {
	tests := map[string]struct {
		o    jetstream.Options
		want string
	}{
		"no connection":     {jetstream.Options{}, "connect"},
		"many replicas":     {jetstream.Options{Connect: connect(""), Replicas: 6}, "replicas"},
		"some storage":      {jetstream.Options{Connect: connect(""), Storage: "Tape"}, "storage"},
		"negative maxBytes": {jetstream.Options{Connect: connect(""), MaxBytes: -1}, "maxBytes"},
		"negative maxAge":   {jetstream.Options{Connect: connect(""), MaxAge: -1}, "maxAge"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := jetstream.Open(tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Open: %v, want an error about %s", err, tc.want)
			}
		})
	}
}

// A stream that somebody removes and makes again is another one: nothing of the former is taken for its.
func TestStream_madeAgain(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	said := &said{}
	o := jetstream.Options{Prefix: newPrefix(), LeaseTime: time.Second, Log: slog.New(slog.NewTextHandler(said, nil))}
	r := join(t, s, o)
	r.append(t, numbered("a", 0), numbered("a", 1))
	d := r.next(t)
	if err := jetStream(t, s).DeleteStream(t.Context(), o.Prefix+"_shop_orders"); err != nil {
		t.Fatal(err)
	}
	if err := r.queue.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered}); !errors.Is(err, buffer.ErrLeaseLost) {
		t.Errorf("Settle of an event whose stream is gone: %v, want ErrLeaseLost", err)
	}
	within(t, "an event is stored again", func() bool {
		got, err := r.queue.Append(t.Context(), []event.Event{numbered("a", 2)})
		return err == nil && got.Stored+got.Duplicates == 1
	})
	if d := r.next(t); string(d.Event.Body) != "2" {
		t.Errorf("event %s is handed out, want 2", d.Event.Body)
	}
	if !said.has("Stream was deleted") {
		t.Error("nothing is said of the stream that somebody has deleted")
	}
}

// What a server leaves in the place of messages that have ended is no event, cursor or receiver.
func TestStream_withMarkers(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	js, config := jetStream(t, s), found()
	config.SubjectDeleteMarkerTTL, config.AllowRollup = time.Hour, true
	stream, err := js.CreateStream(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	subjects := []string{"e.5.AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAA", "c.5", "h.5.0AAAAAAAAAAA", "d.5.1", "m.0123456789abcdef"}
	for _, subject := range subjects {
		if _, err := js.Publish(t.Context(), "hookbay.shop.orders."+subject, []byte("x"), natsjs.WithMsgTTL(time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	for _, subject := range subjects {
		within(t, "a marker is in the place of "+subject, func() bool {
			m, err := stream.GetLastMsgForSubject(t.Context(), "hookbay.shop.orders."+subject)
			return err == nil && m.Header.Get(natsjs.MarkerReasonHeader) != ""
		})
	}
	config.SubjectDeleteMarkerTTL = 0
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	r := join(t, s, jetstream.Options{Stream: "mine"})
	within(t, "it has all partitions", func() bool { return r.Owned(endpoint) == jetstream.Partitions })
	for i := range 20 {
		r.append(t, numbered(fmt.Sprint(i), 0))
	}
	for range 20 {
		r.delivered(t, r.next(t))
	}
	within(t, "nothing is pending", func() bool { return r.queue.Stats().Pending == 0 })
	if st := r.queue.Stats(); st.Dead != 0 {
		t.Errorf("stats: %+v, want no dead letters", st)
	}
	if err := r.Sweep(); err != nil {
		t.Error(err)
	}
}
