package target

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
)

// BrokerOptions are what a target of type Kafka or JetStream does not take from its own configuration.
type BrokerOptions struct {
	Common
	// MaxInFlight bounds the attempts under way at once: the endpoint's. Zero: 64.
	MaxInFlight int
}

// Kafka writes events to a topic as records, by the CloudEvents Kafka binding 1.0.2. The event's subject is the record's key, so that events of one
// subject are in one partition, in order.
//
// A record counts as delivered when all in-sync replicas have it (acks=all). The producer is idempotent: what it sends again by itself within an attempt
// is stored once. An attempt that ends without an answer takes its record back; if it was on its way already, the broker may still store it, and the
// next attempt stores it again: at least once.
type Kafka struct {
	topic       string
	contentMode string
	receiver    string
	timeout     time.Duration
	sasl, tls   bool // which of them is configured
	diagnosis   diagnosis
	ordinary    *kgo.Client
	options     []kgo.Opt

	mu    sync.Mutex
	alone *kgo.Client // nil: not needed yet
}

var _ Target = (*Kafka)(nil)

// NewKafka returns the target that cfg describes, whose type is Kafka. It does not wait for the brokers. Its errors name the field and never hold a
// secret.
func NewKafka(cfg config.Target, secrets config.Secrets, o BrokerOptions) (*Kafka, error) {
	if cfg.Kafka == nil {
		return nil, errors.New("target.kafka: set it")
	}
	k := &Kafka{
		topic: cfg.Kafka.Topic, contentMode: cfg.Kafka.ContentMode, receiver: o.receiver(),
		timeout: timeoutOf(cfg), sasl: cfg.Kafka.SASL != nil, tls: cfg.Kafka.TLS != nil,
	}
	var err error
	if k.options, err = kafkaOptions(cfg.Kafka, secrets, k.timeout, guard{forbidLoopback: o.ForbidLoopback}, &k.diagnosis); err != nil {
		return nil, err
	}
	k.ordinary, err = kgo.NewClient(append(slices.Clip(k.options),
		kgo.MaxBufferedRecords(cmp.Or(max(o.MaxInFlight, 0), 64)))...)
	if err != nil {
		return nil, fmt.Errorf("target.kafka: %w", err)
	}
	return k, nil
}

// Send makes one attempt: it returns when the brokers have the event, when they refuse it, or when the time is over.
func (k *Kafka) Send(ctx context.Context, e *event.Event, attempt int) Result {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	body, structured, err := payload(e, k.contentMode)
	if err != nil {
		return notCloudEvent(err)
	}
	record := k.record(e, attempt, body, structured)
	err = produce(ctx, k.ordinary, record)
	if errors.Is(err, kerr.MessageTooLarge) {
		// Who is too large, this record or the batch that it was in? By itself it shows.
		err = k.produceAlone(ctx, record)
	}
	if err == nil {
		return Result{Class: Delivered, Outcome: OutcomeStored, Detail: fmt.Sprintf("the brokers have it in partition %d", record.Partition)}
	}
	deadline, _ := ctx.Deadline()
	return k.failure(ctx, err, deadline.Sub(start).Round(time.Millisecond))
}

// produce returns what came of the record, or ctx's error: the producer then lets go of the record by itself, at the latest when the request that it is in
// has ended.
func produce(ctx context.Context, client *kgo.Client, record *kgo.Record) error {
	ended := make(chan error, 1)
	client.Produce(ctx, record, func(_ *kgo.Record, err error) { ended <- err })
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// produceAlone sends one record at a time, each in a batch of its own.
func (k *Kafka) produceAlone(ctx context.Context, r *kgo.Record) error {
	client, err := k.aloneClient()
	if err != nil {
		return err
	}
	*r = kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Headers: r.Headers}
	return produce(ctx, client, r)
}

func (k *Kafka) aloneClient() (*kgo.Client, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.alone != nil {
		return k.alone, nil
	}
	var err error
	k.alone, err = kgo.NewClient(append(slices.Clip(k.options), kgo.MaxBufferedRecords(1), kgo.ProducerBatchMaxBytes(largestRecord))...)
	return k.alone, err
}

// record is the event's, by the binding: what it says of the attempt is no attribute, and so has no prefix.
func (k *Kafka) record(e *event.Event, attempt int, body []byte, structured bool) *kgo.Record {
	r := &kgo.Record{Topic: k.topic, Value: body, Headers: make([]kgo.RecordHeader, 0, eventFields)}
	if e.Subject != "" {
		r.Key = []byte(e.Subject)
	}
	add := func(name, value string) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	if structured {
		add("content-type", ContentTypeStructured+"; charset=UTF-8")
	} else {
		for name, value := range attributes(e) {
			add("ce_"+name, value)
		}
		if e.ContentType != "" {
			add("content-type", e.ContentType)
		}
	}
	add(HeaderAttempt, attemptOf(attempt))
	if k.receiver != "" {
		add(HeaderReceiver, k.receiver)
	}
	return r
}

// Close ends the connections to the brokers.
func (k *Kafka) Close() {
	k.ordinary.Close()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.alone != nil {
		k.alone.Close()
	}
}
