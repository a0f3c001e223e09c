package local

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"

	"github.com/hookbay/hookbay/hack/nats"
	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/buffertest"
	"github.com/hookbay/hookbay/receiver/buffer/jetstream"
)

// TestJetStreamConformance: what every buffer promises, in streams of three replicas on three servers.
func TestJetStreamConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers")
	}
	cluster := startNATS(t, nats.Options{})
	js := jetStream(t, cluster)
	var prefixes atomic.Int64
	buffertest.Run(t, buffertest.Engine{New: func(t *testing.T, now func() time.Time) buffertest.Place {
		t.Helper()
		prefix := fmt.Sprintf("t%d", prefixes.Add(1))
		t.Cleanup(func() { // the servers have much to do for each stream that there is
			names := js.StreamNames(context.Background())
			for name := range names.Name() {
				if strings.HasPrefix(name, prefix+"_") {
					_ = js.DeleteStream(context.Background(), name) // the servers go anyway
				}
			}
		})
		return buffertest.Place{
			Open: func(t *testing.T) buffer.Buffer {
				t.Helper()
				b, err := jetstream.Open(jetstream.Options{
					Connect: func() (*client.Conn, error) {
						return client.Connect(strings.Join(cluster.URLs(), ","), client.MaxReconnects(-1), client.ReconnectWait(50*time.Millisecond))
					},
					Prefix: prefix, Alone: true, StartWait: time.Minute, Now: now, Replicas: 3, LeaseTime: 10 * time.Second, SweepInterval: -1, Log: slog.New(slog.DiscardHandler),
				})
				if err != nil {
					t.Fatal(err)
				}
				return b
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
