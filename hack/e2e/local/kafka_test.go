package local

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/hookbay/hookbay/hack/e2e/platform"
	"github.com/hookbay/hookbay/hack/kafka"
	"github.com/hookbay/hookbay/receiver/config"
)

// The login to a broker that wants one.
const (
	kafkaUser     = "hookbay"
	kafkaPassword = "a-password-of-the-tests"
)

// topic is one in a broker.
type topic struct {
	name, addr string
	broker     *kafka.Broker // nil if it is a real one
	login      []kgo.Opt
}

// newTopic makes a topic in the broker that HOOKBAY_TEST_KAFKA names, else in one of the test's own, which wants a login by mechanism unless that is empty.
func newTopic(t *testing.T, mechanism string) *topic {
	t.Helper()
	tp := &topic{name: "hookbay-" + strings.ToLower(rand.Text()), addr: kafka.Real()}
	if mechanism != "" {
		tp.login = []kgo.Opt{kgo.SASL(scram.Auth{User: kafkaUser, Pass: kafkaPassword}.AsSha512Mechanism())}
	}
	if tp.addr == "" {
		b, err := kafka.Start(t.Context(), kafka.Options{Dir: t.TempDir(), Topic: tp.name, Mechanism: mechanism, User: kafkaUser, Password: kafkaPassword})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := b.Kill(); err != nil {
				t.Error(err)
			}
		})
		tp.addr, tp.broker = b.Addr, b
		return tp
	}
	if mechanism != "" {
		t.Skip("HOOKBAY_TEST_KAFKA names a broker without a login")
	}
	t.Logf("against the broker at %s", tp.addr)
	create := kmsg.NewPtrCreateTopicsRequest()
	wanted := kmsg.NewCreateTopicsRequestTopic()
	wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = tp.name, 8, -1
	create.Topics = append(create.Topics, wanted)
	tp.ask(t.Context(), t, create)
	t.Cleanup(func() {
		remove := kmsg.NewPtrDeleteTopicsRequest()
		named := kmsg.NewDeleteTopicsRequestTopic()
		named.Topic = &tp.name
		remove.Topics, remove.TopicNames = append(remove.Topics, named), []string{tp.name}
		tp.ask(context.Background(), t, remove)
	})
	return tp
}

func (tp *topic) ask(ctx context.Context, t *testing.T, request kmsg.Request) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(tp.addr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Request(ctx, request); err != nil {
		t.Fatal(err)
	}
}

// read reads records from the beginning on until done says that there are enough.
func (tp *topic) read(t *testing.T, done func(*kgo.Record) bool) {
	t.Helper()
	c, err := kgo.NewClient(append(tp.login, kgo.SeedBrokers(tp.addr), kgo.ConsumeTopics(tp.name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		fetches := c.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatal("not all records are there")
		}
		for records := fetches.RecordIter(); !records.Done(); {
			if done(records.Next()) {
				return
			}
		}
	}
}

// kafkaTarget is a topic as a target.
func (tp *topic) target(mode, mechanism string) config.Target {
	k := &config.KafkaTarget{Brokers: []string{tp.addr}, Topic: tp.name, ContentMode: mode}
	if mechanism != "" {
		k.SASL = &config.KafkaSASL{Mechanism: mechanism, UserFile: "user", PasswordFile: "password"}
	}
	return config.Target{Type: config.TargetKafka, Timeout: config.Duration(30 * time.Second), Kafka: k}
}

// lazadaEndpoint is the endpoint of the tests.
func lazadaEndpoint(target config.Target) config.Endpoint {
	return config.Endpoint{
		Namespace: "shop", Name: "lazada-im", Path: "/shop/lazada-im", Target: target,
		Source: config.Source{Type: config.SourceLazada, Lazada: &config.Lazada{AppKey: lazadaAppKey, AppSecretFiles: []config.SecretFile{"app-secret"}}},
		Delivery: config.Delivery{Retry: config.Retry{
			InitialInterval: config.Duration(100 * time.Millisecond), MaxInterval: config.Duration(time.Second),
		}},
	}
}

// TestKafka: what is acknowledged is in the topic, as the CloudEvents Kafka binding wants it, with and without a buffer, in both modes, with a login where the broker wants one.
func TestKafka(t *testing.T) {
	for name, tc := range map[string]struct{ buffer, mode, mechanism string }{
		"binary, without a buffer":     {config.BufferNone, config.ContentBinary, ""},
		"structured, without a buffer": {config.BufferNone, config.ContentStructured, ""},
		"binary, from a disk":          {config.BufferDisk, config.ContentBinary, ""},
		"with a login":                 {config.BufferNone, config.ContentBinary, config.SASLScramSHA512},
	} {
		t.Run(name, func(t *testing.T) {
			tp := newTopic(t, tc.mechanism)
			f := newFleet(t, receiverProgram(t), 1, func(string) config.Endpoint {
				e := lazadaEndpoint(tp.target(tc.mode, tc.mechanism))
				e.Buffer.Type = tc.buffer
				return e
			})
			f.start(t)
			const n = 20
			bodies := map[string]string{}
			for i := range n {
				body := platform.LazadaMessage(platform.Message{Conversation: i % 4, N: i, Mark: fmt.Sprint(i)})
				bodies[fmt.Sprint(i)] = string(body)
				acknowledged(t, f, body)
			}
			left := maps.Clone(bodies)
			last := map[string]int{}
			tp.read(t, func(r *kgo.Record) bool {
				mark, got, attributes := readRecord(t, r)
				if got != bodies[mark] {
					t.Errorf("callback %q is in the topic as %q, want %q", mark, got, bodies[mark])
				}
				for attribute, want := range map[string]string{
					"specversion": "1.0", "type": "com.lazada.push.2", "source": "//open.lazada.com/apps/" + lazadaAppKey, "hookbayendpoint": "shop/lazada-im", "partitionkey": string(r.Key),
				} {
					if attributes[attribute] != want {
						t.Errorf("callback %s: %s is %q, want %q", mark, attribute, attributes[attribute], want)
					}
				}
				var i int
				_, _ = fmt.Sscan(mark, &i) // a mark of the test's own
				if before, ok := last[string(r.Key)]; ok && i <= before {
					t.Errorf("callback %d comes after %d of its subject", i, before)
				}
				last[string(r.Key)] = i
				delete(left, mark)
				return len(left) == 0
			})
			if len(last) != 4 {
				t.Errorf("keys %v, want one for each of 4 subjects", last)
			}
			if tc.mechanism == "" {
				tp.readByLibrdkafka(t, n)
			}
		})
	}
}

// readRecord is a callback's mark, its body and the event's attributes.
func readRecord(t *testing.T, r *kgo.Record) (mark, body string, attributes map[string]string) {
	t.Helper()
	attributes = map[string]string{}
	contentType := ""
	for _, h := range r.Headers {
		if attribute, ok := strings.CutPrefix(h.Key, "ce_"); ok {
			attributes[attribute] = string(h.Value)
		}
		if h.Key == "content-type" {
			contentType = string(h.Value)
		}
	}
	value := r.Value
	if strings.HasPrefix(contentType, "application/cloudevents+json") {
		var event map[string]json.RawMessage
		if err := json.Unmarshal(value, &event); err != nil {
			t.Fatalf("structured: %v: %s", err, value)
		}
		for name, text := range event {
			var s string
			if json.Unmarshal(text, &s) == nil {
				attributes[name] = s
			}
		}
		value = event["data"]
	}
	var marked struct{ Mark string }
	if err := json.Unmarshal(value, &marked); err != nil {
		t.Fatalf("%v: %q", err, value)
	}
	return marked.Mark, string(value), attributes
}

// readByLibrdkafka reads the topic once more with another implementation of the protocol, where kcat is installed.
func (tp *topic) readByLibrdkafka(t *testing.T, want int) {
	t.Helper()
	kcat, err := exec.LookPath("kcat")
	if err != nil {
		t.Log("kcat is not installed: not read with librdkafka")
		return
	}
	args := []string{"-b", tp.addr, "-t", tp.name, "-C", "-e", "-q", "-f", "%k %h\n"}
	cmd := exec.CommandContext(t.Context(), kcat, args...)
	var said strings.Builder
	cmd.Stderr = &said
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("kcat: %v\n%s", err, said.String())
	}
	if got := strings.Count(string(output), "\n"); got != want {
		t.Errorf("librdkafka reads %d records, want %d", got, want)
	}
}

