// Package nats runs a cluster of real NATS servers with JetStream, each a process of its own on this machine, for tests, stories of faults and benchmarks. Servers can be killed
// as a power failure would (SIGKILL), started again with what they had on disk, and cut off from the others and from all clients:
//
//	cluster, err := nats.Start(ctx, nats.Options{Dir: t.TempDir(), Partitionable: true})
//	defer cluster.Close()
//	… nats.Connect(cluster.URL())
//	cluster.Nodes[1].Cut()   // packets from and to it are lost
//	cluster.Nodes[1].Heal()
//	cluster.Nodes[2].Kill()
//	cluster.Nodes[2].Start(ctx)
//
// The servers are those of the module that go.mod pins: nats-server's own program, unchanged, built into bin/tools on first use. HOOKBAY_NATS_SERVER names another one.
//
// How a server is cut off: with Options.Partitionable every connection between servers, and of clients to servers, passes a proxy of this package, one for each pair. Cut
// stops them from moving bytes and says nothing to either end, as a network does that loses all packets; whoever connects is not answered. Heal lets the
// bytes through that wait, as TCP sends again what was not acknowledged.
package nats
