// Package app wires the receiver and owns the order in which its parts start and stop.
//
//	          Load, polled ──▶ endpoints ──────────────┐
//	                            │ routes               │ starts, ends
//	                            ▼                      ▼
//	platform ──▶ server ──▶ ingest ──▶ buffer ──▶ a dispatcher ──▶ target
//	                                     │         an endpoint
//	probes ────▶ server ──▶ admin ◀──────┘
//
// There is one buffer on disk for all endpoints that are kept there, and a stream with a connection of its own for each of the others. Servers of a
// stream that are away keep nothing from starting: its endpoint's callbacks are refused with 503 until they are back.
//
// An endpoint without a buffer has a delivery.Direct in the place of buffer and dispatcher.
//
// Start: New reads the configuration, binds both ports, opens the buffers and builds every source and target, so that whatever is wrong
// is told before anything runs. An endpoint that cannot work, for want of a secret say, is no reason not to start: see broken.go. Run then starts the dispatchers, the admin server, the callback server and the poll of the configuration.
//
// Stop, each step only when the one before it is done:
//
//  1. readiness says no and every answer ends its connection, so that senders move on to another replica; callbacks are still served
//  2. the poll ends: the configuration changes no more
//  3. the callback server closes its port and waits for the callbacks under way, and so for the attempts of endpoints without a buffer
//  4. the dispatchers lease nothing more, their attempts under way end, and targets close
//  5. the buffers close: what is stored waits for the next start, or for another receiver of the same stream
//  6. the admin server closes
//
// Every goroutine belongs to one of these parts and is joined when that part stops.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/hookbay/hookbay/receiver/admin"
	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/conns"
	"github.com/hookbay/hookbay/receiver/delivery"
	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/ingest"
	"github.com/hookbay/hookbay/receiver/source"
	"github.com/hookbay/hookbay/receiver/sources"
)

// Options are what a receiver needs. Load, Listen, Admin and DataDir are required.
type Options struct {
	// Load reads the configuration. It is called once by New, which fails if it does, and then by Run every PollInterval.
	Load func() (config.Snapshot, error)
	// Listen and Admin are the addresses for callbacks and for probes; port 0 takes a free one.
	Listen, Admin string
	// DataDir is where events are stored. One process at a time uses it; none does if no endpoint is buffered on disk.
	DataDir string
	// NewTarget makes an endpoint's target, closed when it is no longer used. Nil: where the endpoint's configuration says.
	NewTarget func(config.Endpoint, config.Secrets) (target.Target, error)
	// ForbidLoopback keeps deliveries from the loopback addresses, where in a pod the admin port listens too: see target.HTTPOptions.
	ForbidLoopback bool
	// PollInterval is how often the configuration is read again. Default: 1 s.
	PollInterval time.Duration
	// DataDirWait is how long New waits for another receiver to let go of DataDir: where one is replaced by another, the old one may still
	// deliver its last events. Zero: it fails at once.
	DataDirWait time.Duration
	// ReadyWhileDraining keeps readiness from saying no before DrainDelay is over. It is for where the balancer of the load knows by itself who
	// stops, as Kubernetes does: it then still leads callbacks here if there is no other receiver.
	ReadyWhileDraining bool
	// DrainDelay is how long a stopping receiver still takes callbacks while it says that it is not ready: as long as the news
	// takes to reach whoever balances the load. Zero: it stops at once.
	DrainDelay time.Duration
	// DrainTimeout bounds the wait for callbacks under way, and then the wait for attempts under way. Default: 10 s.
	DrainTimeout time.Duration
	// MaxConnections bounds the connections on Listen: see ingest.Options. Zero: the default there.
	MaxConnections int
	// Log, nil: slog.Default.
	Log *slog.Logger
	// Now is the clock that ages are told by. Nil: time.Now.
	Now func() time.Time
	// FS is the file system that DataDir is on. Nil: the operating system's.
	FS vfs.FS
	// Fatal ends the process when the buffer can't go on, and must not return. Nil: it exits with 1; the log has said why. See disk.Options.
	Fatal func(detail string)

	// openBuffer and newSource stand in for the disk and the platforms in tests.
	openBuffer func() (buffer.Buffer, error)
	newSource  func(config.Source, config.Secrets) (source.Source, error)
}