// acknowledged sends one callback until it is acknowledged.
func acknowledged(t *testing.T, f *fleet, body []byte) {
	t.Helper()
	waitFor(t, "a callback is acknowledged", func() error {
		status, err := offer(t.Context(), f.pick().listen, body)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("answered %d", status)
		}
		return err
	})
}

// offer sends one callback once.
func offer(ctx context.Context, address string, body []byte) (int, error) {
	r, err := lazadaRequest(ctx, "http://"+address, lazadaSecret, body)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end, or broken
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// TestKafkaBrokerKilled kills the broker with SIGKILL twice while callbacks pour in: what was acknowledged is in the topic, each subject's in order.
func TestKafkaBrokerKilled(t *testing.T) {
	for _, typ := range []string{config.BufferNone, config.BufferDisk} {
		t.Run(typ, func(t *testing.T) {
			tp := newTopic(t, "")
			if tp.broker == nil {
				t.Skip("HOOKBAY_TEST_KAFKA names a broker that is not the test's to kill")
			}
			f := newFleet(t, receiverProgram(t), 1, func(string) config.Endpoint {
				e := lazadaEndpoint(tp.target(config.ContentBinary, ""))
				e.Buffer.Type = typ
				return e
			})
			f.start(t)
			s := newSender("http://"+f.replicas[0].listen, 2000, 64)
			s.lazadaOnly = true
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			sent := s.start(ctx)
			for _, percent := range []int{20, 60} {
				s.waitAcked(t, s.total()*percent/100)
				if err := tp.broker.Kill(); err != nil {
					t.Fatal(err)
				}
				if typ == config.BufferNone {
					repeats := s.repeats.Load()
					waitFor(t, "callbacks are refused", func() error {
						if s.repeats.Load() == repeats {
							return errors.New("none is")
						}
						return nil
					})
				}
				if err := tp.broker.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			tp.judge(t, s)
		})
	}
}

// judge reads the topic and holds it against what was sent.
func (tp *topic) judge(t *testing.T, s *sender) {
	t.Helper()
	next, repeats, missing := map[int]int{}, 0, s.total()
	tp.read(t, func(r *kgo.Record) bool {
		mark, _, _ := readRecord(t, r)
		var c callback
		if _, err := fmt.Sscanf(mark, "%d/%d", &c.subject, &c.n); err != nil {
			t.Fatalf("%q is in the topic, which nobody sent", mark)
		}
		switch {
		case c.n == next[c.subject]:
			next[c.subject]++
			missing--
		case c.n < next[c.subject]:
			repeats++
		default:
			t.Errorf("%s overtakes number %d of its subject", c, next[c.subject])
		}
		return missing == 0
	})
	t.Logf("%d acknowledged, all in the topic, in order; %d of them again", s.total(), repeats)
}
