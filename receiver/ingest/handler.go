// Package ingest takes callbacks in. Its stages, one file each:
//
//	listen ─▶ verify ─▶ identify ─▶ store ─▶ ack
//
// listen finds the endpoint and reads the body within its bounds, verify and identify ask the endpoint's source, store waits until the
// events are durable, ack speaks the platform's own words. Nothing is acknowledged that is not durable. A stage that says no ends the
// callback with a source.Refusal, which is counted, logged and answered in one place. For an endpoint without a buffer, store waits
// until the target has taken the events instead.
package ingest

import (
	"cmp"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/hookbay/hookbay/receiver/conns"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

// Options are the bounds that all endpoints share.
type Options struct {
	// MaxBody is the largest body, in bytes. Default: 1 MiB; the platforms' callbacks are far smaller.
	MaxBody int64
	// RequestTimeout bounds the time a request takes to arrive, head and body. Default: 5 s, longer than either platform waits for its answer.
	RequestTimeout time.Duration
	// MaxConnections bounds the connections that are open at once; see package conns for what happens then. Default: 2048, less where the
	// process may open few files.
	MaxConnections int
	// MaxBytes bounds the memory of bodies under way, in bytes. Default: 64 MiB.
	MaxBytes int64
	// Connections are where connections are counted. Nil: nowhere.
	Connections *conns.Metrics
	// Metrics, nil: not measured.
	Metrics *Metrics
	// Log, nil: slog.Default.
	Log *slog.Logger
	// Now, nil: time.Now.
	Now func() time.Time
}

// The default of Options.MaxConnections, and its part of the files that all ports together may use.
const (
	mostConnections  = 2048
	connectionsShare = 0.9
)

// Handler takes callbacks in for the endpoints of its routing table, which Update replaces in one step.
type Handler struct {
	maxBody        int64
	requestTimeout time.Duration
	room           room
	pace           pace
	roster         *conns.Roster
	metrics        *Metrics
	log            *slog.Logger
	now            func() time.Time

	callbacks sync.Pool // of *callback
	table     atomic.Pointer[table]
	updating  sync.Mutex  // held by Update
	draining  atomic.Bool // set by Drain
}

// NewHandler returns a Handler without endpoints.
func NewHandler(o Options) *Handler {
	connections := cmp.Or(o.MaxConnections, conns.Limit(mostConnections, connectionsShare))
	h := &Handler{
		maxBody:        cmp.Or(o.MaxBody, 1<<20),
		requestTimeout: cmp.Or(o.RequestTimeout, 5*time.Second),
		room:           room{most: cmp.Or(o.MaxBytes, 64<<20)},
		roster:         conns.NewRoster("callbacks", connections, o.Connections),
		metrics:        o.Metrics,
		log:            o.Log,
		now:            o.Now,
	}
	if h.metrics == nil {
		h.metrics = NewMetrics(nil)
	}
	if h.log == nil {
		h.log = slog.Default()
	}
	if h.now == nil {
		h.now = time.Now
	}
	h.pace.delay = newScheduler().delay
	h.pace.hold(connections, h.roster.Open)
	h.metrics.watch(&h.room)
	h.callbacks.New = func() any { return &callback{buf: make([]byte, 0, smallBody), patience: newPatience()} }
	h.table.Store(&table{})
	return h
}

// callback is one callback on its way through the stages. Callbacks are pooled.
type callback struct {
	ctx   *fasthttp.RequestCtx
	ep    *endpoint
	start time.Time

	arrived  time.Time // when the body was there
	buf      []byte    // the body's memory
	patience *patience
	req      source.Request
	events   []event.Event
	proof    source.Proof
	outcome  outcome
	cause    error // what a refusal does not tell the platform
	bodyRead bool  // to its end
	borrowed bool  // the engine may still read buf: it gave up rather than finished
	stranger bool  // the connection had not proven itself when this came in
	verified bool  // the platform sent it
	place    place // among those that wait to be stored
	waited   bool  // for the store, and so there is something to learn
}

// ServeHTTP is the way of a callback through the receiver.
func (h *Handler) ServeHTTP(ctx *fasthttp.RequestCtx) {
	start := h.now()
	ep := h.table.Load().find(&ctx.Request.Header)
	defer h.closeIfLast(ctx) // the stop may have begun meanwhile
	if ep == nil {
		skip(ctx)
		h.metrics.unrouted.Inc()
		noSuchPath.write(ctx, fasthttp.StatusNotFound)
		return
	}
	c := h.callbacks.Get().(*callback) //nolint:forcetypeassert // The pool holds nothing else.
	c.ctx, c.ep, c.start = ctx, ep, start
	c.stranger = isStranger(ctx)
	if refusal := h.take(c); refusal != nil {
		h.refuse(c, refusal)
	} else {
		ep.stored.write(ctx, fasthttp.StatusOK)
		ep.metrics.count(c.outcome, start)
	}
	if c.verified { // how long strangers take over theirs is their own doing
		ep.metrics.answered(h.now().Sub(start), ep.within)
	}
	h.release(c)
}

// Drain has every answer from now on end its connection. Senders that keep connections open then come back on new ones, to another
// replica, before this one closes its port: a callback sent into a connection that is being closed is lost.
func (h *Handler) Drain() { h.draining.Store(true) }

func (h *Handler) closeIfLast(ctx *fasthttp.RequestCtx) {
	if floods(ctx) || h.draining.Load() {
		ctx.SetConnectionClose()
	}
}

// Get implements source.Header.
func (c *callback) Get(name string) string { return string(c.ctx.Request.Header.Peek(name)) }

// take leads a callback through the stages that can refuse it. A panic is a source's or an engine's defect: it costs this callback and
// no other.
func (h *Handler) take(c *callback) (refusal *source.Refusal) {
	defer func() {
		if p := recover(); p != nil {
			refusal = h.panicked(c, p)
		}
	}()
	if refusal = h.listen(c); refusal != nil {
		return refusal
	}
	if refusal = h.verifyHead(c); refusal != nil {
		return refusal
	}
	if !h.room.enter(c) {
		return overloaded
	}
	defer h.leave(c)
	if refusal = h.read(c); refusal != nil {
		return refusal
	}
	if refusal = h.queue(c); refusal != nil {
		return refusal
	}
	if refusal = verifyBody(c); refusal != nil {
		return refusal
	}
	if refusal = identify(c); refusal != nil {
		return refusal
	}
	return h.store(c)
}

// leave gives back what take took.
func (h *Handler) leave(c *callback) {
	h.room.leave(c)
	switch {
	case c.place.ahead == 0:
	case c.waited:
		h.pace.leave(c.place, h.now)
	default:
		h.pace.giveUp()
	}
}

// release puts a callback back into the pool, without anything of the request and without unusually large memory. What somebody may
// still read is left to the collector.
func (h *Handler) release(c *callback) {
	buf, events := c.buf[:0], c.events[:0]
	if c.borrowed {
		buf, events = nil, nil
	}
	if buf == nil || cap(buf) > largestKept {
		buf = make([]byte, 0, smallBody)
	}
	if cap(events) > mostKept {
		events = nil
	}
	clear(events[:cap(events)])
	*c = callback{buf: buf, events: events, patience: c.patience}
	h.callbacks.Put(c)
}
