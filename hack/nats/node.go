package nats

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/hookbay/hookbay/hack/process"
)

// Node is one server.
type Node struct {
	// Name is the server's: n1, n2, …
	Name string

	cluster *Cluster
	dir     string
	log     *process.Tail
	process *process.Process // nil while it does not run

	client, route, monitor, profile string // where it listens
	public                          string // where clients reach it

	in      *proxy           // from clients; nil unless partitionable
	out     []*proxy         // to other nodes
	peers   map[*Node]string // where it reaches them
	proxies []*proxy         // all that lead to it or from it
}

// URL is where clients reach the node.
func (n *Node) URL() string { return "nats://" + n.public }

// Monitor is the host:port of its monitoring port, which no partition cuts off.
func (n *Node) Monitor() string { return n.monitor }

// Profile is the host:port where net/http/pprof answers, with Options.Profile.
func (n *Node) Profile() string { return n.profile }

// StoreDir is the folder of what it stores.
func (n *Node) StoreDir() string { return filepath.Join(n.dir, "store") }

// Pid is its process ID, zero while it does not run.
func (n *Node) Pid() int {
	if n.process == nil {
		return 0
	}
	return n.process.Pid()
}

// Log is the end of what it logged.
func (n *Node) Log() string { return n.log.String() }

// Running reports whether the node was started and not ended.
func (n *Node) Running() bool { return n.process != nil }

// Start starts the node again, with what it had stored, and returns when it can take requests and has caught up.
func (n *Node) Start(ctx context.Context) error {
	if n.process != nil {
		return fmt.Errorf("%s runs", n.Name)
	}
	if err := n.launch(); err != nil {
		return err
	}
	return n.Ready(ctx)
}

// Kill ends the node with SIGKILL, and returns when it is gone. What the kernel had of it is still written: a killed server loses nothing that it had handed to the kernel.
func (n *Node) Kill() error {
	if n.process == nil {
		return nil
	}
	ended := n.process.Alive()
	err := n.process.Kill()
	n.process = nil
	if ended != nil {
		return fmt.Errorf("%s ended by itself: %w\n%s", n.Name, ended, n.log)
	}
	return err
}

// Stop ends the node in good order.
func (n *Node) Stop() error {
	if n.process == nil {
		return nil
	}
	err := n.process.Stop()
	n.process = nil
	return err
}

// Cut loses all that is sent to the node and by it, to and from other nodes and clients, without a word to either, until Heal.
func (n *Node) Cut() error {
	if n.in == nil {
		return errors.New("the cluster was not started with Options.Partitionable")
	}
	for _, p := range n.proxies {
		p.cut()
	}
	return nil
}

// Heal ends what Cut began.
func (n *Node) Heal() {
	for _, p := range n.proxies {
		p.heal()
	}
}

// Ready waits until the node can take requests: JetStream has a leader, and what it holds of streams is current.
func (n *Node) Ready(ctx context.Context) error {
	return poll(ctx, n.Name+" is ready", func() error {
		if n.process == nil {
			return errors.New("it was killed")
		}
		if err := n.process.Alive(); err != nil {
			return fmt.Errorf("%w\n%s", err, n.log)
		}
		if err := monitor(ctx, n.monitor, "/healthz", nil); err != nil {
			return err
		}
		var jetstream struct {
			Meta struct {
				Leader string `json:"leader"`
				Size   int    `json:"cluster_size"`
			} `json:"meta_cluster"`
		}
		if len(n.cluster.Nodes) == 1 {
			return nil
		}
		if err := monitor(ctx, n.monitor, "/jsz", &jetstream); err != nil {
			return err
		}
		if m := jetstream.Meta; m.Leader == "" || m.Size != len(n.cluster.Nodes) {
			return fmt.Errorf("it knows of %d servers and the leader %q", m.Size, m.Leader)
		}
		return nil
	})
}

func (n *Node) launch() error {
	// Without a context: it ends with Kill, Stop or this process.
	cmd := exec.Command(n.cluster.options.Binary, "-c", n.config()) //nolint:gosec,noctx // the program that was asked for
	cmd.Stdout, cmd.Stderr = n.log, n.log
	p, err := process.Start(cmd)
	n.process = p
	return err
}

func (n *Node) config() string { return filepath.Join(n.dir, "nats.conf") }

// configure writes the server's configuration. Servers tell each other of an address that nobody listens on, and clients of none: all that reach a node shall do so by the
// addresses that they were given.
func (n *Node) configure() error {
	sync := "2m"
	if n.cluster.options.SyncAlways {
		sync = "always"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "server_name: %s\nlisten: %q\nhttp: %q\n", n.Name, n.client, n.monitor)
	fmt.Fprintf(&b, "jetstream {\n  store_dir: %q\n  max_memory_store: 2GB\n  max_file_store: 20GB\n  sync_interval: %s\n}\n", n.StoreDir(), sync)
	if n.cluster.options.Profile {
		_, port, err := net.SplitHostPort(n.profile)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "prof_port: %s\n", port)
	}
	if len(n.cluster.Nodes) > 1 {
		routes := make([]string, 0, len(n.cluster.Nodes)-1)
		for _, peer := range n.cluster.Nodes {
			if peer != n {
				routes = append(routes, fmt.Sprintf("%q", "nats-route://"+n.reach(peer)))
			}
		}
		host, port, err := net.SplitHostPort(n.route)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "cluster {\n  name: hookbay\n  host: %s\n  port: %s\n  no_advertise: true\n", host, port)
		if n.in != nil {
			b.WriteString("  advertise: \"127.0.0.1:1\"\n")
		}
		fmt.Fprintf(&b, "  routes: [%s]\n}\n", strings.Join(routes, ", "))
	}
	b.WriteString(n.cluster.options.Config + "\n")
	return os.WriteFile(n.config(), []byte(b.String()), 0o600)
}

// reach is where the node reaches another.
func (n *Node) reach(peer *Node) string {
	if address, ok := n.peers[peer]; ok {
		return address
	}
	return peer.route
}
