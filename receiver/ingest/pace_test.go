package ingest

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// storeModel plays a store that commits all that wait, or up to most of them, every so often, against a clock that only it moves.
type storeModel struct {
	p      pace
	now    time.Time
	queue  []place
	commit time.Duration
	most   int
	next   time.Time

	waits []time.Duration
}

func newStoreModel(commit time.Duration, most int) *storeModel {
	now := time.Unix(1772366400, 0)
	return &storeModel{now: now, commit: commit, most: most, next: now.Add(commit)}
}

// offer has callbacks come evenly for a time, and returns how many of them were refused.
func (m *storeModel) offer(perSecond int, d time.Duration) (refused, offered int) {
	gap := time.Second / time.Duration(perSecond)
	for end := m.now.Add(d); m.now.Before(end); m.now = m.now.Add(gap) {
		for !m.next.After(m.now) {
			m.store(m.next)
			m.next = m.next.Add(m.commit)
		}
		offered++
		if m.p.full(lazadaHalf, 0, m.now) {
			refused++
			continue
		}
		m.queue = append(m.queue, m.p.enter(m.now))
	}
	return refused, offered
}

func (m *storeModel) store(at time.Time) {
	n := min(len(m.queue), m.most)
	for _, q := range m.queue[:n] {
		m.waits = append(m.waits, at.Sub(q.since))
		m.p.leave(q, func() time.Time { return at })
	}
	m.queue = m.queue[n:]
}

func (m *storeModel) longest() time.Duration {
	var longest time.Duration
	for _, w := range m.waits {
		longest = max(longest, w)
	}
	return longest
}

const lazadaHalf = 250 * time.Millisecond

// At twice what the store takes, and at five times, the surplus is refused, the store stays busy, and what is taken is stored in time.
func TestPace_overload(t *testing.T) {
	for _, times := range []int{2, 5} {
		for _, commit := range []time.Duration{time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond} {
			t.Run(fmt.Sprintf("%d times, a commit takes %s", times, commit), func(t *testing.T) {
				const capacity = 4000 // a second
				m := newStoreModel(commit, int(capacity*commit/time.Second))
				if refused, _ := m.offer(capacity*9/10, 5*time.Second); refused != 0 {
					t.Errorf("%d callbacks were refused before the overload", refused)
				}
				m.offer(capacity*times, 2*time.Second) // it learns
				m.waits = nil
				const long = 20 * time.Second
				refused, offered := m.offer(capacity*times, long)
				if stored := len(m.waits); float64(stored) < 0.95*capacity*long.Seconds() {
					t.Errorf("%d callbacks were stored: the store had nothing to do at times", stored)
				}
				if least := offered * (times - 1) / times * 9 / 10; refused < least {
					t.Errorf("%d of %d callbacks were refused, want at least %d", refused, offered, least)
				}
				if longest := m.longest(); longest > lazadaHalf {
					t.Errorf("a callback that was taken waited %s", longest)
				}
				// Load drops: nothing is refused from the moment on that few wait.
				m.offer(capacity/10, lazadaHalf)
				if refused, _ := m.offer(capacity/2, 5*time.Second); refused != 0 {
					t.Errorf("%d callbacks were refused after the overload", refused)
				}
			})
		}
	}
}

// A burst after a quiet time is no overload: a store that takes all that wait at once takes it too.
func TestPace_burst(t *testing.T) {
	m := newStoreModel(10*time.Millisecond, 1<<20)
	m.offer(100, 10*time.Second)
	m.now = m.now.Add(time.Minute)
	m.next = m.now.Add(m.commit)
	for range 10 {
		if refused, _ := m.offer(100_000, 20*time.Millisecond); refused != 0 {
			t.Fatalf("%d callbacks of a burst were refused", refused)
		}
		m.offer(100, time.Second)
	}
}

// Where the store is fast, those that wait for it in an overload take no more than their half of the connections, once there are hardly any others. A
// burst may take more.
func TestPace_crowd(t *testing.T) {
	const capacity, connections = 40_000, 2000 // 2000 wait for 50 ms
	open := connections
	newModel := func() *storeModel {
		m := newStoreModel(5*time.Millisecond, capacity/200)
		m.p.hold(connections, func() int { return open })
		return m
	}
	burst := func(m *storeModel) {
		t.Helper()
		if refused, _ := m.offer(2*capacity, 40*time.Millisecond); refused != 0 {
			t.Errorf("%d callbacks of a burst were refused", refused)
		}
		if len(m.queue) <= connections/2 {
			t.Fatalf("%d of a burst wait: this tests nothing", len(m.queue))
		}
	}
	m := newModel()
	m.offer(capacity*9/10, 5*time.Second) // many wait all the time
	for range 3 {
		burst(m)
		m.offer(capacity/2, time.Second)
	}
	m = newModel()
	m.offer(2*capacity, 2*lazadaHalf) // it begins as a burst does
	m.waits = nil
	refused, offered := m.offer(2*capacity, 5*time.Second)
	if len(m.queue) > connections/2 || m.longest() > 40*time.Millisecond {
		t.Errorf("%d callbacks wait, and waited for %s, while half of the %d connections are for those that don't", len(m.queue), m.longest(), connections)
	}
	if stored := len(m.waits); stored < capacity*5*99/100 || refused < offered*49/100 {
		t.Errorf("%d callbacks of %d were stored and %d refused, want half of them each", stored, offered, refused)
	}
	m.offer(capacity/10, lazadaHalf)
	if refused, _ := m.offer(capacity/2, 5*time.Second); refused != 0 {
		t.Errorf("%d callbacks were refused after the overload", refused)
	}
	open = connections * 3 / 4
	m.offer(2*capacity, 2*lazadaHalf)
	if len(m.queue) <= connections/2 {
		t.Errorf("no more than %d wait although there are connections for others", len(m.queue))
	}
}

