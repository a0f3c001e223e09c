package target

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// failure says what a record that was not stored means. It repeats no text of a broker.
func (k *Kafka) failure(ctx context.Context, err error, timeout time.Duration) Result {
	if errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, kgo.ErrClientClosed) || errors.Is(err, context.Canceled) {
		return cancelled()
	}
	connecting := false
	if why := k.diagnosis.last(); why != nil && (errors.Is(err, context.DeadlineExceeded) || kgo.IsRetryableBrokerErr(err)) {
		err, connecting = why, true
	}
	if r, ok := k.kafkaFailure(err); ok {
		return r
	}
	switch {
	case errors.Is(err, errSlowHandshake):
		return Result{Class: Retryable, Outcome: OutcomeTLS, Detail: errSlowHandshake.Error()}
	case errors.Is(err, kgo.ErrRecordRetries):
		return Result{Class: Retryable, Outcome: OutcomeUnavailable, Detail: fmt.Sprintf("the brokers refuse it again and again: do all partitions of topic %s have a leader?", k.topic)}
	case isReset(err):
		return k.hangUp(err, connecting)
	case isTimeout(err) && !isA[*net.DNSError](err): // also context.DeadlineExceeded
		return Result{Class: Retryable, Outcome: OutcomeTimeout, Detail: fmt.Sprintf("no acknowledgement within %s", timeout)}
	}
	r := failure(context.WithoutCancel(ctx), err, timeout) // the error is what counts, and not that the time was over while it came again and again
	if r.Outcome == OutcomeTLS {
		r.Detail = kafkaTLS(err, r.Detail)
	}
	return r
}

// hangUp says what is likely when a broker closes the connection: some do that instead of answering. The library exports only the texts of what it was
// about to ask.
func (k *Kafka) hangUp(err error, connecting bool) Result {
	r := Result{Class: Retryable, Outcome: OutcomeReset, Detail: "the broker closed the connection without an answer"}
	text := err.Error()
	switch {
	case !connecting && !isA[*kgo.ErrFirstReadEOF](err):
	case k.sasl && !strings.Contains(text, "api versions"):
		r.Outcome, r.Detail = OutcomeAuth, "the broker closed the connection at the login: check the mechanism, user and password of target.kafka.sasl"
	case k.tls:
		r.Detail += ": does it want a login (set target.kafka.sasl)?"
	default:
		r.Detail += ": does it want TLS (set target.kafka.tls), or a login (set target.kafka.sasl)?"
	}
	return r
}

// kafkaTLS has the words name the settings of this kind of target.
func kafkaTLS(err error, detail string) string {
	switch {
	case isA[x509.UnknownAuthorityError](err):
		return "the broker's certificate is not accepted: it is signed by an unknown authority; name its CA in target.kafka.tls.caBundleRef"
	case isA[tls.RecordHeaderError](err):
		return "the broker does not speak TLS at this port: remove target.kafka.tls, or write the port that does"
	}
	return detail
}

// kafkaFailure knows the errors of brokers; false if it is none.
func (k *Kafka) kafkaFailure(err error) (Result, bool) {
	code, ok := errors.AsType[*kerr.Error](err)
	if !ok {
		return Result{}, false
	}
	r := Result{Class: Retryable, Outcome: OutcomeUnavailable, Detail: fmt.Sprintf("the brokers refuse it for now: %s", code.Message)}
	switch code {
	case kerr.MessageTooLarge, kerr.RecordListTooLarge:
		r.Class, r.Outcome = Rejected, OutcomeInvalid
		r.Detail = fmt.Sprintf("the record is larger than topic %s takes: raise its max.message.bytes, then replay the event", k.topic)
	case kerr.InvalidRecord:
		r.Class, r.Outcome = Rejected, OutcomeInvalid
		r.Detail = fmt.Sprintf("the brokers refuse the record as invalid for topic %s: is it compacted, and the event without a subject?", k.topic)
	case kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.InvalidTopicException:
		r.Outcome = OutcomeNoTopic
		r.Detail = fmt.Sprintf("there is no topic %s: create it", k.topic)
	case kerr.TopicAuthorizationFailed:
		r.Outcome = OutcomeAuth
		r.Detail = fmt.Sprintf("the user may not write to topic %s: allow it Write and Describe there", k.topic)
	case kerr.ClusterAuthorizationFailed:
		r.Outcome = OutcomeAuth
		r.Detail = "the user may not write with an idempotent producer: brokers before 3.0 want it to have IdempotentWrite on the cluster"
	case kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState:
		r.Outcome = OutcomeAuth
		r.Detail = "the brokers refuse the login: check the mechanism, user and password of target.kafka.sasl"
	case kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend:
		r.Detail = fmt.Sprintf("fewer replicas of topic %s are in sync than its min.insync.replicas wants: bring brokers back", k.topic)
	case kerr.KafkaStorageError:
		r.Detail = "a broker can't write to its disk: is it full?"
	case kerr.PolicyViolation:
		r.Detail = "a policy of the brokers forbids it: ask whoever runs them"
	case kerr.RequestTimedOut:
		r.Outcome, r.Detail = OutcomeTimeout, "the replicas did not store it in time"
	}
	return r, true
}
