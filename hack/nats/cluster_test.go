package nats

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestCluster: what is acknowledged is there after a node was killed, and after one was cut off; a node that is cut off serves nobody, and catches up when it is not.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers")
	}
	c := start(t, Options{Partitionable: true})
	conn, js := connect(t, c.URLs()...)
	defer conn.Close()
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "s", Subjects: []string{"s.>"}, Replicas: 3, Storage: jetstream.FileStorage})
	if err != nil {
		t.Fatal(err)
	}
	published := 0
	publish := func() {
		t.Helper()
		for range 10 {
			insist(t, "publish", func(ctx context.Context) error {
				_, err := js.Publish(ctx, fmt.Sprintf("s.%d", published), []byte("x"), jetstream.WithExpectLastSequencePerSubject(0))
				if e := (*jetstream.APIError)(nil); errors.As(err, &e) && e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
					return nil // the one before was stored, but its acknowledgement was lost
				}
				return err
			})
			published++
		}
	}
	publish()
	n := leader(t, c, stream)
	if err := n.Kill(); err != nil {
		t.Fatal(err)
	}
	publish()
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	cutOff(t, leader(t, c, stream), publish)
	insist(t, "all is stored", func(ctx context.Context) error {
		info, err := stream.Info(ctx)
		if err == nil && info.State.Msgs != uint64(published) {
			t.Fatalf("%d messages are stored, want %d", info.State.Msgs, published)
		}
		return err
	})
}

// leader is the node that orders what the stream takes.
func leader(t *testing.T, c *Cluster, stream jetstream.Stream) *Node {
	t.Helper()
	var found *Node
	insist(t, "the stream has a leader", func(ctx context.Context) error {
		info, err := stream.Info(ctx)
		if err != nil {
			return err
		}
		for _, n := range c.Nodes {
			if n.Name == info.Cluster.Leader {
				found = n
				return nil
			}
		}
		return fmt.Errorf("it is %q", info.Cluster.Leader)
	})
	return found
}

// cutOff cuts a node off, and sees that nobody can use it while the others go on.
func cutOff(t *testing.T, n *Node, publish func()) {
	t.Helper()
	alone, js := connect(t, n.URL())
	defer alone.Close()
	if err := n.Cut(); err != nil {
		t.Fatal(err)
	}
	publish()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := js.AccountInfo(ctx); err == nil {
		t.Errorf("%s answers although it is cut off", n.Name)
	}
	if c, err := nats.Connect(n.URL(), nats.Timeout(time.Second)); err == nil {
		c.Close()
		t.Errorf("%s lets clients in although it is cut off", n.Name)
	}
	n.Heal()
	insist(t, "use "+n.Name+" again", func(ctx context.Context) error {
		_, err := js.AccountInfo(ctx)
		return err
	})
	if err := n.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestSingle: one server without a cluster keeps what it acknowledged when it is killed.
func TestSingle(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers")
	}
	c := start(t, Options{Nodes: 1, SyncAlways: true})
	if err := c.Nodes[0].Cut(); err == nil {
		t.Error("a cluster that is not partitionable can be cut")
	}
	conn, js := connect(t, c.URLs()...)
	defer conn.Close()
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "s", Subjects: []string{"s"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "s", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := c.Nodes[0].Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.Nodes[0].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	insist(t, "it is stored", func(ctx context.Context) error {
		info, err := stream.Info(ctx)
		if err == nil && info.State.Msgs != 1 {
			t.Fatalf("%d messages are stored, want 1", info.State.Msgs)
		}
		return err
	})
}

func start(t *testing.T, o Options) *Cluster {
	t.Helper()
	o.Dir = t.TempDir()
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, n := range c.Nodes {
				t.Logf("the end of what %s logged:\n%s", n.Name, n.Log())
			}
		}
	})
	return c
}

func connect(t *testing.T, urls ...string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	o := nats.GetDefaultOptions()
	o.Servers, o.MaxReconnect, o.ReconnectWait, o.PingInterval, o.MaxPingsOut = urls, -1, 100*time.Millisecond, 500*time.Millisecond, 2
	conn, err := o.Connect()
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return conn, js
}

// insist does something until it succeeds.
func insist(t *testing.T, what string, do func(context.Context) error) {
	t.Helper()
	err := poll(t.Context(), what, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		return do(ctx)
	})
	if err != nil {
		t.Fatal(err)
	}
}
