package jetstream_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/buffertest"
	"github.com/hookbay/hookbay/receiver/buffer/jetstream"
)

// natsServer runs a server in this process.
func natsServer(t testing.TB, dir string, port int) *server.Server {
	t.Helper()
	return smallServer(t, dir, server.MAX_PAYLOAD_SIZE, port)
}

// smallServer is one that takes messages of a size at most.
func smallServer(t testing.TB, dir string, largest int32, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		ServerName: "one", Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true, MaxPayload: largest,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	return s
}

// stop stops a server and waits until it is gone.
func stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// connect is a Connect that comes back by itself, soon.
func connect(url string) func() (*nats.Conn, error) {
	return func() (*nats.Conn, error) {
		return nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.RetryOnFailedConnect(true),
			nats.ReconnectBufSize(-1), nats.Timeout(time.Second))
	}
}

var prefixes atomic.Int64

// newPrefix is one that no other test has.
func newPrefix() string { return fmt.Sprintf("t%d", prefixes.Add(1)) }

// open opens a buffer as a test wants it.
func open(t testing.TB, o jetstream.Options) *jetstream.Buffer {
	t.Helper()
	o.Replicas = max(o.Replicas, 1)
	if o.LeaseTime == 0 {
		o.LeaseTime = 2 * time.Second
	}
	if o.SweepInterval == 0 {
		o.SweepInterval = -1
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(&output{t: t}, nil))
	}
	b, err := jetstream.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// output is the test's, as long as it runs.
type output struct {
	t    testing.TB
	mu   sync.Mutex
	over bool
	once sync.Once
}

func (o *output) Write(p []byte) (int, error) {
	o.once.Do(func() {
		o.t.Cleanup(func() {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.over = true
		})
	})
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over {
		o.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

func TestConformance(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	buffertest.Run(t, buffertest.Engine{New: func(_ *testing.T, now func() time.Time) buffertest.Place {
		prefix := newPrefix()
		return buffertest.Place{
			Open: func(t *testing.T) buffer.Buffer {
				t.Helper()
				return open(t, jetstream.Options{Connect: connect(s.ClientURL()), Prefix: prefix, Alone: true, StartWait: time.Minute, Now: now, LeaseTime: 10 * time.Second})
			},
			Sweep: func(t *testing.T, b buffer.Buffer) {
				t.Helper()
				if err := b.(*jetstream.Buffer).Sweep(); err != nil {
					t.Fatal(err)
				}
			},
		}
	}})
}
