package delivery

import (
	"log/slog"
	"sync"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// The first deadBurst dead letters have a line each; those that follow within deadEvery of the first, and then of each summary, have one together: a
// target that answers 410 makes thousands a second.
const (
	deadEvery = 10 * time.Second
	deadBurst = 3
)

// deadLetters logs an endpoint's dead letters. None goes uncounted: the summary comes when its time is over, also if no other dead letter does.
type deadLetters struct {
	log *slog.Logger

	mu     sync.Mutex
	timer  *time.Timer // ends the time of a summary; nil: none is under way
	left   int         // lines of their own until then
	unsaid int
	last   deadLetter // of the unsaid
}

type deadLetter struct {
	id, kind string
	attempts int
	reason   string
}

func (l *deadLetters) add(d *buffer.Delivery, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer == nil {
		l.left = deadBurst
		l.timer = time.AfterFunc(deadEvery, l.turn)
	}
	one := deadLetter{id: d.Event.ID.String(), kind: d.Event.Type, attempts: d.Attempt, reason: reason}
	if l.left > 0 {
		l.left--
		l.log.Warn("Event became a dead letter", "id", one.id, "type", one.kind, "attempts", one.attempts, "reason", one.reason)
		return
	}
	l.unsaid++
	l.last = one
}

// turn ends the time of a summary, and begins another if there was anything to say.
func (l *deadLetters) turn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.timer == nil: // closed
	case l.unsaid == 0:
		l.timer = nil
	default:
		l.summarize()
		l.timer = time.AfterFunc(deadEvery, l.turn)
	}
}

// summarize is called with the lock held.
func (l *deadLetters) summarize() {
	l.log.Warn("More events became dead letters", "count", l.unsaid, "id", l.last.id, "type", l.last.kind, "attempts", l.last.attempts, "reason", l.last.reason)
	l.unsaid = 0
}

// close says what is unsaid. Nothing may be added any more.
func (l *deadLetters) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if l.unsaid > 0 {
		l.summarize()
	}
}
