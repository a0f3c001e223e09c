// Package kafka has brokers that speak Kafka's protocol, for tests and benchmarks.
//
// HOOKBAY_TEST_KAFKA names a real one, as host:port; topics are made in it and removed again. Without it, the broker is a process of its own with kfake in it, which is franz-go's
// stand-in for a broker: it takes the same requests, keeps idempotent producers apart, checks logins, and stores on disk, synced, so that it can be killed. What it cannot show is what a cluster
// of Apache Kafka does when a leader fails.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hookbay/hookbay/hack/process"
)

// Real is the address of a real broker, from HOOKBAY_TEST_KAFKA; empty if there is none.
func Real() string { return os.Getenv("HOOKBAY_TEST_KAFKA") }

// Options say what broker to start.
type Options struct {
	// Dir is an existing folder for the program and what it stores. It is not removed.
	Dir string
	// Topic is made, with Partitions. Zero: 8.
	Topic      string
	Partitions int
	// Mechanism, User and Password, if set, are the only login: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
	Mechanism, User, Password string
	// NoSync leaves it to the system when what was acknowledged is written to the disk, as Apache Kafka does.
	NoSync bool
}

// Broker is a broker with kfake in it. It is used by one goroutine at a time.
type Broker struct {
	// Addr is where it listens, again after it was killed and started.
	Addr string

	options Options
	program string
	process *process.Process
	log     *process.Tail
}

// Start builds the broker's program, starts it and returns when it can be connected to.
func Start(ctx context.Context, o Options) (*Broker, error) {
	program, err := build(ctx, o.Dir)
	if err != nil {
		return nil, err
	}
	address, err := process.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	b := &Broker{Addr: address, options: o, program: program, log: &process.Tail{}}
	return b, b.Start(ctx)
}

// Start starts the broker again, with what it had stored.
func (b *Broker) Start(ctx context.Context) error {
	_, port, err := net.SplitHostPort(b.Addr)
	if err != nil {
		return err
	}
	args := []string{"-dir", filepath.Join(b.options.Dir, "data"), "-port", port, "-topic", b.options.Topic, "-sync=" + strconv.FormatBool(!b.options.NoSync)}
	if b.options.Partitions > 0 {
		args = append(args, "-partitions", strconv.Itoa(b.options.Partitions))
	}
	if b.options.Mechanism != "" {
		args = append(args, "-sasl", b.options.Mechanism, "-user", b.options.User)
	}
	// Without a context: it ends with Kill or this process.
	cmd := exec.Command(b.program, args...) //nolint:gosec,noctx // built by this package
	cmd.Env = append(os.Environ(), "BROKER_PASSWORD="+b.options.Password)
	cmd.Stderr = b.log
	if b.process, err = process.Start(cmd); err != nil {
		return err
	}
	return b.await(ctx)
}

func (b *Broker) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", b.Addr)
		if err == nil {
			return c.Close()
		}
		if ended := b.process.Alive(); ended != nil {
			return fmt.Errorf("%w\n%s", ended, b.log)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the broker does not listen: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// patience is how long a broker may take to start. Only a hang exceeds it.
const patience = 2 * time.Minute

// Pid is the process ID of a broker that runs.
func (b *Broker) Pid() int { return b.process.Pid() }

// Kill ends the broker with SIGKILL, and returns when it is gone.
func (b *Broker) Kill() error {
	if b.process == nil {
		return nil
	}
	ended := b.process.Alive()
	err := b.process.Kill()
	b.process = nil
	if ended != nil {
		return fmt.Errorf("it ended by itself: %w\n%s", ended, b.log)
	}
	return err
}

// build builds the broker's program from this module, from wherever it is used.
func build(ctx context.Context, dir string) (string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/hookbay/hookbay")
	root, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	program, err := filepath.Abs(filepath.Join(dir, "broker"))
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, "./hack/kafka/broker") //nolint:gosec // a path of the caller's
	cmd.Dir = strings.TrimSpace(string(root))
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", errors.Join(fmt.Errorf("build the broker: %w\n%s", err, output))
	}
	return program, nil
}
