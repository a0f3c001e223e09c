package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// otherAge is how old what is told of endpoints that have no queue here may be.
const otherAge = 15 * time.Second

// others is what is known of endpoints that have a stream and no queue here.
type others struct {
	mu     sync.Mutex
	names  []string
	listed time.Time
	stats  map[string]otherStats
}

type otherStats struct {
	buffer.Stats
	at time.Time
}

// forget is called when something changes.
func (o *others) forget(string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.listed, o.stats = time.Time{}, nil
}

// list returns the endpoints that have a stream, with or without a queue here. Where the account does not allow to list streams there are none.
func (o *others) list(b *Buffer) []string {
	if b.o.Stream != "" || b.isClosed() || b.connected() != nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.listed) < otherAge {
		return o.names
	}
	ctx, cancel := context.WithTimeout(b.ctx, requestTimeout)
	defer cancel()
	streams := b.js.ListStreams(ctx, natsjs.WithStreamListSubject(b.o.Prefix+".>"))
	var found []string
	for info := range streams.Info() {
		endpoint := info.Config.Metadata[metaEndpoint]
		if endpoint != "" && namesOf(b.o.Prefix, endpoint, "").stream == info.Config.Name && info.Config.Metadata[metaVersion] == formatVersion {
			found = append(found, endpoint)
		}
	}
	if streams.Err() != nil {
		return o.names
	}
	slices.Sort(found)
	o.names, o.listed = found, time.Now()
	return found
}

// peek tells what an endpoint's stream holds.
func (o *others) peek(b *Buffer, endpoint string) (buffer.Stats, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s, ok := o.stats[endpoint]; ok && time.Since(s.at) < otherAge {
		return s.Stats, true
	}
	ctx, cancel := context.WithTimeout(b.ctx, 2*requestTimeout)
	defer cancel()
	s, err := newQueue(b, endpoint, buffer.Settings{}).look(ctx)
	if err != nil {
		return buffer.Stats{}, false
	}
	if o.stats == nil {
		o.stats = map[string]otherStats{}
	}
	o.stats[endpoint] = otherStats{Stats: s, at: time.Now()}
	return s, true
}

// look counts what a stream holds, without taking anything.
func (q *queue) look(ctx context.Context) (buffer.Stats, error) {
	defer q.cancel()
	var mu sync.Mutex
	var s buffer.Stats
	oldest := func(at int64) {
		if t := time.Unix(0, at).UTC(); s.Oldest.IsZero() || t.Before(s.Oldest) {
			s.Oldest = t
		}
	}
	ps := make([]*partition, 0, partitions)
	for n := range partitions {
		ps = append(ps, &partition{number: n, lanes: map[key]*lane{}})
	}
	errs := make([]error, partitions)
	inParallel(ps, func(p *partition) {
		m, err := q.last(ctx, q.names.cursor(p.number))
		if err == nil {
			p.stored, err = decodeCursor(m.Data)
		}
		if err != nil && !errors.Is(err, errNotFound) {
			errs[p.number] = err
			return
		}
		there, first, err := q.countFrom(ctx, p.number, p.stored.floor)
		if err != nil {
			errs[p.number] = err
			return
		}
		mu.Lock()
		defer mu.Unlock()
		s.Dead += int64(p.stored.dead)           //nolint:gosec // a count of events
		pending := there - int64(p.stored.above) //nolint:gosec // a count of events
		if s.Pending += pending; pending > 0 {
			if received, _, err := glance(first.Data); err == nil {
				oldest(received.UnixNano())
			}
		}
	})
	if err := errors.Join(errs...); err != nil {
		return s, err
	}
	err := q.scan(ctx, q.names.root+"h.>", func(m *stored) bool {
		k, _ := decodeKept(m.Data)                    // what is damaged is not counted
		if s.Pending += int64(k.count); k.count > 0 { //nolint:gosec // a count of events
			oldest(k.received)
		}
		return true
	})
	return s, err
}

