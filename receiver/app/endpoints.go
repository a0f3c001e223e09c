package app

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/delivery"
	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/ingest"
	"github.com/hookbay/hookbay/receiver/source"
)

// linger is how long an endpoint that is gone keeps its dispatcher at least. A callback that came in just before may take this long to be
// stored: request timeout and platform's limit together are shorter.
const linger = 10 * time.Second

// drainMargin is how much longer than their attempts dispatchers may take to end: they settle what came of those.
const drainMargin = time.Second

// served is one endpoint and all that works for it.
type served struct {
	config   config.Endpoint
	secrets  config.Secrets // those that it names
	source   source.Source
	revision int64 // changes with the source
	// queue holds its events; nil if it has no buffer, and then direct delivers them instead, for as long as the endpoint is known.
	queue  buffer.Queue
	direct *delivery.Direct
	// stream is where queue is, if that is no disk, and relay stands before it.
	stream *stream
	relay  *relay

	target     target.Target
	delivering bool        // the dispatcher, or direct, has the target and closes it; otherwise, when suspended, nobody uses it
	dispatcher *dispatcher // the last that was started, which may have been told to end; nil: none was
	kept       bool        // source, target and dispatcher are those of the configuration before
	broken     string      // why it cannot work, see broken.go; "": it does
	goneAt     time.Time   // of a leaving one
}

// endpoints are all endpoints that are served, and those that are gone from the configuration and still have events to deliver. Only the
// goroutine that polls the configuration changes them.
type endpoints struct {
	o       Options
	buffers *buffers
	ingest  *ingest.Handler
	metrics *delivery.Metrics
	memory  *delivery.Memory

	revision int64 // the last one given

	mu      sync.Mutex // held to change the maps, and by others to read them
	live    map[string]*served
	leaving map[string]*served
}

func newEndpoints(o Options, b *buffers, h *ingest.Handler, m *delivery.Metrics) *endpoints {
	return &endpoints{o: o, buffers: b, ingest: h, metrics: m, memory: delivery.NewMemory(0), live: map[string]*served{}, leaving: map[string]*served{}}
}

// build makes what a configuration needs beyond what is there already, in the configuration's order, and starts nothing. If any of it is
// wrong, all that was made is let go of and the error names the endpoint; only an endpoint that mayBreak is then one that cannot work.
func (s *endpoints) build(snap *config.Snapshot, mayBreak func(*config.Endpoint) bool) (_ []*served, err error) {
	if err := snap.Config.Validate(); err != nil { // not every Load parses a document
		return nil, err
	}
	var next []*served
	defer func() {
		if err != nil {
			s.discard(next)
		}
	}()
	for i := range snap.Config.Endpoints {
		e := &snap.Config.Endpoints[i]
		if err := s.checkBuffer(e); err != nil {
			return nil, err
		}
		made, err := s.buildOne(e, snap)
		switch {
		case err != nil && mayBreak(e):
			made = s.buildBroken(e, snap, err)
		case err != nil:
			return nil, fmt.Errorf("endpoints[%d] %s: %w", i, e.Key(), err)
		}
		next = append(next, made)
	}
	// The settings come last: until here nothing that works has been touched.
	for _, n := range next {
		if n.queue, err = s.queueOf(n); err != nil {
			return nil, fmt.Errorf("endpoint %s: %w", n.config.Key(), err)
		}
	}
	return next, nil
}

