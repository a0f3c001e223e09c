package disk

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
)

// laneBench is a queue and what it must do, one step at a time.
type laneBench struct {
	t      *testing.T
	random *rand.Rand
	fs     *vfs.MemFS
	clock  time.Time
	b      *Buffer
	q      *queue

	n        int
	waiting  map[string][]string // what is not settled, by subject, in order
	attempts map[string]int
	leased   []*buffer.Delivery
}

func newLaneBench(t *testing.T, seed uint64) *laneBench {
	t.Helper()
	m := &laneBench{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), // a repeatable test
		fs: vfs.NewCrashableMem(), clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), waiting: map[string][]string{}, attempts: map[string]int{},
	}
	m.open()
	t.Cleanup(m.close)
	return m
}

func (m *laneBench) open() {
	m.t.Helper()
	var err error
	if m.b, err = Open(Options{Dir: "data", FS: m.fs, SweepInterval: -1, Now: func() time.Time { return m.clock }}); err != nil {
		m.t.Fatal(err)
	}
	q, err := m.b.Queue("shop/orders", faultSettings)
	if err != nil {
		m.t.Fatal(err)
	}
	m.q, m.leased = q.(*queue), nil //nolint:forcetypeassert // what this package makes
}

func (m *laneBench) close() {
	if err := m.b.Close(); err != nil {
		m.t.Errorf("Close: %v", err)
	}
}

// restart ends in order or, keeping just some of what was not synced, by a power loss.
func (m *laneBench) restart(powerLoss bool) {
	m.t.Helper()
	fs := m.fs
	if powerLoss {
		fs = m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * m.random.IntN(3), RNG: m.random})
	}
	m.close()
	m.fs = fs
	m.open()
}

func (m *laneBench) append(subjects ...string) {
	m.t.Helper()
	var events []event.Event
	for _, s := range subjects {
		m.n++
		body := fmt.Sprintf("%s %d", s, m.n)
		events = append(events, event.Event{ID: event.NewID(body), Type: "t", Subject: s, Received: m.clock, Body: []byte(body)})
		m.waiting[s] = append(m.waiting[s], body)
	}
	if _, err := m.q.Append(m.t.Context(), events); err != nil {
		m.t.Fatal(err)
	}
}

// lease takes what is due, nil if nothing is, and checks that it is its subject's turn.
func (m *laneBench) lease() *buffer.Delivery {
	m.t.Helper()
	d, err := m.q.lease()
	if err != nil {
		m.t.Fatal(err)
	}
	if d == nil {
		return nil
	}
	s, body := d.Event.Subject, string(d.Event.Body)
	if slices.ContainsFunc(m.leased, func(other *buffer.Delivery) bool { return other.Event.Subject == s }) {
		m.t.Fatalf("%q is handed out while another of its subject is leased", body)
	}
	if len(m.waiting[s]) == 0 || m.waiting[s][0] != body {
		m.t.Fatalf("%q is handed out, want the first of %q", body, m.waiting[s])
	}
	if d.Attempt != m.attempts[body]+1 {
		m.t.Fatalf("%q is handed out for attempt %d, want %d", body, d.Attempt, m.attempts[body]+1)
	}
	m.leased = append(m.leased, d)
	return d
}

func (m *laneBench) leaseAll() {
	m.t.Helper()
	for m.lease() != nil {
	}
}

// settle settles some leased events in one commit. A retry is due in a second.
func (m *laneBench) settle(verdicts map[*buffer.Delivery]buffer.Verdict) {
	m.t.Helper()
	var group []*settlement
	for _, d := range slices.Clone(m.leased) {
		v, ok := verdicts[d]
		if !ok {
			continue
		}
		m.leased = slices.DeleteFunc(m.leased, func(other *buffer.Delivery) bool { return other == d })
		group = append(group, &settlement{lease: d.Lease.(*lease), change: change{verdict: v, retryAt: m.clock.Add(time.Second)}}) //nolint:forcetypeassert // as above
		if v == buffer.Retry {
			m.attempts[string(d.Event.Body)]++
		} else {
			m.waiting[d.Event.Subject] = m.waiting[d.Event.Subject][1:]
		}
	}
	m.random.Shuffle(len(group), func(i, j int) { group[i], group[j] = group[j], group[i] })
	m.q.commit(group)
	for _, s := range group {
		if s.err != nil {
			m.t.Fatal(s.err)
		}
	}
}

