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

	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

// Options are the bounds that all endpoints share.
type Options struct {
	// MaxBody is the largest body, in bytes. Default: 1 MiB; the platforms' callbacks are far smaller.
	MaxBody int64
	// RequestTimeout bounds the time a request takes to arrive, head and body. Default: 5 s, longer than either platform waits for its answer.
	RequestTimeout time.Duration
	// MaxRequests and MaxBytes bound the callbacks under way at once and the memory of their bodies. Defaults: 4096, because a
	// stranger takes a place without sending a body, for as long as RequestTimeout, and 64 MiB.
	MaxRequests, MaxBytes int64
	// Metrics, nil: not measured.
	Metrics *Metrics
	// Log, nil: slog.Default.
	Log *slog.Logger
	// Now, nil: time.Now.
	Now func() time.Time
}

// Handler takes callbacks in for the endpoints of its routing table, which Update replaces in one step.
type Handler struct {
	maxBody        int64
	requestTimeout time.Duration
	room           room
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
	h := &Handler{
		maxBody:        cmp.Or(o.MaxBody, 1<<20),
		requestTimeout: cmp.Or(o.RequestTimeout, 5*time.Second),
		room:           room{maxRequests: cmp.Or(o.MaxRequests, 4096), maxBytes: cmp.Or(o.MaxBytes, 64<<20)},
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
	h.callbacks.New = func() any { return &callback{buf: make([]byte, 0, smallBody), patience: newPatience()} }
	h.table.Store(&table{})
	return h
}

// callback is one callback on its way through the stages. Callbacks are pooled.
type callback struct {
	ctx   *fasthttp.RequestCtx
	ep    *endpoint
	start time.Time

	buf      []byte // the body's memory
	patience *patience
	req      source.Request
	events   []event.Event
	outcome  outcome
	cause    error // what a refusal does not tell the platform
	bodyRead bool  // to its end
	borrowed bool  // the engine may still read buf: it gave up rather than finished
}

// ServeHTTP is the way of a callback through the receiver.
func (h *Handler) ServeHTTP(ctx *fasthttp.RequestCtx) {
	start := h.now()
	ep := h.table.Load().find(&ctx.Request.Header)
	if h.draining.Load() {
		ctx.SetConnectionClose()
	}
	if ep == nil {
		skip(ctx)
		h.metrics.unrouted.Inc()
		noSuchPath.write(ctx, fasthttp.StatusNotFound)
		return
	}
	c := h.callbacks.Get().(*callback) //nolint:forcetypeassert // The pool holds nothing else.
	c.ctx, c.ep, c.start = ctx, ep, start
	if refusal := h.take(c); refusal != nil {
		h.refuse(c, refusal)
	} else {
		ep.stored.write(ctx, fasthttp.StatusOK)
		ep.metrics.count(c.outcome, start)
	}
	ep.metrics.answered(h.now().Sub(start), ep.within)
	h.release(c)
}

// Drain has every answer from now on end its connection. Senders that keep connections open then come back on new ones, to another
// replica, before this one closes its port: a callback sent into a connection that is being closed is lost.
func (h *Handler) Drain() { h.draining.Store(true) }

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
	defer h.room.leave(c)
	if refusal = h.read(c); refusal != nil {
		return refusal
	}
	_, _, query := target(&c.ctx.Request.Header)
	c.req.Query, c.req.Header, c.req.Received = string(query), c, c.start
	if refusal = verify(c); refusal != nil {
		return refusal
	}
	if refusal = identify(c); refusal != nil {
		return refusal
	}
	return h.store(c)
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
