package target

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
)

// natsServer runs until the test ends, with JetStream.
func natsServer(t testing.TB, change func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir()}
	if change != nil {
		change(o)
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(time.Duration(longEnough)) {
		t.Fatal("the server does not start")
	}
	return s
}

func natsURL(s *server.Server) string {
	return "nats://127.0.0.1:" + strconv.Itoa(s.Addr().(*net.TCPAddr).Port)
}

// stream makes the stream EVENTS of all below "events".
func stream(t testing.TB, s *server.Server, change func(*jetstream.StreamConfig)) jetstream.Stream {
	t.Helper()
	conn, err := nats.Connect(natsURL(s), nats.UserInfo("admin", "admin"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	c := jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events.>"}}
	if change != nil {
		change(&c)
	}
	made, err := js.CreateStream(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// newJetStream returns a target for "events.{type}.{subject}"; change may alter what it is made from.
func newJetStream(t testing.TB, url string, change func(c *config.Target, s config.Secrets, o *BrokerOptions)) *JetStream {
	t.Helper()
	c := config.Target{Type: config.TargetJetStream, Timeout: longEnough, JetStream: &config.JetStreamTarget{
		NATS: config.NATS{URLs: []string{url}}, Subject: "events.{type}.{subject}",
	}}
	s := config.Secrets{}
	o := BrokerOptions{Common: Common{Receiver: "lazada-im-0", Log: slog.New(slog.DiscardHandler)}}
	if change != nil {
		change(&c, s, &o)
	}
	j, err := NewJetStream(c, s, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j
}

func TestJetStream_binary(t *testing.T) {
	s := natsServer(t, nil)
	events := stream(t, s, nil)
	j := newJetStream(t, natsURL(s), nil)
	e := sampleEvent()
	e.Subject = "买家 1"
	e.Extensions = append(e.Extensions, event.Extension{Name: "empty"}, event.Extension{Name: "Not-Fit", Value: "x"})
	delivered(t, j.Send(t.Context(), e, 3))

	m, err := events.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if want := "events.com.lazada.push.2.%E4%B9%B0%E5%AE%B6%201"; m.Subject != want || string(m.Data) != string(e.Body) {
		t.Errorf("subject %q and body %q, want %q and the event's", m.Subject, m.Data, want)
	}
	id := e.ID.String()
	want := nats.Header{
		"ce-specversion": {"1.0"}, "ce-id": {id}, "ce-type": {e.Type}, "ce-source": {e.Source}, "ce-subject": {"%E4%B9%B0%E5%AE%B6%201"},
		"ce-partitionkey": {"%E4%B9%B0%E5%AE%B6%201"}, "ce-time": {"2026-03-03T21:06:07.890000000Z"}, "ce-hookbayendpoint": {"shop/lazada-im"},
		"ce-sellerid": {"20240305"}, "ce-site": {"lazada_vn"}, "ce-datacontenttype": {"application/json"},
		"Hookbay-Attempt": {"3"}, "Hookbay-Receiver": {"lazada-im-0"}, "Nats-Msg-Id": {"shop/lazada-im/" + id},
	}
	if diff := cmp.Diff(want, m.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

func TestJetStream_structured(t *testing.T) {
	s := natsServer(t, nil)
	events := stream(t, s, nil)
	j := newJetStream(t, natsURL(s), func(c *config.Target, _ config.Secrets, _ *BrokerOptions) {
		c.JetStream.ContentMode, c.JetStream.Subject = config.ContentStructured, "events.all"
	})
	e := sampleEvent()
	delivered(t, j.Send(t.Context(), e, 1))
	m, err := events.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Structured(e)
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject != "events.all" || string(m.Data) != string(want) {
		t.Errorf("subject %q and body %s, want events.all and %s", m.Subject, m.Data, want)
	}
	wantHeader := nats.Header{
		"content-type": {"application/cloudevents+json"}, "Hookbay-Attempt": {"1"}, "Hookbay-Receiver": {"lazada-im-0"},
		"Nats-Msg-Id": {"shop/lazada-im/" + e.ID.String()},
	}
	if diff := cmp.Diff(wantHeader, m.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	e.Source = "%zz"
	if r := j.Send(t.Context(), e, 1); r.Class != Rejected || r.Outcome != OutcomeInvalid {
		t.Errorf("got %+v for a source that is no URI, want it rejected", r)
	}
}

// The stream drops repeats, but not events of two endpoints that have the same id.
func TestJetStream_repeats(t *testing.T) {
	s := natsServer(t, nil)
	events := stream(t, s, nil)
	j := newJetStream(t, natsURL(s), nil)
	e := sampleEvent()
	delivered(t, j.Send(t.Context(), e, 1))
	again := j.Send(t.Context(), e, 2)
	delivered(t, again)
	if !strings.Contains(again.Detail, "had it already") {
		t.Errorf("the detail of a repeat is %q", again.Detail)
	}
	e.Endpoint = "shop/other"
	delivered(t, j.Send(t.Context(), e, 1))
	info, err := events.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.State.Msgs != 2 {
		t.Errorf("the stream has %d messages, want 2", info.State.Msgs)
	}
}

func TestSubject(t *testing.T) {
	tests := map[string]struct {
		template string
		change   func(*event.Event)
		want     string
	}{
		"no template":          {template: "events.all", want: "events.all"},
		"every field":          {template: "e.{namespace}.{name}.{type}.{source}.{subject}", want: "e.shop.lazada-im.com.lazada.push.2.//open%2Elazada%2Ecom/apps/100132.session-1"},
		"an id":                {template: "e.id-{id}-x", change: func(e *event.Event) { e.ID = event.ID{0xab} }, want: "e.id-ab" + strings.Repeat("00", 15) + "-x"},
		"no subject":           {template: "e.{subject}", change: func(e *event.Event) { e.Subject = "" }, want: "e._"},
		"the word for none":    {template: "e.{subject}", change: func(e *event.Event) { e.Subject = "_" }, want: "e.%5F"},
		"wildcards and dots":   {template: "e.{subject}", change: func(e *event.Event) { e.Subject = "*.>%$" }, want: "e.%2A%2E%3E%25$"},
		"white space":          {template: "e.{subject}.x", change: func(e *event.Event) { e.Subject = " a\tb\r\n" }, want: "e.%20a%09b%0D%0A.x"},
		"dots of a type":       {template: "e.{type}", change: func(e *event.Event) { e.Type = ".a..b.*" }, want: "e._.a._.b.%2A"},
		"characters of any":    {template: "e.{subject}", change: func(e *event.Event) { e.Subject = "é\x7f" }, want: "e.%C3%A9%7F"},
		"braces in a value":    {template: "e.{subject}", change: func(e *event.Event) { e.Subject = "{type}" }, want: "e.{type}"},
		"a dotted endpoint":    {template: "e.{name}", change: func(e *event.Event) { e.Endpoint = "shop/a.b" }, want: "e.a%2Eb"},
		"two fields in a word": {template: "e.{name}-{subject}", want: "e.lazada-im-session-1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := sampleEvent()
			if tt.change != nil {
				tt.change(e)
			}
			if got := newSubject(tt.template).of(e); got != tt.want {
				t.Errorf("subject is %q, want %q", got, tt.want)
			}
		})
	}
}

func TestJetStream_failures(t *testing.T) {
	secured := func(o *server.Options) {
		o.Users = []*server.User{{Username: "admin", Password: "admin"}, {Username: "shop", Password: "hunter2", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"events.>"}},
		}}}
	}
	as := func(user, password string) func(c *config.Target, s config.Secrets) {
		return func(c *config.Target, s config.Secrets) {
			c.JetStream.UserFile, c.JetStream.PasswordFile, c.Timeout = "user", "password", config.Duration(3*time.Second)
			s["user"], s["password"] = user, password
		}
	}
	tests := map[string]struct {
		options func(*server.Options)
		stream  func(*jetstream.StreamConfig)
		change  func(c *config.Target, s config.Secrets)
		event   func(*event.Event)
		want    Result
	}{
		"no stream": {stream: func(c *jetstream.StreamConfig) { c.Subjects = []string{"other"} },
			want: Result{Outcome: OutcomeNoTopic, Detail: "no stream takes subject events.com.lazada.push.2.session-1 now: create one"}},
		"a full stream": {stream: func(c *jetstream.StreamConfig) { c.Discard, c.MaxBytes = jetstream.DiscardNew, 10 },
			want: Result{Outcome: OutcomeUnavailable, Detail: "the stream can't store it: maximum bytes exceeded; make room"}},
		"too large for the stream": {stream: func(c *jetstream.StreamConfig) { c.MaxMsgSize = 10 },
			want: Result{Class: Rejected, Outcome: OutcomeInvalid, Detail: "raise its max_msg_size"}},
		"too large for the server": {options: func(o *server.Options) { o.MaxPayload = 4096 }, event: func(e *event.Event) { e.Body = make([]byte, 4096) },
			want: Result{Class: Rejected, Outcome: OutcomeInvalid, Detail: "raise their max_payload"}},
		"a subject too long": {event: func(e *event.Event) { e.Subject = strings.Repeat("é", 400) },
			want: Result{Class: Rejected, Outcome: OutcomeInvalid, Detail: "would have 2425 bytes, and 2000 is the most: take the longest field out of target.jetStream.subject"}},
		"a sealed stream":  {stream: func(c *jetstream.StreamConfig) { c.Sealed = true }, want: Result{Outcome: OutcomeUnavailable, Detail: "unseal it"}},
		"a wrong password": {options: secured, change: as("shop", "hunter3"), want: Result{Outcome: OutcomeAuth, Detail: "the server refuses the login"}},
		"a denied subject": {options: secured, change: as("shop", "hunter2"), want: Result{Outcome: OutcomeAuth, Detail: "the server denies a subject"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natsServer(t, tt.options)
			makeStream(t, s, tt.stream)
			j := newJetStream(t, natsURL(s), func(c *config.Target, s config.Secrets, _ *BrokerOptions) {
				if tt.change != nil {
					tt.change(c, s)
				}
			})
			e := sampleEvent()
			if tt.event != nil {
				tt.event(e)
			}
			checkFailure(t, j.Send(t.Context(), e, 1), tt.want)
		})
	}
}

// makeStream is stream, of which a sealed one must be there first.
func makeStream(t *testing.T, s *server.Server, change func(*jetstream.StreamConfig)) {
	t.Helper()
	sealed := jetstream.StreamConfig{}
	if change != nil {
		change(&sealed)
	}
	if !sealed.Sealed {
		stream(t, s, change)
		return
	}
	made := stream(t, s, nil)
	c := made.CachedInfo().Config
	c.Sealed = true
	conn, err := nats.Connect(natsURL(s))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err == nil {
		_, err = js.UpdateStream(t.Context(), c)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestJetStream_unreachable(t *testing.T) {
	tests := map[string]struct {
		url    string
		change func(*BrokerOptions)
		want   Result
	}{
		"nobody listens":     {url: "nats://127.0.0.1:1", want: Result{Outcome: OutcomeRefused, Detail: "connection refused: nobody listens"}},
		"no such name":       {url: "nats://nobody.invalid", want: Result{Outcome: OutcomeDNS, Detail: "the address of nobody.invalid"}},
		"an address too far": {url: "nats://169.254.169.254", want: Result{Outcome: OutcomeForbiddenAddress, Detail: "deliveries never go there"}},
		"the machine itself": {url: "nats://127.0.0.1", change: func(o *BrokerOptions) { o.ForbidLoopback = true }, want: Result{Outcome: OutcomeForbiddenAddress, Detail: "a loopback address"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJetStream(t, tt.url, func(_ *config.Target, _ config.Secrets, o *BrokerOptions) {
				if tt.change != nil {
					tt.change(o)
				}
			})
			checkFailure(t, j.Send(t.Context(), sampleEvent(), 1), tt.want)
		})
	}
}

func TestJetStream_cancelled(t *testing.T) {
	j := newJetStream(t, "nats://127.0.0.1:1", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	checkFailure(t, j.Send(ctx, sampleEvent(), 1), Result{Outcome: OutcomeCancelled, Detail: "the receiver stopped"})
}

// An attempt whose time ends without an answer says so, and the servers' silence is bounded by it.
func TestJetStream_noAnswer(t *testing.T) {
	s := natsServer(t, nil)
	conn, err := nats.Connect(natsURL(s))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Subscribe("events.>", func(*nats.Msg) {}); err != nil { // who listens and never answers is no stream
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	j := newJetStream(t, natsURL(s), func(c *config.Target, _ config.Secrets, _ *BrokerOptions) {
		c.Timeout = config.Duration(300 * time.Millisecond)
	})
	checkFailure(t, j.Send(t.Context(), sampleEvent(), 1), Result{Outcome: OutcomeTimeout, Detail: "no acknowledgement within 300ms"})
}

// The message is stored before Send returns, whoever sends at the same time.
func TestJetStream_concurrent(t *testing.T) {
	s := natsServer(t, nil)
	events := stream(t, s, nil)
	j := newJetStream(t, natsURL(s), nil)
	const n = 50
	done := make(chan error)
	for i := range n {
		go func() {
			e := sampleEvent()
			e.ID, e.Subject = event.NewID(fmt.Sprint(i)), fmt.Sprint("s", i)
			if r := j.Send(t.Context(), e, 1); r.Class != Delivered {
				done <- errors.New(r.Detail)
				return
			}
			_, err := events.GetLastMsgForSubject(t.Context(), "events."+e.Type+"."+e.Subject)
			done <- err
		}()
	}
	for range n {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
