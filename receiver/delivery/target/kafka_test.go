package target

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
)

// longEnough bounds attempts that end by themselves when the code is right.
const longEnough = config.Duration(30 * time.Second)

// brokers run until the test ends, with a topic "events" of four partitions.
func brokers(t testing.TB, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3), kfake.SeedTopics(4, "events")}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// newKafka returns a target for the topic "events"; change may alter what it is made from.
func newKafka(t testing.TB, addrs []string, change func(c *config.Target, s config.Secrets, o *BrokerOptions)) *Kafka {
	t.Helper()
	c := config.Target{Type: config.TargetKafka, Timeout: longEnough, Kafka: &config.KafkaTarget{Brokers: addrs, Topic: "events"}}
	s := config.Secrets{}
	o := BrokerOptions{Common: Common{Receiver: "lazada-im-0"}}
	if change != nil {
		change(&c, s, &o)
	}
	k, err := NewKafka(c, s, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// readTopic reads as many records as there must be.
func readTopic(t *testing.T, c *kfake.Cluster, want int) []*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics("events"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(longEnough))
	defer cancel()
	var all []*kgo.Record
	for len(all) < want {
		fetched := client.PollFetches(ctx)
		if err := fetched.Err(); err != nil {
			t.Fatalf("read the topic: %v, after %d of %d records", err, len(all), want)
		}
		all = append(all, fetched.Records()...)
	}
	return all
}

// fields are a record's headers, each of which must be there once.
func fields(t *testing.T, r *kgo.Record) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, h := range r.Headers {
		if _, twice := all[h.Key]; twice {
			t.Errorf("header %s is there twice", h.Key)
		}
		all[h.Key] = string(h.Value)
	}
	return all
}

func delivered(t *testing.T, r Result) {
	t.Helper()
	if r.Class != Delivered || r.Outcome != OutcomeStored {
		t.Fatalf("got %+v, want delivered and stored", r)
	}
}

func TestKafka_binary(t *testing.T) {
	c := brokers(t)
	k := newKafka(t, c.ListenAddrs(), nil)
	e := sampleEvent()
	e.Subject = "买家 1"
	e.Extensions = append(e.Extensions, event.Extension{Name: "empty"}, event.Extension{Name: "Not-Fit", Value: "x"})
	delivered(t, k.Send(t.Context(), e, 3))

	r := readTopic(t, c, 1)[0]
	if string(r.Key) != e.Subject || string(r.Value) != string(e.Body) {
		t.Errorf("key %q and value %q, want the subject and the body", r.Key, r.Value)
	}
	want := map[string]string{
		"ce_specversion": "1.0", "ce_id": e.ID.String(), "ce_type": e.Type, "ce_source": e.Source, "ce_subject": e.Subject, "ce_partitionkey": e.Subject,
		"ce_time": "2026-03-03T21:06:07.890000000Z", "ce_hookbayendpoint": "shop/lazada-im", "ce_sellerid": "20240305", "ce_site": "lazada_vn",
		"content-type": "application/json", "Hookbay-Attempt": "3", "Hookbay-Receiver": "lazada-im-0",
	}
	if diff := cmp.Diff(want, fields(t, r)); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

func TestKafka_structured(t *testing.T) {
	c := brokers(t)
	k := newKafka(t, c.ListenAddrs(), func(c *config.Target, _ config.Secrets, _ *BrokerOptions) {
		c.Kafka.ContentMode = config.ContentStructured
	})
	e := sampleEvent()
	delivered(t, k.Send(t.Context(), e, 1))

	r := readTopic(t, c, 1)[0]
	want, err := Structured(e)
	if err != nil {
		t.Fatal(err)
	}
	if string(r.Key) != e.Subject || string(r.Value) != string(want) {
		t.Errorf("key %q and value %q, want the subject and %s", r.Key, r.Value, want)
	}
	wantFields := map[string]string{
		"content-type": "application/cloudevents+json; charset=UTF-8", "Hookbay-Attempt": "1", "Hookbay-Receiver": "lazada-im-0",
	}
	if diff := cmp.Diff(wantFields, fields(t, r)); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}

	e.Source = "%zz"
	if r := k.Send(t.Context(), e, 1); r.Class != Rejected || r.Outcome != OutcomeInvalid {
		t.Errorf("got %+v for a source that is no URI, want it rejected", r)
	}
}

