package ingest

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

// Queue is what ingest needs of a buffer.Queue, or of what stands in its place where there is no buffer.
type Queue interface {
	// Append returns nil when the events are safe: durable, or with the target. See buffer.Queue; it may also return
	// buffer.ErrNotDelivered and buffer.ErrSuspended.
	Append(ctx context.Context, events []event.Event) (buffer.Appended, error)
}

// Endpoint is what Update takes: one endpoint and how to find it.
type Endpoint struct {
	// Name is "namespace/name".
	Name string
	// Host is the host that callbacks must name, in any case; empty: any that no other endpoint names. Path is the path, exactly.
	Host, Path string
	// Source knows the platform, Queue keeps the events or passes them on.
	Source source.Source
	Queue  Queue
	// Unbuffered says that Queue passes the events on while the platform waits, so that how long that takes is the target's matter, not the store's.
	Unbuffered bool
	// Keys is how many credentials the source has. Revision changes whenever they may have: their last-used times start afresh then.
	Keys     int
	Revision int64
	// RateLimit bounds the callbacks that are taken; nil: as many as come. What is used up of a limit stays so while Update finds it the same.
	RateLimit *config.RateLimit
}

// endpoint is an Endpoint with everything prepared that callbacks would otherwise look up.
type endpoint struct {
	Endpoint
	within  time.Duration
	stored  prepared
	busy    prepared // the answer to what is refused as overloaded
	metrics *endpointMetrics
	refused map[source.Reason]*throttle
	limits  *limits

	buffered bool
}

// route is where an endpoint is found: a normal host, or none, and a path.
type route struct{ host, path string }

// table is the routing table. It never changes once it is published.
type table struct {
	routes map[route]*endpoint
	hosts  bool // some name one
}

// find returns the endpoint that a request is for, or nil. Paths are compared as they were sent, and an endpoint's has nothing in it that
// anybody would escape: cleaning them and redirecting, as multiplexers do, is a failed push to either platform.
func (t *table) find(head *fasthttp.RequestHeader) *endpoint {
	host, path, _ := target(head)
	if t.hosts {
		if ep := t.routes[route{config.NormalHost(string(host)), string(path)}]; ep != nil {
			return ep
		}
	}
	return t.routes[route{"", string(path)}]
}

// Update replaces the routing table in one step: a callback is led by the old table or by the new one. No two endpoints may
// share a host and path. The series of endpoints that are gone are dropped.
func (h *Handler) Update(endpoints []Endpoint) {
	h.updating.Lock()
	defer h.updating.Unlock()
	before := make(map[string]*endpoint)
	for _, ep := range h.table.Load().routes {
		before[ep.Name] = ep
	}
	next := &table{routes: make(map[route]*endpoint, len(endpoints))}
	for _, e := range endpoints {
		next.routes[route{config.NormalHost(e.Host), e.Path}] = h.prepare(e, before[e.Name])
		next.hosts = next.hosts || e.Host != ""
		delete(before, e.Name)
	}
	h.table.Store(next)
	for name := range before {
		h.metrics.drop(name)
	}
}

func (h *Handler) prepare(e Endpoint, before *endpoint) *endpoint {
	if before != nil && before.Revision != e.Revision {
		h.metrics.forgetKeys(e.Name)
	}
	ep := &endpoint{
		Endpoint: e,
		within:   e.Source.AnswerWithin(),
		stored:   prepare(e.Source.Answer(nil)),
		buffered: !e.Unbuffered,
		metrics:  h.metrics.endpoint(e.Name, e.Keys),
		refused:  make(map[source.Reason]*throttle),
	}
	var limited *limits
	if before != nil {
		limited = before.limits
	}
	ep.limits = newLimits(e.RateLimit, limited)
	ep.busy = prepare(h.words(ep, overloaded))
	h.metrics.limit.WithLabelValues(e.Name).Set(ep.within.Seconds())
	for _, reason := range append(reasons(), otherReason) {
		ep.refused[reason] = newThrottle()
	}
	return ep
}