// buildOne returns what serves an endpoint: as it is already if nothing but its generation changed, else with a new target.
func (s *endpoints) buildOne(e *config.Endpoint, snap *config.Snapshot) (*served, error) {
	if err := snap.Check(e); err != nil {
		return nil, err
	}
	before := s.findWorking(e.Key())
	secrets := pick(snap.Secrets, e.SecretFiles())
	next := &served{config: *e, secrets: secrets}
	if before != nil && before.same(next) && !before.ended() {
		next.source, next.revision = before.source, before.revision
		next.target, next.delivering, next.dispatcher = before.target, before.delivering, before.dispatcher
		next.direct, next.kept = before.direct, true
		next.stream, next.relay = before.stream, before.relay
		return next, nil
	}
	var err error
	if before != nil && before.sameSource(next) {
		next.source, next.revision = before.source, before.revision
	} else {
		if next.source, err = s.o.newSource(e.Source, secrets); err != nil {
			return nil, fmt.Errorf("source: %w", err)
		}
		s.revision++
		next.revision = s.revision
	}
	if next.target, err = s.o.NewTarget(*e, secrets); err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	if err := s.buildStream(next, before); err != nil {
		next.target.Close()
		return nil, fmt.Errorf("buffer: %w", err)
	}
	if before != nil {
		next.direct = before.direct // which handOver aims at the new target
	}
	return next, nil
}

// discard lets go of the targets and streams that were made for a configuration that is not used.
func (s *endpoints) discard(unused []*served) {
	for _, u := range unused {
		if !u.kept && u.broken == "" {
			u.target.Close()
			s.discardStream(u)
		}
	}
}

// swap puts what build made to work in one step.
func (s *endpoints) swap(next []*served) {
	routes := make([]ingest.Endpoint, 0, len(next))
	for _, n := range next {
		if n.direct == nil && !buffered(&n.config) && n.broken == "" {
			n.direct = delivery.NewDirect(delivery.DirectOptions{Endpoint: n.config.Key(), Metrics: s.metrics, Log: s.o.Log, Now: s.o.Now}, n.aim())
		}
		if n.relay != nil {
			n.relay.queue.Store(&n.queue)
		}
		routes = append(routes, ingest.Endpoint{
			Name: n.config.Key(), Host: n.config.Host, Path: n.config.Path, Source: n.source, Queue: n.intake(),
			Keys: len(n.config.Source.SecretFiles()), Revision: n.revision, RateLimit: n.config.RateLimit, Unbuffered: !buffered(&n.config),
		})
	}
	s.ingest.Update(routes)

	s.mu.Lock()
	defer s.mu.Unlock()
	gone := s.live
	s.live = make(map[string]*served, len(next))
	for _, n := range next {
		key := n.config.Key()
		before := gone[key]
		if before == nil {
			before = s.leaving[key]
		}
		delete(gone, key)
		delete(s.leaving, key)
		s.live[key] = n
		s.handOver(n, before)
	}
	for key, g := range gone {
		g.goneAt = s.o.Now()
		s.leaving[key] = g
		s.tellGone(key, g)
	}
}

// tellGone says what becomes of the events that are stored for an endpoint that is gone.
func (s *endpoints) tellGone(key string, g *served) {
	pending := g.pending()
	switch {
	case !buffered(&g.config):
		s.o.Log.Info("Endpoint is gone", "endpoint", key)
	case g.delivering || pending == 0:
		s.o.Log.Info("Endpoint is gone, what is stored is still delivered", "endpoint", key, "pending", pending)
	case g.broken != "":
		s.o.Log.Warn("Endpoint is gone and its stored events wait, as it could not work: they are delivered when it is back, "+
			"or become dead letters past its retry.maxAge once the receiver has restarted", "endpoint", key, "pending", pending)
	default:
		// This process serves the queue, so its age counts only for the next one.
		s.o.Log.Warn("Endpoint is gone and its stored events wait, as it was suspended: they are delivered when it is back, "+
			"or become dead letters past its retry.maxAge once the receiver has restarted", "endpoint", key, "pending", pending)
	}
}

// handOver lets n deliver in place of before, which may be nil.
func (s *endpoints) handOver(n, before *served) {
	if n.kept || n.broken != "" {
		return
	}
	if before != nil && before.broken != "" {
		before = nil // there is nothing of it to end
	}
	if n.direct != nil {
		n.delivering = true
		if before != nil {
			n.direct.Aim(n.aim())
		}
		return
	}
	if before != nil {
		before.end()
		n.dispatcher = before.dispatcher
	}
	s.handOverStream(n, before)
	if n.config.Delivery.Suspend {
		return
	}
	n.delivering = true
	n.dispatcher = dispatch(delivery.Options{
		Endpoint: n.config.Key(), Queue: n.queue, Target: n.target, Policy: delivery.PolicyOf(n.config.Delivery),
		Memory: s.memory, DrainTime: s.o.DrainTimeout, Metrics: s.metrics, Log: s.o.Log, Now: s.o.Now,
	}, n.dispatcher)
}