// Events of one subject are in one partition, in order, and those of many are spread.
func TestKafka_ordersSubjects(t *testing.T) {
	c := brokers(t)
	k := newKafka(t, c.ListenAddrs(), nil)
	const subjects, each = 20, 5
	done := make(chan Result)
	for s := range subjects {
		go func() {
			var last Result
			for n := range each {
				e := sampleEvent()
				e.Subject, e.Body = fmt.Sprint("subject ", s), []byte(fmt.Sprint(n))
				if last = k.Send(t.Context(), e, 1); last.Class != Delivered {
					break
				}
			}
			done <- last
		}()
	}
	for range subjects {
		delivered(t, <-done)
	}
	partition, next := map[string]int32{}, map[string]int{}
	used := map[int32]bool{}
	for _, r := range readTopic(t, c, subjects*each) {
		key := string(r.Key)
		if before, known := partition[key]; known && before != r.Partition {
			t.Errorf("%s is in partitions %d and %d", key, before, r.Partition)
		}
		if want := fmt.Sprint(next[key]); string(r.Value) != want {
			t.Errorf("%s has %s where %s must be", key, r.Value, want)
		}
		partition[key], used[r.Partition] = r.Partition, true
		next[key]++
	}
	if len(used) < 2 {
		t.Errorf("all subjects are in %d partition", len(used))
	}
}

func TestKafka_withoutSubject(t *testing.T) {
	c := brokers(t)
	k := newKafka(t, c.ListenAddrs(), nil)
	e := sampleEvent()
	e.Subject, e.Time, e.ContentType = "", time.Time{}, ""
	delivered(t, k.Send(t.Context(), e, 1))
	r := readTopic(t, c, 1)[0]
	if r.Key != nil {
		t.Errorf("the key is %q, want none", r.Key)
	}
	for _, name := range []string{"ce_subject", "ce_partitionkey", "ce_time", "content-type"} {
		if value, there := fields(t, r)[name]; there {
			t.Errorf("header %s is %q, want none", name, value)
		}
	}
}

func TestKafka_logsIn(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.issue(t, "a client")
	server := serverTLS(t, ca)
	tests := map[string]struct {
		options []kfake.Opt
		change  func(k *config.KafkaTarget, s config.Secrets)
	}{
		"PLAIN":                  {[]kfake.Opt{kfake.EnableSASL(), kfake.Superuser("PLAIN", "shop", "hunter2")}, login(config.SASLPlain)},
		"SCRAM-SHA-256":          {[]kfake.Opt{kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "shop", "hunter2")}, login(config.SASLScramSHA256)},
		"SCRAM-SHA-512":          {[]kfake.Opt{kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "shop", "hunter2")}, login(config.SASLScramSHA512)},
		"TLS":                    {[]kfake.Opt{kfake.TLS(server)}, trust(ca.pem, "", "")},
		"TLS with a certificate": {[]kfake.Opt{kfake.TLS(mutual(server, ca))}, trust(ca.pem, cert, key)},
		"both": {[]kfake.Opt{kfake.TLS(server), kfake.EnableSASL(), kfake.Superuser("PLAIN", "shop", "hunter2")}, func(k *config.KafkaTarget, s config.Secrets) {
			login(config.SASLPlain)(k, s)
			trust(ca.pem, "", "")(k, s)
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := brokers(t, tt.options...)
			k := newKafka(t, c.ListenAddrs(), func(c *config.Target, s config.Secrets, _ *BrokerOptions) { tt.change(c.Kafka, s) })
			delivered(t, k.Send(t.Context(), sampleEvent(), 1))
		})
	}
}

func login(mechanism string) func(*config.KafkaTarget, config.Secrets) {
	return func(k *config.KafkaTarget, s config.Secrets) {
		k.SASL = &config.KafkaSASL{Mechanism: mechanism, UserFile: "user", PasswordFile: "password"}
		s["user"], s["password"] = "shop", "hunter2"
	}
}

func trust(ca, cert, key string) func(*config.KafkaTarget, config.Secrets) {
	return func(k *config.KafkaTarget, s config.Secrets) {
		k.TLS = &config.TLS{}
		if s["ca"] = ca; ca != "" {
			k.TLS.CABundleFile = "ca"
		}
		if s["cert"], s["key"] = cert, key; cert != "" {
			k.TLS.CertificateFile, k.TLS.KeyFile = "cert", "key"
		}
	}
}

func mutual(c *tls.Config, clients *authority) *tls.Config {
	c = c.Clone()
	c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, clients.pool()
	return c
}

