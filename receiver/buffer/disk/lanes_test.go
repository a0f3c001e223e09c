package disk

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// TestLanes_atRandom makes steps at random and after each compares the disk with what is said of it.
func TestLanes_atRandom(t *testing.T) {
	for seed := range uint64(150) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			m := newLaneBench(t, seed)
			for range 120 {
				m.step()
				m.check()
			}
			m.drain()
		})
	}
}

func (m *laneBench) step() {
	m.t.Helper()
	switch m.random.IntN(12) {
	case 0, 1, 2:
		var subjects []string
		for range 1 + m.random.IntN(6) {
			subjects = append(subjects, fmt.Sprint(m.random.IntN(4)))
		}
		m.append(subjects...)
	case 3, 4:
		m.lease()
	case 5, 6, 7, 8:
		verdicts := map[*buffer.Delivery]buffer.Verdict{}
		for _, d := range m.leased {
			switch m.random.IntN(8) {
			case 0:
				verdicts[d] = buffer.Retry
			case 1:
				verdicts[d] = buffer.Dead
			case 2, 3, 4, 5:
				verdicts[d] = buffer.Delivered
			}
		}
		m.settle(verdicts)
	case 9:
		if n := len(m.leased); n > 0 {
			i := m.random.IntN(n)
			m.q.Release(m.leased[i])
			m.leased = slices.Delete(m.leased, i, i+1)
		}
		m.clock = m.clock.Add(faultSettings.Retention / 10000)
	case 10:
		if m.random.IntN(2) == 0 {
			m.makePlaces()
		} else if err := m.b.Sweep(); err != nil {
			m.t.Fatal(err)
		}
	case 11:
		m.restart(m.random.IntN(2) == 0)
	}
}

// An event that is delivered at its first attempt leaves nothing on disk but its end, and the cursor follows.
func TestLanes_deliveredAtOnce(t *testing.T) {
	m := newLaneBench(t, 1)
	for n := range 2 * keepCursorEvery {
		m.append(fmt.Sprint(n%3), fmt.Sprint(n%3))
		for range 2 {
			m.one(m.lease(), buffer.Delivered)
		}
		if n := m.entries(kindHead) + m.entries(kindTimer) + m.entries(kindFollower); n != 0 {
			t.Fatalf("%d places of events that never had to wait are on disk", n)
		}
	}
	if behind := m.q.admitted - m.q.cursor; behind > keepCursorEvery {
		t.Errorf("the stored cursor is %d events behind", behind)
	}
	m.check()
	m.append("0")
	m.one(m.lease(), buffer.Delivered)
	m.restart(false)
	if m.q.cursor != m.q.tail.Load()+1 {
		t.Errorf("the cursor is at %d after an orderly end behind event %d", m.q.cursor, m.q.tail.Load())
	}
	if d := m.lease(); d != nil {
		t.Errorf("%q comes again", d.Event.Body)
	}
	m.drain()
}

// What waits when a head is to be tried again goes to disk with it; what comes later stays behind it in memory.
func TestLanes_retryWithFollowers(t *testing.T) {
	for name, powerLoss := range map[string]func(m *laneBench){
		"no restart":                          func(*laneBench) {},
		"a power loss before the retry":       nil,
		"a power loss right behind the retry": func(m *laneBench) { m.restart(true) },
		"an orderly restart":                  func(m *laneBench) { m.restart(false) },
	} {
		t.Run(name, func(t *testing.T) {
			m := newLaneBench(t, 3)
			m.append("a", "a", "b", "a", "b", "c")
			m.leaseAll()
			if powerLoss == nil {
				m.restart(true)
				m.leaseAll()
				powerLoss = func(*laneBench) {}
			}
			m.one(m.leased[0], buffer.Retry)
			powerLoss(m)
			if n := m.entries(kindFollower); n != 3 {
				t.Errorf("%d followers are on disk, want three", n)
			}
			m.append("a", "b", "a") // a's stay behind those on disk, although its head is there too
			m.leaseAll()
			m.check()
			m.clock = m.clock.Add(faultSettings.Retention / 2)
			m.drain()
		})
	}
}