// scan calls back with each message of a filter that there is now, in order, until it is told to stop.
func (q *queue) scan(ctx context.Context, filter string, each func(*stored) bool) error {
	consumer, err := q.consume(ctx, natsjs.OrderedConsumerConfig{
		FilterSubjects: []string{filter}, DeliverPolicy: natsjs.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return err
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return err
	}
	if info.NumPending == 0 {
		return nil
	}
	messages, err := consumer.Messages(natsjs.PullMaxMessages(pullMessages), pullExpiry, pullHeartbeat)
	if err != nil {
		return err
	}
	defer stopWith(ctx, messages)()
	for {
		m, err := messages.Next(natsjs.NextContext(ctx))
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if isMarker(m.Headers()) {
			if meta.NumPending == 0 {
				return nil
			}
			continue
		}
		if !each(&stored{Subject: m.Subject(), Sequence: meta.Sequence.Stream, Data: m.Data()}) || meta.NumPending == 0 {
			return nil
		}
	}
}

// sweepOthers gives up what is too old of endpoints that no receiver serves, and drops their old dead letters.
func (b *Buffer) sweepOthers() error {
	b.others.forget("")
	served := b.served()
	var errs []error
	for _, endpoint := range b.others.list(b) {
		if served[endpoint] != nil {
			continue
		}
		if err := b.sweepOther(endpoint); err != nil && !b.isClosed() {
			errs = append(errs, fmt.Errorf("sweep %s, which no receiver serves: %w", endpoint, err))
		}
	}
	b.others.forget("")
	return errors.Join(errs...)
}

func (b *Buffer) sweepOther(endpoint string) error {
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	q := newQueue(b, endpoint, buffer.Settings{})
	defer q.cancel()
	s, err := b.js.Stream(ctx, q.names.stream)
	if err != nil {
		return err
	}
	settings, err := settingsOf(s.CachedInfo().Config)
	if err != nil {
		return err
	}
	there := false
	if err := q.scan(ctx, q.names.members(), func(m *stored) bool {
		there = there || string(m.Data) != goodbye
		return !there
	}); there || err != nil {
		return err // some receiver serves it, or did until a moment ago
	}
	stats, err := q.look(ctx)
	if err != nil {
		return err
	}
	old := b.o.Now().Add(-settings.MaxAge)
	if (stats.Pending == 0 || settings.MaxAge == 0 || !stats.Oldest.Before(old)) && stats.Dead == 0 {
		return nil
	}
	return b.giveUp(ctx, endpoint, settings, old)
}

// giveUp takes an endpoint's partitions for as long as it takes to make dead letters of what was received before a time.
func (b *Buffer) giveUp(ctx context.Context, endpoint string, s buffer.Settings, before time.Time) error {
	q := newQueue(b, endpoint, s)
	q.declaredAt = time.Now() // its stream stays as it is
	q.start()
	defer q.close()
	select {
	case <-q.started:
	case <-ctx.Done():
		return ctx.Err()
	}
	young := 0
	for s.MaxAge > 0 {
		e := q.popAny()
		if e == nil {
			if q.drained() {
				break
			}
			if err := q.awaitMore(ctx); err != nil {
				return err
			}
			continue
		}
		if err := q.complete(ctx, e); err != nil && !errors.Is(err, errNotFound) {
			return err
		}
		if !time.Unix(0, e.received).Before(before) {
			if young++; young > maxHeld/4 { // they are about in the order of time
				break
			}
			continue
		}
		if err := q.perform(e.p, &task{lease: e, verdict: buffer.Dead, reason: reasonNotServed}); err != nil {
			return err
		}
	}
	return q.sweep(ctx)
}

// popAny leases a head, due or not.
func (q *queue) popAny() *entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.first(1<<63 - 1)
	if e != nil {
		e.leased = true
		e.p.leased++
	}
	return e
}

// drained says that nothing is to be read.
func (q *queue) drained() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.unread() == 0 && len(q.fresh) == 0 && len(q.waiting) == 0
}

// awaitMore waits until there may be another head.
func (q *queue) awaitMore(ctx context.Context) error {
	select {
	case <-q.wake:
		return nil
	case <-time.After(pauseMin):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
