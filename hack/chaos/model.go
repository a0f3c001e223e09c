package main

import (
	"fmt"
	"sync"

	"github.com/hookbay/hookbay/receiver/event"
)

// record is what the model knows of one callback.
type record struct {
	endpoint   string
	subject, n int
	sends      int
	acked      bool
	done       bool // delivered, or refused by the target for good, as the target answered it
	reject     bool // the target refuses it, always
	deliveries int
	doneAt     int // the model's clock when it was done for the first time
	triedAt    int // and when it was last tried
	id         event.ID
}

func (r *record) String() string { return fmt.Sprintf("%s %d/%d", r.endpoint, r.subject, r.n) }

// lane is a subject of an endpoint.
type lane struct {
	endpoint string
	subject  int
}

// model holds what was sent and acknowledged against what comes out.
//
// What the promises mean here, where a subject's callbacks are sent one after another:
//
//   - every body that comes out was sent, byte for byte, and carries one id, its own
//   - an attempt is made only when all callbacks that were acknowledged before, of its subject, are done; and never while another of its
//     subject is under way
//   - what is done is not tried again once a later one of its subject was tried after that, since that one waits for a settlement that is
//     durable; a later one may have been tried before, while this one was not acknowledged yet
//   - in the end all that was acknowledged is done
type model struct {
	mu       sync.Mutex
	bodies   map[string]*record
	ids      map[string]*record // by endpoint and id
	lanes    map[lane][]*record
	subjects map[string]lane   // by endpoint and the subject's name: each name has one lane
	busy     map[lane]*attempt // of the life that is on
	loose    map[string]bool   // endpoints whose order is not promised any more
	damaged  bool              // bytes were damaged and the receiver said so: something may be missing, or come again
	clock    int               // counts what happens
	jumped   bool              // the clock was set: what is repeated may be outside of the window
	problems []string

	acked, delivered, repeats, rejected int
}

// attempt is a delivery under way.
type attempt struct{ r *record }

func newModel() *model {
	return &model{
		bodies: map[string]*record{}, ids: map[string]*record{}, lanes: map[lane][]*record{}, subjects: map[string]lane{},
		busy: map[lane]*attempt{}, loose: map[string]bool{},
	}
}

// object notes a broken promise. The first few tell the story.
func (m *model) object(format string, args ...any) {
	if len(m.problems) < 20 {
		m.problems = append(m.problems, fmt.Sprintf(format, args...))
	}
}

// complain is object, for those who do not hold the lock.
func (m *model) complain(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.object(format, args...)
}

// send notes that a callback is about to be sent.
func (m *model) send(r *record, body []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.sends++; r.sends > 1 {
		m.repeats++
		return
	}
	m.bodies[r.endpoint+string(body)] = r
	l := lane{r.endpoint, r.subject}
	m.lanes[l] = append(m.lanes[l], r)
}

// ack notes that the platform was told that all is well.
func (m *model) ack(r *record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !r.acked {
		r.acked = true
		m.acked++
	}
}

// begin judges a delivery attempt. Nil: it is of nothing that was sent.
func (m *model) begin(e *event.Event) *attempt {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.bodies[e.Endpoint+string(e.Body)]
	if r == nil {
		m.object("%s: delivered what nobody sent, or changed: %.80q", e.Endpoint, e.Body)
		return nil
	}
	l := lane{r.endpoint, r.subject}
	m.identity(r, l, e)
	a := &attempt{r}
	if !m.loose[r.endpoint] && !m.damaged {
		m.order(r, l)
	}
	m.clock++
	r.triedAt = m.clock
	m.busy[l] = a
	return a
}

// identity checks that an event's id and subject are its own.
func (m *model) identity(r *record, l lane, e *event.Event) {
	if r.id != (event.ID{}) && r.id != e.ID {
		m.object("%s comes with two ids", r)
	}
	r.id = e.ID
	if other := m.ids[r.endpoint+e.ID.String()]; other != nil && other != r {
		m.object("%s has the id of %s", r, other)
	}
	m.ids[r.endpoint+e.ID.String()] = r
	if other, known := m.subjects[r.endpoint+e.Subject]; known && other != l {
		m.object("%s comes with the subject of %v", r, other)
	}
	m.subjects[r.endpoint+e.Subject] = l
}

// order checks an attempt's turn.
func (m *model) order(r *record, l lane) {
	if b := m.busy[l]; b != nil {
		m.object("%s is tried while %s of its subject is under way", r, b.r)
	}
	for _, other := range m.lanes[l] {
		switch {
		case other.n < r.n && other.acked && !other.done:
			m.object("%s overtakes %s", r, other)
		case other.n > r.n && r.done && other.triedAt > r.doneAt && (!m.jumped || r.sends == 1):
			m.object("%s, sent %d times and delivered %d, comes again after %s, sent %d times and delivered %d",
				r, r.sends, r.deliveries, other, other.sends, other.deliveries)
		}
	}
}

// finish notes what the target answered.
func (m *model) finish(a *attempt, done bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := lane{a.r.endpoint, a.r.subject}
	if m.busy[l] == a {
		delete(m.busy, l)
	}
	if !done {
		return
	}
	if !a.r.done && a.r.reject {
		m.rejected++
	}
	if !a.r.reject {
		m.delivered++
		a.r.deliveries++
	}
	if m.clock++; !a.r.done {
		a.r.done, a.r.doneAt = true, m.clock
	}
}

// died notes that all attempts under way are nobody's any more.
func (m *model) died() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.busy)
}

// now is the model's clock.
func (m *model) now() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clock
}

// missing counts what was acknowledged and is not done, and names one.
func (m *model) missing() (n int, one string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, records := range m.lanes {
		for _, r := range records {
			if r.acked && !r.done {
				n, one = n+1, r.String()
			}
		}
	}
	return n, one
}

// loosen gives up an endpoint's order.
func (m *model) loosen(endpoint string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loose[endpoint] = true
}

func (m *model) set(flag *bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*flag = true
}

func (m *model) failed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.problems) > 0
}
