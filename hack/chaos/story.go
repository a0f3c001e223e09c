package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The classes of faults, and what is seen of them.
const (
	classKill    = "kill"
	classPower   = "power loss"
	classStop    = "orderly stop"
	classFull    = "ENOSPC"
	classWrite   = "EIO on write"
	classSync    = "EIO on fsync"
	classSlow    = "slow fsync"
	classTorn    = "torn tail"
	classFlip    = "flipped bytes"
	classCut     = "file cut short"
	classClock   = "clock jump"
	classConfig  = "config swap"
	classSecret  = "secret swap"
	classTarget  = "failing target"
	effect503    = "answers 503"
	effectExit   = "own exits"
	effectDamage = "damage reports"
	effectRefuse = "refused starts"
	effectCopy   = "copies put back"
	effectCutOff = "stories cut off"

	effectNoAnswer = "no answer"
	effectRefused  = "refused in a swap"
)

// allClasses are those that a story can be told of; the target fails in all.
var allClasses = []string{
	classKill, classPower, classStop, classFull, classWrite, classSync, classSlow, classTorn, classFlip, classCut, classClock, classConfig, classSecret,
}

// result is what came of one story.
type result struct {
	Seed      uint64
	Classes   []string
	Counts    map[string]int
	Problems  []string
	Lives     int
	Acked     int
	Delivered int
	Repeats   int
	Dead      int
	Lost      int // to damage that was reported

	log string // all of it
}

// story is a run: what the seed says happens, in this order.
type story struct {
	*world
	classes []string
	cancel  context.CancelFunc
}

