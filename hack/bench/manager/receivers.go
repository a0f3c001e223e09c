package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"

	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/receiver/admin"
	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/config"
)

// receivers are those in all pods. Each has an address of its own in 127.0.0.0/8, a listener there, and the admin port of the real receiver;
// the server and its connections are shared.
type receivers struct {
	server *http.Server
	wg     sync.WaitGroup
	// goMetrics are the metrics that every Go program has, gathered once: they make a page as long as a real receiver's, and in each pod would be
	// this program's.
	goMetrics prometheus.Gatherer

	mu   sync.Mutex
	last int
	byIP map[string]*receiver
}

// receiver is what runs in one pod.
type receiver struct {
	ip       string
	listener net.Listener
	handler  http.Handler

	mu       sync.Mutex
	live     config.Config
	digest   string
	revision string
	loaded   time.Time
	refused  *admin.Refused
}

func newReceivers() (*receivers, error) {
	own := prometheus.NewRegistry()
	own.MustRegister(collectors.NewGoCollector())
	gathered, err := own.Gather()
	if err != nil {
		return nil, err
	}
	r := &receivers{byIP: map[string]*receiver{}}
	r.goMetrics = prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return gathered, nil })
	r.server = admin.NewServer(r, slog.New(slog.DiscardHandler))
	return r, nil
}

// ServeHTTP leads a request to the receiver that has the address.
func (rs *receivers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	address, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	rs.mu.Lock()
	to := rs.byIP[address.IP.String()]
	rs.mu.Unlock()
	if to == nil {
		http.NotFound(w, r)
		return
	}
	to.handler.ServeHTTP(w, r)
}

// start starts one more receiver.
func (rs *receivers) start(ctx context.Context) (*receiver, error) {
	rs.mu.Lock()
	rs.last++
	n := rs.last
	rs.mu.Unlock()
	r := &receiver{ip: fmt.Sprintf("127.77.%d.%d", n/250, n%250+1)}
	var lc net.ListenConfig
	var err error
	if r.listener, err = lc.Listen(ctx, "tcp", net.JoinHostPort(r.ip, strconv.Itoa(manifests.PortAdmin))); err != nil {
		return nil, fmt.Errorf("listen as a receiver: %w", err)
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(admin.NewBacklog(func() int64 { return 0 }, r.stats, time.Now))
	r.handler = admin.NewHandler(admin.Options{
		Ready: func() error { return nil }, Config: r.config, Metrics: prometheus.Gatherers{reg, rs.goMetrics}, Log: slog.New(slog.DiscardHandler),
	})
	rs.mu.Lock()
	rs.byIP[r.ip] = r
	rs.mu.Unlock()
	rs.wg.Go(func() { _ = rs.server.Serve(r.listener) }) // until the listener is closed
	return r, nil
}

func (rs *receivers) stop(r *receiver) {
	rs.mu.Lock()
	delete(rs.byIP, r.ip)
	rs.mu.Unlock()
	_ = r.listener.Close() // nobody listens any more, whatever it says
}

// close stops them all.
func (rs *receivers) close() error {
	err := rs.server.Close()
	rs.wg.Wait()
	if errors.Is(err, net.ErrClosed) { // of those that were stopped
		return nil
	}
	return err
}

// mount gives a receiver its files: it takes a configuration that is good, and refuses one that is not.
func (r *receiver) mount(document, revision string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.digest != "" && r.revision == revision {
		return // the kubelet looks again when the pod changes
	}
	r.revision = revision
	c, err := config.Parse([]byte(document))
	if err != nil {
		r.refused = &admin.Refused{At: time.Now(), Reason: err.Error()}
		return
	}
	r.live, r.digest, r.refused, r.loaded = c, c.Digest(), nil, time.Now()
}

func (r *receiver) stats() map[string]buffer.Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]buffer.Stats{}
	for i := range r.live.Endpoints {
		all[r.live.Endpoints[i].Key()] = buffer.Stats{}
	}
	return all
}

func (r *receiver) config() admin.Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := admin.Config{Digest: r.digest, Revision: r.revision, LoadedAt: r.loaded, Refused: r.refused, Endpoints: []admin.Endpoint{}}
	for i := range r.live.Endpoints {
		c.Endpoints = append(c.Endpoints, admin.EndpointOf(&r.live.Endpoints[i]))
	}
	return c
}