// What is wrong with the brokers, or with what is configured of them, is told in words, and bounded by the attempt's time.
func TestKafka_failures(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	withTLS := kfake.TLS(serverTLS(t, ca))
	sasl := kfake.EnableSASL()
	fault := func(err *kerr.Error) func(*kfake.Cluster) {
		return func(c *kfake.Cluster) { c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: err, Count: -1}) }
	}
	tests := map[string]struct {
		options []kfake.Opt
		prepare func(*kfake.Cluster)
		change  func(k *config.KafkaTarget, s config.Secrets)
		event   func(*event.Event)
		want    Result // the detail is a part of it
	}{
		"no such topic": {prepare: func(c *kfake.Cluster) { _ = c.DeleteTopic("events") }, want: Result{Outcome: OutcomeNoTopic, Detail: "there is no topic events: create it"}},
		"too large for the topic": {event: func(e *event.Event) { e.Body = incompressible(1_048_576) },
			want: Result{Class: Rejected, Outcome: OutcomeInvalid, Detail: "larger than topic events takes: raise its max.message.bytes"}},
		"invalid":          {prepare: fault(kerr.InvalidRecord), want: Result{Class: Rejected, Outcome: OutcomeInvalid, Detail: "invalid for topic events"}},
		"not allowed":      {prepare: fault(kerr.TopicAuthorizationFailed), want: Result{Outcome: OutcomeAuth, Detail: "may not write to topic events"}},
		"too few replicas": {prepare: fault(kerr.NotEnoughReplicas), want: Result{Outcome: OutcomeUnavailable, Detail: "min.insync.replicas"}},
		"a full disk":      {prepare: fault(kerr.KafkaStorageError), want: Result{Outcome: OutcomeUnavailable, Detail: "is it full?"}},
		"an odd refusal":   {prepare: fault(kerr.UnknownServerError), want: Result{Outcome: OutcomeUnavailable, Detail: "the brokers refuse it for now: UNKNOWN_SERVER_ERROR"}},
		"a wrong password": {options: []kfake.Opt{sasl, kfake.Superuser("PLAIN", "shop", "x")}, change: login(config.SASLPlain), want: Result{Outcome: OutcomeAuth, Detail: "user and password of target.kafka.sasl"}},
		"a wrong SCRAM password": {options: []kfake.Opt{sasl, kfake.Superuser("SCRAM-SHA-256", "shop", "x")}, change: login(config.SASLScramSHA256),
			want: Result{Outcome: OutcomeAuth, Detail: "user and password of target.kafka.sasl"}},
		"another mechanism":       {options: []kfake.Opt{sasl, kfake.Superuser("PLAIN", "shop", "x")}, change: login(config.SASLScramSHA512), want: Result{Outcome: OutcomeAuth, Detail: "user and password of target.kafka.sasl"}},
		"another CA":              {options: []kfake.Opt{withTLS}, change: trust(other.pem, "", ""), want: Result{Outcome: OutcomeTLS, Detail: "name its CA in target.kafka.tls.caBundleRef"}},
		"TLS where there is none": {change: trust(ca.pem, "", ""), want: Result{Outcome: OutcomeTLS, Detail: "speak TLS at this port"}},
		"no TLS where there is":   {options: []kfake.Opt{withTLS}, want: Result{Outcome: OutcomeReset, Detail: "does it want TLS"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // some take all of their time
			c := brokers(t, tt.options...)
			if tt.prepare != nil {
				tt.prepare(c)
			}
			k := newKafka(t, c.ListenAddrs(), func(c *config.Target, s config.Secrets, _ *BrokerOptions) {
				if tt.change != nil {
					c.Timeout = config.Duration(8 * time.Second) // more than one connection takes that fails; the producer goes on trying
					tt.change(c.Kafka, s)
				}
			})
			e := sampleEvent()
			if tt.event != nil {
				tt.event(e)
			}
			checkFailure(t, k.Send(t.Context(), e, 1), tt.want)
		})
	}
}

// checkFailure compares a result with one whose class, if it is zero, is Retryable, and whose detail is a part.
func checkFailure(t *testing.T, got, want Result) {
	t.Helper()
	if want.Class == 0 {
		want.Class = Retryable
	}
	if got.Class != want.Class || got.Outcome != want.Outcome || !strings.Contains(got.Detail, want.Detail) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if strings.Contains(got.Detail, "hunter2") {
		t.Errorf("the detail has a secret: %s", got.Detail)
	}
}

// incompressible is text that no codec makes smaller than its size in bytes minus a quarter, and is larger than that.
func incompressible(size int) []byte {
	b := make([]byte, 0, size*2)
	for i := uint64(1); len(b) < size*3/2; i++ {
		b = fmt.Appendf(b, "%x", i*0x9E3779B97F4A7C15)
	}
	return b
}

