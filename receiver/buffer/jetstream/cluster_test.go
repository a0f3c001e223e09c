package jetstream_test

import (
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/buffertest"
	"github.com/hookbay/hookbay/receiver/buffer/jetstream"
)

// freePort is one that was free a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// natsCluster runs three servers in this process, that replicate.
func natsCluster(t testing.TB) []*server.Server {
	t.Helper()
	var routes []*url.URL
	ports := make([]int, 3)
	for i := range ports {
		ports[i] = freePort(t)
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", ports[i])})
	}
	var servers []*server.Server
	for i, port := range ports {
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
			Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: port}, Routes: routes,
		})
		if err != nil {
			t.Fatal(err)
		}
		go s.Start()
		t.Cleanup(func() { stop(s) })
		servers = append(servers, s)
	}
	within(t, "the servers have a leader", func() bool {
		leaders := 0
		for _, s := range servers {
			if s.ReadyForConnections(10*time.Millisecond) && s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == len(servers) {
				leaders++
			}
		}
		return leaders == 1
	})
	return servers
}

func TestCluster_conformance(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	servers := natsCluster(t)
	var n atomic.Int64
	buffertest.Run(t, buffertest.Engine{New: func(_ *testing.T, now func() time.Time) buffertest.Place {
		prefix := newPrefix()
		s := servers[n.Add(1)%int64(len(servers))]
		return buffertest.Place{
			Open: func(t *testing.T) buffer.Buffer {
				t.Helper()
				return open(t, jetstream.Options{Connect: connect(s.ClientURL()), Prefix: prefix, Alone: true, StartWait: time.Minute, Now: now, Replicas: 3, LeaseTime: 30 * time.Second})
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
