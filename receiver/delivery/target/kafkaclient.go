package target

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	saslplain "github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/publicroots"
)

const (
	// recordTries bounds how often a record is sent again within one attempt when the brokers refuse it for now. The dispatcher goes on from there, with
	// longer pauses, and knows why.
	recordTries = 5
	// brokerDialTimeout bounds making one connection, the TLS handshake included: less than most attempts, so that they can say what is wrong.
	brokerDialTimeout = 3 * time.Second
	// brokerPatience bounds how long one request may take, however long an attempt may: it is sent again.
	brokerPatience = time.Minute
	// topicTries is that bound for a topic that there is not: its metadata may be on their way. Even an attempt that a platform waits for, of an endpoint
	// without a buffer, has the time to ask that often.
	topicTries = 1
	// metadataPause is the least time between two requests for metadata.
	metadataPause = 50 * time.Millisecond
	// The pauses between these, before jitter: they double.
	brokerPauseMin = 100 * time.Millisecond
	brokerPauseMax = time.Second
	// largestRecord bounds one record: an event of 1 MiB in base64, with room for all that its brokers may allow.
	largestRecord = 16 << 20
)

// kafkaOptions are those of every client of a target.
func kafkaOptions(c *config.KafkaTarget, secrets config.Secrets, timeout time.Duration, g guard, d *diagnosis) ([]kgo.Opt, error) {
	dial, err := kafkaDialer(c, secrets, g)
	if err != nil {
		return nil, err
	}
	patience := min(max(timeout, time.Second), brokerPatience)
	options := []kgo.Opt{
		kgo.ClientID("hookbay"), kgo.SeedBrokers(c.Brokers...), kgo.Dialer(dial), kgo.WithHooks(d), kgo.DisableClientMetrics(),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(0),
		// A record whose attempt is over must not be stored much later, when its event may have been given up.
		kgo.AllowIdempotentProduceCancellation(),
		kgo.RecordRetries(recordTries), kgo.UnknownTopicRetries(topicTries),
		// A broker that is silent is not waited for any longer than the attempts that wait for it.
		kgo.ProduceRequestTimeout(patience), kgo.RequestTimeoutOverhead(patience/2 + time.Second),
		kgo.MetadataMinAge(metadataPause),
		kgo.RetryBackoffFn(func(tries int) time.Duration {
			pause := min(brokerPauseMin<<min(tries, 10), brokerPauseMax)
			return pause/2 + rand.N(pause/2) //nolint:gosec // jitter is no secret
		}),
	}
	if c.SASL != nil {
		mechanism, err := kafkaLogin(c.SASL, secrets)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(mechanism))
	}
	return options, nil
}

// kafkaDialer connects to brokers, with the guard's check of every address: also of those that brokers tell of each other.
func kafkaDialer(c *config.KafkaTarget, secrets config.Secrets, g guard) (func(context.Context, string, string) (net.Conn, error), error) {
	unencrypted := &net.Dialer{Timeout: brokerDialTimeout, ControlContext: g.control}
	if c.TLS == nil {
		return unencrypted.DialContext, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if conf.RootCAs, err = c.TLS.Roots(secrets); err != nil {
		return nil, fmt.Errorf("target.kafka.tls.%w", err)
	}
	own, err := c.TLS.Certificate(secrets)
	if err != nil {
		return nil, fmt.Errorf("target.kafka.tls.%w", err)
	}
	if own != nil {
		conf.Certificates = []tls.Certificate{*own}
	}
	encrypted := &tls.Dialer{NetDialer: unencrypted, Config: conf}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if conf.RootCAs == nil {
			publicroots.Provide() // not before: who only checks an endpoint needs none
		}
		limited, cancel := context.WithTimeout(ctx, brokerDialTimeout)
		defer cancel()
		conn, err := encrypted.DialContext(limited, network, address)
		if err != nil && limited.Err() != nil && ctx.Err() == nil {
			return nil, errSlowHandshake
		}
		return conn, err
	}, nil
}

func kafkaLogin(c *config.KafkaSASL, secrets config.Secrets) (sasl.Mechanism, error) {
	user, err := secrets.Credential(c.UserFile)
	if err != nil {
		return nil, fmt.Errorf("target.kafka.sasl.userFile: %w", err)
	}
	password, err := secrets.Credential(c.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("target.kafka.sasl.passwordFile: %w", err)
	}
	switch c.Mechanism {
	case config.SASLPlain:
		return saslplain.Auth{User: user, Pass: password}.AsMechanism(), nil
	case config.SASLScramSHA256:
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism(), nil
	case config.SASLScramSHA512:
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism(), nil
	}
	return nil, errors.New("target.kafka.sasl.mechanism: write PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
}

// errSlowHandshake is for a broker that takes connections and does not answer the first word of TLS: many that speak none wait for more.
var errSlowHandshake = errors.New("the broker does not answer the TLS handshake in time: does it speak TLS at this port?")

// diagnosis remembers why no connection to a broker came about: the producer itself only tells that the time was over.
type diagnosis struct {
	mu  sync.Mutex
	err error // nil: the last one did
}

var _ kgo.HookBrokerConnect = (*diagnosis)(nil)

// OnBrokerConnect is called after each attempt to connect to a broker and to log in there.
func (d *diagnosis) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return // who waited has gone
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func (d *diagnosis) last() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}
