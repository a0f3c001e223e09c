package app

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hookbay/hookbay/receiver/config"
)

// realTargets has the endpoints' own targets made.
func realTargets(o *Options) { o.NewTarget = nil }

func toTopic(brokers []string) func(*config.Endpoint) {
	return func(e *config.Endpoint) {
		e.Target = config.Target{Type: config.TargetKafka, Kafka: &config.KafkaTarget{Brokers: brokers, Topic: "events"}}
	}
}

func (s *natsServer) toSubject(e *config.Endpoint) {
	e.Target = config.Target{Type: config.TargetJetStream, JetStream: &config.JetStreamTarget{
		NATS: config.NATS{URLs: []string{s.url()}}, Subject: "events.{type}.{subject}",
	}}
}

// bodies are what the stream EVENTS holds.
func (s *natsServer) events() jetstream.Stream {
	s.t.Helper()
	conn, err := nats.Connect(s.url())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		s.t.Fatal(err)
	}
	stream, err := js.CreateOrUpdateStream(s.t.Context(), jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events.>"}})
	if err != nil {
		s.t.Fatal(err)
	}
	return stream
}

func kafka(t *testing.T) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// records counts what a topic holds.
func records(t *testing.T, c *kfake.Cluster) int {
	t.Helper()
	n := 0
	for _, p := range c.PartitionInfos("events") {
		n += int(p.HighWatermark)
	}
	return n
}

// Without a buffer, what is acknowledged is in the topic: that is the shortest durable path.
func TestBrokers_acknowledgesWhatTheTopicHas(t *testing.T) {
	c := kafka(t)
	f := &fixture{t: t, dir: t.TempDir()}
	f.configure(lazada("a", unbuffered, toTopic(c.ListenAddrs())))
	f.run(realTargets)
	const n = 10
	for i := range n {
		f.mustSend("/shop/a", i, i)
		if got := records(t, c); got < i+1 { // one that was too slow is sent again
			t.Fatalf("%d callbacks are acknowledged, and the topic has %d records", i+1, got)
		}
	}
	away := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: -1})
	f.wantStatus("/shop/a", http.StatusServiceUnavailable, n)
	away.Remove()
	f.eventually("it heals", func() bool { return f.send("/shop/a", "hunter2", n+1, n+1) == http.StatusOK })
	f.wantMetrics(`hookbay_buffer_bytes 0`)
	if !strings.Contains(f.get("/metrics"), `hookbay_delivery_attempts_total{endpoint="shop/a",outcome="stored"}`) {
		t.Error("/metrics does not count what was stored")
	}
	if e := f.configz().Endpoints[0]; e.TargetType != "Kafka" || e.TargetHost != strings.Join(c.ListenAddrs(), ",") {
		t.Errorf("/configz shows the target %s at %s", e.TargetType, e.TargetHost)
	}
}

func TestBrokers_acknowledgesWhatTheStreamHas(t *testing.T) {
	s := newNATS(t).start()
	stream := s.events()
	f := &fixture{t: t, dir: t.TempDir()}
	f.configure(lazada("a", unbuffered, s.toSubject))
	f.run(realTargets)
	stored := func() uint64 {
		info, err := stream.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return info.State.Msgs
	}
	const n = 10
	for i := range n {
		f.mustSend("/shop/a", i, i)
		if got := stored(); got != uint64(i+1) { // also one that was sent again is there once
			t.Fatalf("%d callbacks are acknowledged, and the stream has %d messages", i+1, got)
		}
	}
	s.stop()
	f.wantStatus("/shop/a", http.StatusServiceUnavailable, n)
	s.start()
	f.eventually("it heals", func() bool { return f.send("/shop/a", "hunter2", n, n) == http.StatusOK })
}

// From one stream to another, and to a topic, in the order of each subject.
func TestBrokers_deliversFromAStream(t *testing.T) {
	s, c := newNATS(t).start(), kafka(t)
	stream := s.events()
	f := &fixture{t: t, dir: t.TempDir()}
	f.configure(lazada("a", s.inStream(), s.toSubject), lazada("b", s.inStream(), toTopic(c.ListenAddrs())))
	f.run(realTargets)
	const subjects, each = 4, 5
	for n := range each {
		for subject := range subjects {
			f.mustSend("/shop/a", n, subject)
			f.mustSend("/shop/b", n, subject)
		}
	}
	f.eventually("all is in the topic", func() bool { return records(t, c) >= subjects*each })
	f.eventually("all is in the stream", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Msgs == subjects*each
	})
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics("events"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	bodies := map[string][]string{}
	for read := 0; read < subjects*each; {
		fetched := client.PollFetches(ctx)
		if err := fetched.Err(); err != nil {
			t.Fatal(err)
		}
		for _, r := range fetched.Records() {
			bodies[string(r.Key)] = append(bodies[string(r.Key)], string(r.Value))
			read++
		}
	}
	sim := simulator(t, "hunter2")
	for subject := range subjects {
		var want []string
		for n := range each {
			want = append(want, string(sim.Vary(sim.Samples()[0], n, subject)))
		}
		found := false
		for _, got := range bodies {
			found = found || slices.Equal(got, want)
		}
		if !found {
			t.Errorf("no key has the events of subject %d in their order", subject)
		}
	}
}