// end tells what delivers the endpoint's events to end, or closes the target that nothing has.
func (e *served) end() {
	if e.broken != "" {
		return
	}
	if e.direct != nil {
		e.direct.Close()
		return
	}
	if e.dispatcher != nil {
		e.dispatcher.cancel()
	}
	if !e.delivering {
		e.target.Close()
	}
}

// wait waits until what end told has happened.
func (e *served) wait() {
	if e.direct != nil {
		e.direct.Wait()
	}
	if e.dispatcher != nil {
		<-e.dispatcher.done
	}
}

// finish lets go of leaving endpoints that have nothing left to deliver.
func (s *endpoints) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, g := range s.leaving {
		if s.o.Now().Sub(g.goneAt) < linger || g.pending() > 0 {
			continue
		}
		g.end()
		g.wait() // not long: nothing is pending, so no attempt is under way
		if g.stream != nil {
			s.retireStream(g.stream, nil)
		}
		s.metrics.Drop(key)
		delete(s.leaving, key)
		s.o.Log.Info("Endpoint that is gone has nothing left to deliver", "endpoint", key)
	}
}

// stop ends all dispatchers, waits for their attempts under way and closes the buffers. What a buffer fails to store is tried again until
// it is closed, so closing them ends the last.
func (s *endpoints) stop(timeout time.Duration, closeBuffer func() error) error {
	s.mu.Lock()
	all := slices.Concat(slices.Collect(maps.Values(s.live)), slices.Collect(maps.Values(s.leaving)))
	s.mu.Unlock()
	for _, e := range all {
		e.end()
	}
	if n := s.metrics.UnderWay(); n > 0 {
		s.o.Log.Info("Receiver waits for deliveries under way", "count", n, "limit", timeout)
	}
	drained := make(chan struct{})
	go func() { // ends below: closing the buffer ends every dispatcher
		defer close(drained)
		for _, e := range all {
			e.wait()
		}
	}()
	var err error
	timer := time.NewTimer(timeout + drainMargin)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C:
		err = fmt.Errorf("deliveries under way could not be settled within %s", timeout)
	}
	err = errors.Join(err, closeBuffer())
	<-drained
	return err
}

// find returns the endpoint of a key, served or leaving, or nil.
func (s *endpoints) find(key string) *served {
	if e := s.live[key]; e != nil {
		return e
	}
	return s.leaving[key]
}

// findWorking is find, but for an endpoint that cannot work.
func (s *endpoints) findWorking(key string) *served {
	if e := s.find(key); e != nil && e.broken == "" {
		return e
	}
	return nil
}

// leavingNames lists the leaving endpoints in order.
func (s *endpoints) leavingNames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.leaving))
}

// same says whether nothing changed that matters for the work: the generation counts also changes that do not reach the receiver.
func (e *served) same(other *served) bool {
	a, b := e.config, other.config
	a.Generation, b.Generation = 0, 0
	return reflect.DeepEqual(a, b) && maps.Equal(e.secrets, other.secrets)
}

// sameSource says whether the platform, the filter and the credentials are the same.
func (e *served) sameSource(other *served) bool {
	return reflect.DeepEqual(e.config.Source, other.config.Source) &&
		maps.Equal(pick(e.secrets, e.config.Source.SecretFiles()), pick(other.secrets, other.config.Source.SecretFiles()))
}

// pick returns the secrets in these files.
func pick(all config.Secrets, files []config.SecretFile) config.Secrets {
	some := make(config.Secrets, len(files))
	for _, f := range files {
		if v, ok := all[f]; ok {
			some[f] = v
		}
	}
	return some
}