func TestKafka_unreachable(t *testing.T) {
	mute := silent(t)
	tests := map[string]struct {
		broker string
		change func(*BrokerOptions)
		want   Result
	}{
		"nobody listens":     {broker: "127.0.0.1:1", want: Result{Outcome: OutcomeRefused, Detail: "connection refused"}},
		"no such name":       {broker: "nobody.invalid:9092", want: Result{Outcome: OutcomeDNS, Detail: "nobody.invalid"}},
		"a silent broker":    {broker: mute, want: Result{Outcome: OutcomeTimeout, Detail: "no acknowledgement within 2s"}},
		"an address too far": {broker: "169.254.169.254:9092", want: Result{Outcome: OutcomeForbiddenAddress, Detail: "deliveries never go there"}},
		"the machine itself": {broker: "127.0.0.1:9092", change: func(o *BrokerOptions) { o.ForbidLoopback = true }, want: Result{Outcome: OutcomeForbiddenAddress, Detail: "a loopback address"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKafka(t, []string{tt.broker}, func(c *config.Target, _ config.Secrets, o *BrokerOptions) {
				c.Timeout = config.Duration(2 * time.Second)
				if tt.change != nil {
					tt.change(o)
				}
			})
			checkFailure(t, k.Send(t.Context(), sampleEvent(), 1), tt.want)
		})
	}
}

func TestKafka_cancelled(t *testing.T) {
	k := newKafka(t, []string{"127.0.0.1:1"}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	checkFailure(t, k.Send(ctx, sampleEvent(), 1), Result{Outcome: OutcomeCancelled, Detail: "the receiver stopped"})
}

// The brokers' own limit counts, and not the producer's, which is lower; and a batch that is too large rejects none of its records.
func TestKafka_largeRecords(t *testing.T) {
	c := brokers(t, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "3000000"}))
	k := newKafka(t, c.ListenAddrs(), nil)
	e := sampleEvent()
	e.Body = incompressible(1_048_576)
	delivered(t, k.Send(t.Context(), e, 1))
	delivered(t, k.Send(t.Context(), e, 2))
	for _, r := range readTopic(t, c, 2) {
		if len(r.Value) != len(e.Body) {
			t.Errorf("the record has %d bytes, want %d", len(r.Value), len(e.Body))
		}
	}
}

func TestKafka_batchTooLarge(t *testing.T) {
	c := brokers(t, kfake.SeedTopics(1, "events"), kfake.BrokerConfigs(map[string]string{"message.max.bytes": "30000"}))
	k := newKafka(t, c.ListenAddrs(), nil)
	const n = 16 // of 12,000 bytes each
	done := make(chan Result)
	for range n {
		go func() {
			e := sampleEvent()
			e.Body = incompressible(8_000)
			done <- k.Send(t.Context(), e, 1)
		}()
	}
	for range n {
		delivered(t, <-done)
	}
	if got := len(readTopic(t, c, n)); got != n {
		t.Errorf("%d records are stored, want %d", got, n)
	}
}

// A record whose attempt is over is not stored later.
func TestKafka_takesRecordsBack(t *testing.T) {
	c := brokers(t, kfake.SeedTopics(1, "events"))
	k := newKafka(t, c.ListenAddrs(), func(c *config.Target, _ config.Secrets, _ *BrokerOptions) {
		c.Timeout = config.Duration(500 * time.Millisecond)
	})
	warm := sampleEvent()
	warm.Body = []byte("first")
	delivered(t, k.Send(t.Context(), warm, 1))

	away := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.LeaderNotAvailable, Count: -1})
	lost := sampleEvent()
	lost.Body = []byte("lost")
	if r := k.Send(t.Context(), lost, 1); r.Class != Retryable {
		t.Fatalf("got %+v, want retryable", r)
	}
	away.Remove()
	last := sampleEvent()
	last.Body = []byte("last")
	for r := k.Send(t.Context(), last, 1); r.Class != Delivered; r = k.Send(t.Context(), last, 1) {
		if t.Context().Err() != nil {
			t.Fatalf("got %+v", r)
		}
	}
	records := readTopic(t, c, 2)
	for _, r := range records {
		if string(r.Value) == "lost" {
			t.Error("a record is stored whose attempt had failed before")
		}
	}
}

// An attempt that a platform waits for, of an endpoint without a buffer, has a quarter of a second to learn that there is no topic.
func TestKafka_noTopicIsLearntSoon(t *testing.T) {
	c := brokers(t)
	if err := c.DeleteTopic("events"); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	c.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		asked.Add(1)
		return nil, nil, false // it answers as ever
	})
	if r := newKafka(t, c.ListenAddrs(), nil).Send(t.Context(), sampleEvent(), 1); r.Outcome != OutcomeNoTopic {
		t.Fatalf("got %+v, want it to say that there is no topic", r)
	}
	if n := asked.Load(); n > topicTries+1 {
		t.Errorf("the brokers were asked %d times for the topic, want %d", n, topicTries+1)
	}
}
