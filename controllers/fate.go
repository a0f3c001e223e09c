package controllers

import (
	"errors"
	"fmt"
	"time"
)

// fate says what becomes of an endpoint with a problem.
type fate int

const (
	// waiting: it is mended by time, or by somebody whose doings are watched.
	waiting fate = iota
	// terminal: only a change of the spec, or of something that people look after, can mend it. It is not tried again before that.
	terminal
)

// problem is what a step can't mend. It makes one condition False (or Unknown), and does not stop the steps after it. All other errors are
// transient: they end the round, which is tried again, with growing pauses.
type problem struct {
	fate      fate
	condition string // of the types in the API package
	reason    string // of the reasons in the API package
	message   string // for people: says what to do, and does not vary while nothing changes
}

func (p *problem) Error() string { return p.condition + ": " + p.message }

func wait(condition, reason, format string, args ...any) *problem {
	return &problem{fate: waiting, condition: condition, reason: reason, message: fmt.Sprintf(format, args...)}
}

func stall(condition, reason, format string, args ...any) *problem {
	return &problem{fate: terminal, condition: condition, reason: reason, message: fmt.Sprintf(format, args...)}
}

// The pauses between rounds in which nothing that is watched happens.
const (
	// soon is for what is under way: pods that take a new configuration, a replica that delivers its last events.
	soon = time.Second
	// steady is for an endpoint at rest: its traffic is gathered this often.
	steady = 30 * time.Second
)

// note takes the problems out of a step's error, and returns the rest of it: transient errors.
func (r *round) note(err error) error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		var rest []error
		for _, e := range joined.Unwrap() {
			rest = append(rest, r.note(e))
		}
		return errors.Join(rest...)
	}
	if p, ok := errors.AsType[*problem](err); ok {
		r.problems = append(r.problems, p)
		return nil
	}
	return err
}

// problemWith returns the first problem that a condition has, or nil.
func (r *round) problemWith(condition string) *problem {
	for _, p := range r.problems {
		if p.condition == condition {
			return p
		}
	}
	return nil
}
