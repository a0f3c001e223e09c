// Package conns bounds the connections of a port, so that a flood of them can't keep the good ones out.
//
// At the bound a new connection is neither refused nor left waiting: it takes the place of the one that deserves its own least. A connection
// that has never done what the port is for is a stranger, and the oldest stranger goes first. So connections that somebody opens and
// leaves open, or feeds byte by byte, displace each other. Only if there is no stranger, the connection goes that has been idle for longest. One
// that is at work never goes.
package conns

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Why a connection was displaced: the label of the metric.
const (
	whyStranger = "stranger"
	whyIdle     = "idle"
	whyNewcomer = "newcomer" // all others were at work
)

// Roster holds the connections of one port.
type Roster struct {
	most    int
	metrics portMetrics

	mu        sync.Mutex
	open      int
	strangers list // the oldest first
	known     list // those that have proven themselves, in no order
}

// NewRoster returns a roster of a port, "callbacks" or "admin", which has room for most connections.
func NewRoster(port string, most int, m *Metrics) *Roster {
	r := &Roster{most: max(most, 1), metrics: m.port(port)}
	r.metrics.limit.Set(float64(r.most))
	r.strangers.init()
	r.known.init()
	return r
}

// Open is how many connections there are.
func (r *Roster) Open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open
}

// Entry is one connection's place in the roster.
type Entry struct {
	roster *Roster
	end    func() // closes the connection

	busy     atomic.Bool
	proven   atomic.Bool
	lastUsed atomic.Int64 // Unix nanoseconds

	on         *list // guarded by roster.mu; nil: it has left
	next, prev *Entry
}

// Enter takes a place for a connection that end closes, if need be in place of another one, which is closed. It is nil, and end was
// called, if all others are at work.
func (r *Roster) Enter(end func()) *Entry {
	e := &Entry{roster: r, end: end}
	var gone *Entry
	why := ""
	r.mu.Lock()
	if r.open >= r.most {
		if gone, why = r.least(); gone == nil {
			r.mu.Unlock()
			r.metrics.displaced(whyNewcomer)
			end()
			return nil
		}
		r.remove(gone)
	}
	r.strangers.push(e)
	r.open++
	r.metrics.open.Set(float64(r.open))
	r.mu.Unlock()
	if gone != nil {
		r.metrics.displaced(why)
		gone.end()
		// Those that have just come in are served before more come in: a flood must not displace a good one before it can prove itself.
		runtime.Gosched()
	}
	return e
}

// Displace closes the connection that deserves its place least, and says whether there was one. It makes room where the process, not
// the roster, has too many files open.
func (r *Roster) Displace() bool {
	r.mu.Lock()
	gone, why := r.least()
	if gone != nil {
		r.remove(gone)
	}
	r.mu.Unlock()
	if gone == nil {
		return false
	}
	r.metrics.displaced(why)
	gone.end()
	return true
}

// least is the connection that deserves its place least, or nil if all are at work. Looking through those that are known is not cheap, but
// happens at most once before there is a stranger: the newcomer that it is for.
func (r *Roster) least() (*Entry, string) {
	for e := r.strangers.root.next; e != &r.strangers.root; e = e.next {
		if !e.busy.Load() {
			return e, whyStranger
		}
	}
	var longest *Entry
	for e := r.known.root.next; e != &r.known.root; e = e.next {
		if !e.busy.Load() && (longest == nil || e.lastUsed.Load() < longest.lastUsed.Load()) {
			longest = e
		}
	}
	return longest, whyIdle
}

func (r *Roster) remove(e *Entry) {
	if e.on != nil {
		e.unlink()
		r.open--
		r.metrics.open.Set(float64(r.open))
	}
}

// Leave gives the place back. It may be called more than once, and for a connection that was displaced.
func (e *Entry) Leave() {
	e.roster.mu.Lock()
	defer e.roster.mu.Unlock()
	e.roster.remove(e)
}

// Begin says that the connection now does what the port is for, which proves it for good, and that it is at work until End.
func (e *Entry) Begin() {
	e.busy.Store(true)
	if e.proven.Load() {
		return
	}
	e.roster.mu.Lock()
	defer e.roster.mu.Unlock()
	if e.on != nil {
		e.unlink()
		e.roster.known.push(e)
	}
	e.proven.Store(true)
}

// End says that the work is done. now is what its idleness counts from.
func (e *Entry) End(now time.Time) {
	e.lastUsed.Store(now.UnixNano())
	e.busy.Store(false)
}

// Proven says whether the connection has ever begun to do what the port is for.
func (e *Entry) Proven() bool { return e.proven.Load() }

// list is a ring of entries around a root that is none.
type list struct{ root Entry }

func (l *list) init() { l.root.next, l.root.prev = &l.root, &l.root }

// push puts e at the end.
func (l *list) push(e *Entry) {
	e.on, e.prev, e.next = l, l.root.prev, &l.root
	e.prev.next, e.next.prev = e, e
}

func (e *Entry) unlink() {
	e.prev.next, e.next.prev = e.next, e.prev
	e.on, e.prev, e.next = nil, nil, nil
}
