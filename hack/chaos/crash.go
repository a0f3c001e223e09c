package main

import (
	"errors"
	"sync/atomic"
)

// sight is something that platforms or targets see of the receiver.
type sight int

const (
	sightAck  sight = iota // a platform was told that all is well
	sightTry               // a target was handed an event
	sightDone              // a target has answered for good
)

// doom ends a life at the instant at which something is seen of it for the n-th time: what was promised by then must be durable.
type doom struct {
	what  sight
	left  atomic.Int64
	crash func()
}

// dooms sets when this life ends.
func (l *life) dooms(what sight, times int, crash func()) {
	d := &doom{what: what, crash: crash}
	d.left.Store(int64(times))
	l.doom.Store(d)
}

// saw is called when something was seen, and noted.
func (l *life) saw(what sight) {
	if d := l.doom.Load(); d != nil && d.what == what && d.left.Add(-1) == 0 {
		d.crash()
	}
}

// end crashes the receiver: at once, or before one of its next operations on files, and starts it again. Half of these starts are cut off as well,
// if they come as far as the operation that is drawn; or what they have started is, later.
func (s *story) end(class string, percent int) error {
	l := s.live
	s.crashSoon(l, percent)
	s.count(class, "")
	for tries := 0; ; tries++ {
		next := s.newLife(l.after)
		if s.random.IntN(2) == 0 {
			next.faults.arm(rule{
				kinds: []kind{pick(s.random, opWrite, opSync, opCreate, opRename, opRemove)}, skip: s.random.IntN(10), times: 1,
				crash: func() { next.crash(percent) },
			})
		}
		if err := next.start(); err == nil {
			s.enter(next)
			return s.recover()
		} else if !errors.Is(err, errDied) || tries == 3 {
			next.crash(100)
			return s.again(next)
		}
		s.count(class, "")
		l = next
	}
}

// crashSoon ends a life: at once, before one of its next operations on files, or at the instant at which it has made a promise. For that, the
// target holds back its answers for a while: then no settlement's sync makes durable what came in, which must be so by itself; and when it goes on,
// subjects have something waiting behind what is settled.
func (s *story) crashSoon(l *life, percent int) {
	crash := func() { l.crash(percent) }
	switch s.random.IntN(6) {
	case 0:
	case 1, 2:
		l.faults.arm(rule{
			kinds: []kind{pick(s.random, opWrite, opSync, opSync, opCreate, opRename, opRemove)}, skip: s.random.IntN(30), times: 1, crash: crash,
		})
		l.over(50)
	case 3, 4:
		free := s.holdTargets()
		l.dooms(sightAck, 1+s.random.IntN(30), crash)
		s.deal(30)
		l.over(100)
		defer free()
	default:
		free := s.holdTargets()
		s.progress(30)
		l.dooms(pick(s.random, sightTry, sightTry, sightDone), 1+s.random.IntN(30), crash)
		free()
		l.over(100)
	}
	crash()
}

// holdTargets has all targets hold back their answers until free is called.
func (s *story) holdTargets() (free func()) {
	stuck := make(chan struct{})
	m := *s.mood.Load()
	m.stuck = stuck
	s.mood.Store(&m)
	return func() { close(stuck) }
}