func (m *laneBench) one(d *buffer.Delivery, v buffer.Verdict) {
	m.t.Helper()
	m.settle(map[*buffer.Delivery]buffer.Verdict{d: v})
}

func (m *laneBench) makePlaces() {
	m.t.Helper()
	m.q.mu.Lock()
	defer m.q.mu.Unlock()
	if err := m.q.makePlaces(); err != nil {
		m.t.Fatal(err)
	}
}

// drain delivers everything, and checks that nothing is left.
func (m *laneBench) drain() {
	m.t.Helper()
	for _, d := range slices.Clone(m.leased) {
		m.one(d, buffer.Delivered)
	}
	m.clock = m.clock.Add(time.Hour / 2)
	for d := m.lease(); d != nil; d = m.lease() {
		m.one(d, buffer.Delivered)
		m.check()
	}
	for s, left := range m.waiting {
		if len(left) > 0 {
			m.t.Fatalf("%q of %s are never handed out", left, s)
		}
	}
	if s := m.q.Stats(); s.Pending != 0 {
		m.t.Errorf("%+v at the end", s)
	}
	if n := m.entries(kindHead) + m.entries(kindTimer) + m.entries(kindFollower) + m.entries(kindPending) + len(m.q.lanes); n != 0 {
		m.t.Errorf("%d entries are left", n)
	}
}

// scan visits the entries of a kind.
func (m *laneBench) scan(kind byte, visit func(key, value []byte)) {
	m.t.Helper()
	p := prefix(kind, m.q.number)
	it, err := m.b.db.NewIter(&pebble.IterOptions{LowerBound: p, UpperBound: prefixEnd(p)})
	if err != nil {
		m.t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		visit(it.Key(), it.Value())
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		m.t.Fatal(err)
	}
}

func (m *laneBench) entries(kind byte) (n int) {
	m.t.Helper()
	m.scan(kind, func(_, _ []byte) { n++ })
	return n
}

// check compares what is on disk with what the package documentation says of it, and the counters of what is in memory.
func (m *laneBench) check() {
	m.t.Helper()
	m.q.mu.Lock()
	defer m.q.mu.Unlock()
	cursor, err := m.b.getUint64(prefix(kindCursor, m.q.number))
	if err != nil || cursor != m.q.cursor {
		m.t.Fatalf("cursor on disk: %d, %v; in memory: %d", cursor, err, m.q.cursor)
	}
	places, heads, timers := map[uint64]int{}, map[uint64]bool{}, map[uint64]bool{}
	m.scan(kindHead, func(key, _ []byte) { lane, _ := keyPart(key, 0); heads[lane] = true })
	m.scan(kindTimer, func(key, value []byte) {
		seq, _ := keyPart(key, 1)
		l, _ := decodeTimer(value)
		if places[seq]++; l.ordered && timers[l.lane] {
			m.t.Fatalf("lane %x has two heads on disk", l.lane)
		}
		timers[l.lane] = true
		if !heads[l.lane] {
			m.t.Fatalf("event %d is a head, but its lane has none", seq)
		}
	})
	if len(heads) != len(timers) {
		m.t.Fatalf("%d lanes have a head, and %d heads have a timer", len(heads), len(timers))
	}
	m.scan(kindFollower, func(key, _ []byte) { seq, _ := keyPart(key, 1); places[seq]++ })
	m.scan(kindPending, func(key, _ []byte) {
		seq, _ := keyPart(key, 0)
		if want := seq < cursor; places[seq] > 1 || (places[seq] == 1) != want {
			m.t.Fatalf("event %d has %d places on disk with the cursor at %d", seq, places[seq], cursor)
		}
		delete(places, seq)
	})
	if len(places) > 0 {
		m.t.Fatalf("events %v have places and are not pending", places)
	}
	m.checkMemory()
}

func (m *laneBench) checkMemory() {
	m.t.Helper()
	cached := 0
	for _, l := range m.q.ready {
		cached += len(l.record)
	}
	for _, ln := range m.q.lanes {
		if ln.next != nil {
			cached += len(ln.next.record)
		}
		for l := ln.first; l != nil; l = l.behind {
			cached += len(l.record)
		}
	}
	if cached != m.q.cached {
		m.t.Fatalf("records in memory: %d bytes, counted %d", cached, m.q.cached)
	}
}