// run tells the story of a seed.
func run(seed uint64, only []string, verbose io.Writer) *result {
	w := newWorld(seed, verbose)
	s := &story{world: w, classes: w.choose(only)}
	if err := s.tell(); err != nil {
		w.model.complain("%v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	r := &result{
		Seed: seed, Classes: s.classes, Counts: maps.Clone(w.counts), Problems: w.model.problems, Lives: w.lives,
		Acked: w.model.acked, Delivered: w.model.delivered, Repeats: w.model.repeats, Dead: w.model.rejected,
	}
	if w.model.damaged {
		r.Lost, _ = w.model.missing()
	}
	return r
}

// choose draws two to four classes.
func (w *world) choose(only []string) []string {
	if len(only) > 0 {
		return only
	}
	order := w.random.Perm(len(allClasses))
	var some []string
	for _, i := range order[:2+w.random.IntN(3)] {
		some = append(some, allClasses[i])
	}
	return some
}

func (s *story) tell() error {
	if err := s.found(); err != nil {
		return err
	}
	if err := s.begin(s.newLife(vfs.NewCrashableMem())); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.cancel = cancel
	s.send(ctx)
	steps := 4 + s.random.IntN(6)
	for i := 0; i < steps && !s.model.failed(); i++ {
		s.mood.Store(&mood{failing: pick(s.random, 0, 0, 5, 30, 90), slow: time.Duration(s.random.IntN(6)) * time.Millisecond})
		s.progress(5 + s.random.IntN(50))
		s.deal(5 + s.random.IntN(50)) // while it happens
		class := pick(s.random, s.classes...)
		s.log.note(fmt.Sprintf("STORY step %d in life %d: %s", i, s.lives, class))
		if err := s.step(class); err != nil {
			return err
		}
	}
	if s.model.failed() {
		return nil // what comes after proves nothing
	}
	return s.conclude()
}

// send starts the platforms.
func (s *story) send(ctx context.Context) {
	var running sync.WaitGroup
	subjects, count := 3+s.random.IntN(4), 30+s.random.IntN(30)
	for i, e := range s.endpoints {
		for subject := range subjects {
			tries := 40
			if e.source.TencentIM != nil {
				tries = 1 + s.random.IntN(4) // it does not repeat, but for what the user's settings make it
			}
			p := &sender{w: s.world, endpoint: e, subject: subject, count: count, tries: tries, random: s.fork(uint64(1000 + 100*i + subject))}
			running.Go(func() { p.run(ctx) })
		}
	}
	go func() {
		running.Wait()
		close(s.through)
	}()
}

// progress waits until some more callbacks are through, or for a moment if nothing moves.
func (s *story) progress(n int) {
	want := s.sent.Load() + int64(n)
	s.deal(n)
	eventually(300*time.Millisecond, func() bool {
		select {
		case <-s.through:
			return true
		default:
			return s.sent.Load() >= want
		}
	})
}

// begin starts a life, as often as it takes: the supervisor of a pod does the same. A start that fails says why.
func (s *story) begin(l *life) error {
	for tries := 0; ; tries++ {
		rules := l.faults.armed()
		err := l.start()
		if err == nil {
			s.enter(l)
			return nil
		}
		if tries == 12 {
			return fmt.Errorf("life %d does not start, %d times: %w", l.number, tries, err)
		}
		s.log.note(fmt.Sprintf("STORY life %d does not start: %v", l.number, err))
		if !errors.Is(err, errDied) {
			s.count(effectRefuse, "")
		}
		l.crash(100)
		if tries == 8 {
			l.faults.end()
		}
		l = s.newLife(l.after)
		for _, r := range rules {
			if tries < 8 && r.times > 0 && r.crash == nil {
				l.faults.arm(*r)
			}
		}
	}
}

// again goes on after a life has ended, with what it left.
func (s *story) again(l *life) error { return s.begin(s.newLife(l.after)) }

// conclude ends all faults and checks that everything comes out.
func (s *story) conclude() error {
	s.log.note("STORY the faults end")
	s.mood.Store(&mood{})
	if err := s.settle(); err != nil {
		return err
	}
	close(s.freely)
	for looks := 0; ; looks++ {
		select {
		case <-s.through:
			return s.drain()
		case <-s.live.died: // a fault's late consequence: the supervisor starts it again
			if err := s.again(s.live); err != nil {
				return err
			}
		case <-time.After(poll):
		}
		if looks > int(hangs/poll) {
			s.cancel()
			return fmt.Errorf("the platforms are not through after %s: %d sent; ready: %w", hangs, s.sent.Load(), s.live.app.Ready())
		}
	}
}

// settle gives the receiver good conditions: no faults, the clock ahead of all it was, and a configuration that serves everybody.
func (s *story) settle() error {
	s.live.faults.calm()
	if err := s.restore(); err != nil {
		return err
	}
	if s.counts[classClock] > 0 {
		s.jump(s.latest + int64(time.Hour))
	}
	if !s.live.ready(hangs) {
		return fmt.Errorf("not ready although all is well: %w", s.live.app.Ready())
	}
	return nil
}

// drain waits until the receiver has delivered everything, also what waits for a time that has come only now, and stops it. Where something was
// damaged, that may show as late as in the last stop; then it starts once more.
func (s *story) drain() error {
	if err := s.reopen(); err != nil {
		return err
	}
	for last := 2; ; last-- {
		s.empty()
		err := s.live.stop()
		if err == nil {
			return nil
		}
		if last == 0 || !s.model.damaged || !errors.Is(err, errDied) {
			return fmt.Errorf("the last stop: %w", err)
		}
		if err := s.again(s.live); err != nil {
			return err
		}
	}
}

// stalled is after how many looks without any attempt what is missing does not come any more.
const stalled = 10_000

// empty waits until all is delivered, and checks that it is.
func (s *story) empty() {
	held, last, still := holdings{pending: -1}, 0, 0
	drained := eventually(hangs, func() bool {
		select {
		case <-s.live.died:
			if s.again(s.live) != nil {
				return true
			}
		default:
		}
		held = s.holdings()
		missing, _ := s.model.missing()
		if still++; last != s.model.now() || missing == 0 {
			last, still = s.model.now(), 0
		}
		if held.pending == 0 {
			return missing == 0 || s.model.damaged || still > stalled/20
		}
		return still > stalled
	}) && held.pending == 0
	missing, one := s.model.missing()
	switch {
	case missing > 0 && !s.model.damaged:
		s.model.complain("%d acknowledged callbacks are lost, %s is one; the receiver holds %+v", missing, one, held)
	case !drained:
		s.model.complain("the receiver still holds %+v when all is done", held)
	case held.dead != s.model.rejected && !s.model.damaged && !s.model.jumped:
		s.model.complain("%d dead letters, but the target refused %d", held.dead, s.model.rejected)
	}
	if !s.live.ready(hangs) {
		s.model.complain("not ready in the end: %v", s.live.app.Ready())
	}
}

// reopen stops the receiver in order and starts it again, so that what waits for a time is found by its new clock.
func (s *story) reopen() error {
	l := s.live
	// An I/O error while it stops is told by the exit code; what is stored is whole.
	if err := l.stop(); err != nil && !errors.Is(err, errDied) && !errors.Is(err, syscall.EIO) {
		return fmt.Errorf("stop: %w", err)
	}
	return s.again(l)
}