// A retry in the same commit as deliveries puts the followers of their lanes on disk: none may be left behind there.
func TestLanes_retryAmongDeliveries(t *testing.T) {
	for seed := range uint64(8) { // the order within the commit differs
		m := newLaneBench(t, seed)
		m.append("a", "b", "c", "a", "b", "c", "a", "b")
		m.leaseAll()
		m.settle(map[*buffer.Delivery]buffer.Verdict{m.leased[0]: buffer.Delivered, m.leased[1]: buffer.Retry, m.leased[2]: buffer.Dead})
		m.check()
		m.drain()
	}
}

// Memory holds a bounded part of a backlog, of whose subjects one is stuck.
func TestLanes_bounded(t *testing.T) {
	m := newLaneBench(t, 1)
	m.append("stuck")
	m.one(m.lease(), buffer.Retry)
	const events, batch = 50_000, 500
	subjects := slices.Repeat([]string{"stuck"}, batch)
	for n := range events / batch {
		subjects[0] = fmt.Sprint("other", n)
		m.append(subjects...)
		m.one(m.lease(), buffer.Delivered)
		if len(m.q.fresh) > freshTarget+readyTarget || len(m.q.lanes) > readyTarget || m.q.cached > readyBytes {
			t.Fatalf("memory holds %d fresh events, %d lanes, %d bytes of records", len(m.q.fresh), len(m.q.lanes), m.q.cached)
		}
	}
	m.makePlaces()
	if d := m.lease(); d != nil || len(m.q.lanes) != 0 {
		t.Errorf("%v is due, and memory holds %d lanes; want nothing but what waits on disk", d, len(m.q.lanes))
	}
	m.check()
	m.restart(true)
	m.clock = m.clock.Add(faultSettings.Retention / 2)
	for range 1000 {
		m.one(m.lease(), buffer.Delivered)
	}
	m.check()
}

// A lease that is never settled holds up neither the cursor nor anything else.
func TestLanes_leasedForLong(t *testing.T) {
	m := newLaneBench(t, 1)
	m.append("slow")
	slow := m.lease()
	m.append("slow")
	for range freshTarget + readyTarget {
		m.append("other")
		m.one(m.lease(), buffer.Delivered)
	}
	if slow.Lease.(*lease).stored != true || m.q.admitted-m.q.cursor > freshTarget+readyTarget { //nolint:forcetypeassert // what this package makes
		t.Errorf("the cursor is at %d, and %d were admitted", m.q.cursor, m.q.admitted)
	}
	m.check()
	m.drain()
}

// TestLanes_olderStore opens what the first version of this package left: places of every admitted event, however soon it was leased.
func TestLanes_olderStore(t *testing.T) {
	m := newLaneBench(t, 1)
	m.append("a", "a", "b", "a", "b", "a") // 1 to 6; the last was not admitted yet
	const now = 7
	a, b := laneOf([]byte("a")), laneOf([]byte("b"))
	batch := m.b.db.NewBatch()
	for _, set := range []struct{ key, value []byte }{
		{seqKey(kindHead, 0, a), nil},
		{seqKey(kindTimer, 0, now, 1), encodeTimer(&lease{attempts: 2, lane: a, ordered: true})},
		{seqKey(kindFollower, 0, a, 2), nil},
		{seqKey(kindFollower, 0, a, 4), nil},
		{seqKey(kindHead, 0, b), nil},
		{seqKey(kindTimer, 0, now, 3), encodeTimer(&lease{lane: b, ordered: true})},
		{seqKey(kindFollower, 0, b, 5), nil},
		{prefix(kindCursor, 0), uint64Value(6)},
	} {
		must(batch.Set(set.key, set.value, nil))
	}
	if err := errors.Join(m.b.db.Apply(batch, pebble.Sync), batch.Close()); err != nil {
		t.Fatal(err)
	}
	m.q.cursor, m.q.admitted = 6, 6
	m.attempts["a 1"] = 2
	m.restart(true)
	m.append("b", "c")
	m.check()
	m.leaseAll()
	if len(m.leased) != 3 {
		t.Errorf("%d subjects are handed out, want all three", len(m.leased))
	}
	m.drain()
}
