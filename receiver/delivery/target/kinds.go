package target

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
)

// Common is what the kinds of targets do not take from the endpoint's configuration. The zero value is good.
type Common struct {
	// Receiver is the replica's name in the header Hookbay-Receiver. Empty: the host's name.
	Receiver string
	// ForbidLoopback refuses loopback addresses too: see HTTPOptions.
	ForbidLoopback bool
	// Log is told of connections that are lost, by targets that keep some. Nil: slog.Default.
	Log *slog.Logger
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
}

// DialControl is a net.Dialer's ControlContext that refuses the addresses that deliveries never go to, for connections of an endpoint's that are no
// deliveries.
func DialControl(forbidLoopback bool) func(ctx context.Context, network, address string, c syscall.RawConn) error {
	return guard{forbidLoopback: forbidLoopback}.control
}

// New returns the target that an endpoint's configuration names, whatever its kind. maxInFlight bounds the attempts under way at once, zero: 64. Its
// errors name the field and never hold a secret.
func New(cfg config.Target, secrets config.Secrets, maxInFlight int, o Common) (Target, error) {
	// Each returns a nil interface with its error, not a nil pointer in one.
	brokers := BrokerOptions{Common: o, MaxInFlight: maxInFlight}
	switch cfg.Type {
	case config.TargetHTTP:
		return made(NewHTTP(cfg, secrets, HTTPOptions{
			Receiver: o.Receiver, MaxIdleConns: maxInFlight, ForbidLoopback: o.ForbidLoopback, Now: o.Now,
		}))
	case config.TargetKafka:
		return made(NewKafka(cfg, secrets, brokers))
	case config.TargetJetStream:
		return made(NewJetStream(cfg, secrets, brokers))
	}
	return nil, fmt.Errorf("target.type: write %s, %s or %s", config.TargetHTTP, config.TargetKafka, config.TargetJetStream)
}

func made[T Target](t T, err error) (Target, error) {
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (o *Common) receiver() string {
	if o.Receiver != "" {
		return o.Receiver
	}
	host, _ := os.Hostname() // without a name the header is left out
	return host
}

// natsName is what NATS servers show of a connection.
func (o *Common) natsName() string { return "hookbay target " + o.receiver() }

func timeoutOf(cfg config.Target) time.Duration {
	return cmp.Or(max(time.Duration(cfg.Timeout), 0), defaultTimeout)
}
