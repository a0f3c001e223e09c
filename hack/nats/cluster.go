package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/hookbay/hookbay/hack/process"
)

// Options say what cluster to start.
type Options struct {
	// Dir is an existing folder for what the servers store, their configuration and their logs. It is not removed.
	Dir string
	// Nodes is how many servers there are. Zero: 3.
	Nodes int
	// Partitionable lets nodes be cut off. It costs a copy of every byte, in this process.
	Partitionable bool
	// SyncAlways makes every server sync each write before it acknowledges it. False: nats-server's default, which is to sync every two minutes.
	SyncAlways bool
	// Profile makes every server tell what is in its memory, at Node.Profile.
	Profile bool
	// Config is more of the servers' configuration, such as users, in their own language.
	Config string
	// Binary is the server program. Empty: what Binary finds or builds.
	Binary string
}

// Cluster is servers that know each other. Its nodes are used by one goroutine at a time.
type Cluster struct {
	// Nodes are all servers, whether they run or not.
	Nodes []*Node

	options Options
}

// Start starts a cluster and returns when it can take requests.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	if o.Binary == "" {
		var err error
		if o.Binary, err = Binary(ctx); err != nil {
			return nil, err
		}
	}
	c := &Cluster{options: o}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	addresses, err := process.FreeAddresses(ctx, 4*c.options.Nodes)
	if err != nil {
		return err
	}
	for i := range c.options.Nodes {
		n := &Node{Name: fmt.Sprintf("n%d", i+1), cluster: c, dir: filepath.Join(c.options.Dir, fmt.Sprintf("n%d", i+1)), log: &process.Tail{}}
		n.client, n.route, n.monitor, n.profile = addresses[4*i], addresses[4*i+1], addresses[4*i+2], addresses[4*i+3]
		n.public = n.client
		if err := os.MkdirAll(n.dir, 0o750); err != nil {
			return err
		}
		c.Nodes = append(c.Nodes, n)
	}
	if c.options.Partitionable {
		if err := c.connect(); err != nil {
			return err
		}
	}
	for _, n := range c.Nodes {
		if err := n.configure(); err != nil {
			return err
		}
		if err := n.launch(); err != nil {
			return err
		}
	}
	return c.Ready(ctx)
}

// connect makes the proxies: one before each node for clients, and one for each direction between two nodes.
func (c *Cluster) connect() error {
	for _, n := range c.Nodes {
		p, err := newProxy(n.client)
		if err != nil {
			return err
		}
		n.public = p.addr()
		n.in, n.proxies, n.peers = p, append(n.proxies, p), map[*Node]string{}
	}
	for _, from := range c.Nodes {
		for _, to := range c.Nodes {
			if from == to {
				continue
			}
			p, err := newProxy(to.route)
			if err != nil {
				return err
			}
			from.peers[to] = p.addr()
			from.proxies, to.proxies = append(from.proxies, p), append(to.proxies, p)
			from.out = append(from.out, p)
		}
	}
	return nil
}

// URLs are where clients reach the nodes, in their order.
func (c *Cluster) URLs() []string {
	urls := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		urls[i] = n.URL()
	}
	return urls
}

// Ready waits until every node that runs can take requests and has caught up with the others.
func (c *Cluster) Ready(ctx context.Context) error {
	for _, n := range c.Nodes {
		if !n.Running() {
			continue
		}
		if err := n.Ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close kills all nodes. What they stored stays in Options.Dir.
func (c *Cluster) Close() error {
	var errs []error
	for _, n := range c.Nodes {
		if n.Running() {
			errs = append(errs, n.Kill())
		}
	}
	for _, n := range c.Nodes {
		if n.in != nil {
			n.in.close()
		}
		for _, p := range n.out {
			p.close()
		}
	}
	return errors.Join(errs...)
}

// poll calls check until it returns nil, ctx ends or the node does.
func poll(ctx context.Context, what string, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// patience is how long a node may take to be ready. Only a hang exceeds it.
const patience = 3 * time.Minute

// monitor asks a node's monitoring port, for what is decoded into answer unless that is nil.
func monitor(ctx context.Context, address, path string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, resp.Status, body)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(body, answer)
}