// App is a receiver.
type App struct {
	o         Options
	log       *slog.Logger
	buffers   *buffers
	ingest    *ingest.Handler
	endpoints *endpoints
	reload    *reloader

	callbacks, probes server
	state             atomic.Pointer[string] // why it is not ready; nil: it is
}

// New prepares a receiver. It fails if the configuration cannot be read or is wrong, if an address is taken, or if the buffer on disk cannot be
// opened. It does not if endpoints lack a credential: those are served, with 503, until they have it. Run must follow, also if only to give everything back.
func New(ctx context.Context, o Options) (_ *App, err error) {
	o = o.withDefaults()
	first, err := o.Load()
	if err != nil {
		return nil, fmt.Errorf("load the configuration: %w", err)
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a := &App{o: o, log: o.Log, buffers: &buffers{streams: newStreams()}}
	a.notReady("the receiver starts")
	defer func() {
		if err != nil {
			err = errors.Join(err, a.giveBack())
		}
	}()
	if a.callbacks.listener, err = listen(ctx, o.Listen); err != nil {
		return nil, err
	}
	if a.probes.listener, err = listen(ctx, o.Admin); err != nil {
		return nil, err
	}
	syncs := admin.NewSyncs()
	if a.buffers.disk, err = a.openDisk(ctx, &first.Config, syncs); err != nil {
		return nil, err
	}
	if a.buffers.disk != nil {
		reg.MustRegister(syncs)
	}
	connections := conns.NewMetrics(reg)
	a.probes.listener = conns.Listen(a.probes.listener, conns.NewRoster("admin", conns.Limit(probeConnections, probeShare), connections))
	a.ingest = ingest.NewHandler(ingest.Options{
		MaxConnections: o.MaxConnections, Connections: connections, Metrics: ingest.NewMetrics(reg), Log: o.Log, Now: o.Now,
	})
	a.endpoints = newEndpoints(o, a.buffers, a.ingest, delivery.NewMetrics(reg))
	reg.MustRegister(admin.NewBacklog(a.buffers.bytes, a.endpoints.backlog, o.Now), admin.NewBuffers(a.endpoints.bufferStates))
	a.reload = newReloader(o, a.endpoints, reg)
	if err = a.reload.first(first); err != nil {
		return nil, err
	}
	a.callbacks.service = ingest.NewServer(a.ingest, o.Log)
	a.probes.service = admin.NewServer(admin.NewHandler(admin.Options{
		Ready: a.Ready, Config: a.reload.shown, Metrics: reg, Log: o.Log,
	}), o.Log)
	return a, nil
}

// The connections on the admin port, and its part of the files that both ports together may use.
const (
	probeConnections = 256
	probeShare       = 0.1
)

func (o Options) withDefaults() Options {
	o.PollInterval = cmp.Or(o.PollInterval, time.Second)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, 10*time.Second)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Fatal == nil {
		o.Fatal = func(string) { os.Exit(1) } // nothing in it can be trusted to stop in order
	}
	if o.newSource == nil {
		o.newSource = sources.New
	}
	if o.NewTarget == nil {
		o.NewTarget = func(e config.Endpoint, s config.Secrets) (target.Target, error) {
			return target.New(e.Target, s, delivery.PolicyOf(e.Delivery).MaxInFlight, target.Common{
				ForbidLoopback: o.ForbidLoopback, Log: o.Log.With("endpoint", e.Key()), Now: o.Now,
			})
		}
	}
	return o
}

// ListenAddr is the address that callbacks come in on.
func (a *App) ListenAddr() net.Addr { return a.callbacks.listener.Addr() }

// AdminAddr is the address of health, metrics and configuration.
func (a *App) AdminAddr() net.Addr { return a.probes.listener.Addr() }

// Ready returns nil if callbacks can be stored now, or none need to be, else why not.
func (a *App) Ready() error {
	if why := a.state.Load(); why != nil {
		return errors.New(*why)
	}
	return a.endpoints.usable()
}

func (a *App) notReady(why string) { a.state.Store(&why) }

// listen binds an address.
func listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen (is another receiver running?): %w", err)
	}
	return l, nil
}

// server is a server and the port that it is bound to.
type server struct {
	service
	listener net.Listener
}

// service is what http.Server promises of these methods.
type service interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
	Close() error
}
