package delivery

import "time"

// TargetState is what is known of a target, for people to look at.
type TargetState struct {
	// Down says that deliveries pause, but for a probe now and then.
	Down bool
	// Since is when it went down; zero while it is up.
	Since time.Time
	// NextTry is when the next probe is due, if an event is; zero while the target is up, or a probe is under way.
	NextTry time.Time
	// LastFailure is of the last attempt that delivered nothing, however long ago; its At is zero if there was none.
	LastFailure Failure
}

// Failure is an attempt that delivered nothing.
type Failure struct {
	At time.Time
	// Outcome is one of target.Outcomes.
	Outcome string
	// Detail says what happened and what to do, as the log does.
	Detail string
}

// State tells how the target is, since this Dispatcher began.
func (d *Dispatcher) State() TargetState { return d.breaker.state() }

// State tells how the target is, since Aim named it; the zero TargetState if the Direct is closed.
func (d *Direct) State() TargetState {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.aim == nil {
		return TargetState{}
	}
	return d.aim.breaker.state()
}

func (b *breaker) state() TargetState {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := TargetState{Down: b.allowed == 0, LastFailure: b.last}
	if s.Down {
		s.Since = b.opened
		if !b.probing {
			s.NextTry = b.probeAt
		}
	}
	return s
}