// The bound of crowds comes from that of connections, and so does what is short.
func TestHandler_crowd(t *testing.T) {
	for connections, want := range map[int]int64{1: 2 * alwaysStored, 256: 128} {
		if h := NewHandler(Options{MaxConnections: connections}); h.pace.crowd != want {
			t.Errorf("of %d connections %d may have callbacks that wait, want %d", connections, h.pace.crowd, want)
		}
	}
	h := NewHandler(Options{MaxConnections: 256})
	for open := range 256 {
		if got, want := h.pace.short(), open >= 224; got != want {
			t.Fatalf("of 256 connections %d are open, and they are short: %t, want %t", open, got, want)
		}
		h.roster.Enter(func() {})
	}
}

// A slow disk that stores all that wait in each commit refuses nobody, as all are answered in time.
func TestPace_slowDisk(t *testing.T) {
	m := newStoreModel(80*time.Millisecond, 1<<20)
	for _, perSecond := range []int{100, 1000, 5000, 20_000} {
		if refused, offered := m.offer(perSecond, 5*time.Second); refused != 0 {
			t.Errorf("%d of %d callbacks were refused at %d a second", refused, offered, perSecond)
		}
	}
	if longest := m.longest(); longest > lazadaHalf {
		t.Errorf("a callback waited %s", longest)
	}
}

// While nothing leaves the queue it does not grow, and once it is short everything is as before.
func TestPace_stall(t *testing.T) {
	m := newStoreModel(10*time.Millisecond, 1<<20)
	m.offer(2000, time.Second)
	m.next = m.now.Add(3 * time.Second) // a flush that takes three seconds
	m.offer(2000, 200*time.Millisecond)
	held := len(m.queue)
	if refused, offered := m.offer(2000, 2*time.Second); refused != offered || len(m.queue) != held {
		t.Errorf("%d of %d were refused while nothing left the queue", refused, offered)
	}
	m.offer(2000, time.Second) // in which the flush ends
	if refused, _ := m.offer(2000, 5*time.Second); refused != 0 {
		t.Errorf("%d callbacks were refused after the stall", refused)
	}
}

func TestPace_full(t *testing.T) {
	now := time.Unix(1772366400, 0)
	fill := func(n int) *pace {
		p := &pace{}
		for range n {
			p.enter(now)
		}
		return p
	}
	tests := map[string]struct {
		waiting       int
		half, elapsed time.Duration
		at            time.Duration
		want          bool
	}{
		"nobody waits, whatever has elapsed": {0, lazadaHalf, time.Minute, 0, false},
		"few wait and nothing moves":         {alwaysStored - 1, lazadaHalf, 0, time.Minute, false},
		"many wait and nothing is known":     {alwaysStored, lazadaHalf, 0, 0, false},
		"many wait, the time is used up":     {alwaysStored, lazadaHalf, lazadaHalf + 1, 0, true},
		"many wait and nothing moves":        {alwaysStored, lazadaHalf, 0, lazadaHalf, true},
		"the same, with a longer limit":      {alwaysStored, 4 * lazadaHalf, 0, lazadaHalf, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := fill(tt.waiting).full(tt.half, tt.elapsed, now.Add(tt.at)); got != tt.want {
				t.Errorf("full: %t, want %t", got, tt.want)
			}
		})
	}
	p := fill(alwaysStored)
	p.giveUp()
	if diff := cmp.Diff(int64(alwaysStored-1), p.waiting.Load()); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}
}

// What a callback has waited for a processor before anybody could see it counts as well.
func TestPace_unseenWait(t *testing.T) {
	now := time.Unix(1772366400, 0)
	waited := 0.1 // seconds
	p := &pace{delay: func() float64 { return waited }}
	var places []place
	for range 2 * alwaysStored {
		places = append(places, p.enter(now))
	}
	learn := func(from, to int) {
		for _, at := range places[from:to] {
			now = now.Add(paceWindow)
			at.since = now
			p.leave(at, func() time.Time { return now })
		}
	}
	learn(alwaysStored, alwaysStored+3)
	if p.full(lazadaHalf, 0, now) {
		t.Error("refused although all of its wait is within the half")
	}
	if !p.full(lazadaHalf, 160*time.Millisecond, now) {
		t.Error("what it waited unseen does not count")
	}
	waited = 0.3
	learn(alwaysStored+3, alwaysStored+6)
	if !p.full(lazadaHalf, 0, now) {
		t.Error("taken although its time was over before it was seen")
	}
	for _, at := range places[:alwaysStored] {
		p.leave(at, func() time.Time { return now })
	}
	if p.full(lazadaHalf, 0, now) {
		t.Error("refused although few wait")
	}
}

func TestScheduler(t *testing.T) {
	tests := map[string]struct {
		counts []uint64
		want   float64
	}{
		"nothing":                 {[]uint64{0, 0, 0}, 0},
		"all short":               {[]uint64{100, 0, 0}, 1},
		"nine of ten short":       {[]uint64{90, 10, 0}, 1},
		"more than one of ten":    {[]uint64{89, 11, 0}, 2},
		"longer than can be told": {[]uint64{0, 0, 5}, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := quantile(tt.counts, []float64{0, 1, 2, math.Inf(1)}, usualDelay); got != tt.want {
				t.Errorf("quantile: %v, want %v", got, tt.want)
			}
		})
	}
	s := newScheduler()
	s.delay()
	if got := s.delay(); got < 0 || got > 60 {
		t.Errorf("the delay is %v s", got)
	}
	if len(s.before) == 0 {
		t.Errorf("the runtime does not tell %s", schedulerDelays)
	}
}
