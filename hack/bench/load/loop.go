//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// loop is a thread with its connections.
type loop struct {
	options  Options
	schedule schedule
	addr     unix.Sockaddr
	epoll    int
	conns    []*conn
	free     []*conn // connected, and not waiting for an answer
	later    []*conn // to be opened again
	busy     int
	next     int // callback to send
	began    time.Time
	last     time.Duration // when the last answer came
	err      error

	mu     sync.Mutex // guards result
	result Result
}

// tick is how often a thread looks whether it should end, and opens broken connections again.
const tick = 10 * time.Millisecond

// newLoop opens the thread's share of the connections.
func newLoop(o Options, addr netip.AddrPort, s schedule) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	l := &loop{
		options: o, schedule: s, epoll: epoll, result: NewResult(),
		addr: &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().Unmap().As4()},
	}
	for i := range (o.Connections + s.of - 1 - s.index) / s.of {
		c := &conn{loop: l, index: int32(i), fd: -1, in: make([]byte, 4<<10), requests: o.Callback.copies()}
		l.conns = append(l.conns, c)
		if err := c.open(true); err != nil {
			l.close()
			return nil, err
		}
		l.free = append(l.free, c)
	}
	return l, nil
}

func (l *loop) close() {
	for _, c := range l.conns {
		c.close()
	}
	_ = unix.Close(l.epoll) // nothing was written through it
}

// run sends until the time is over, and waits for the last answers.
func (l *loop) run(ctx context.Context, began time.Time) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer l.close()
	// The kernel would let a sleeper sleep on for 50 µs. It is only about precision, so that it may fail.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	l.began = began
	events := make([]unix.EpollEvent, 256)
	over := false
	for l.err == nil {
		now := time.Since(began)
		if !over && (now >= l.options.Duration || l.sentAll() || ctx.Err() != nil) {
			over = true
			l.leave()
		}
		if over && (l.busy == 0 || now > l.options.Duration+patience) {
			break
		}
		if !over {
			l.send(now)
		}
		n, err := l.wait(events, l.pause(over))
		if err != nil {
			l.err = err
		}
		for i := range n {
			l.conns[events[i].Fd].ready(events[i].Events)
		}
		l.reopen(over)
	}
	l.count(func(r *Result) { r.Broken += l.busy })
}

func (l *loop) sentAll() bool {
	return l.options.Count > 0 && l.schedule.number(l.next) >= l.options.Count
}

// leave counts what was due and could not be sent.
func (l *loop) leave() {
	if due := l.schedule; due.open() {
		l.count(func(r *Result) { r.Unsent += max(0, due.dueBefore(l.options.Duration)-l.next) })
	}
}

// send sends what is due on connections that are free.
func (l *loop) send(now time.Duration) {
	for len(l.free) > 0 && !l.sentAll() && l.err == nil {
		due := now
		if l.schedule.open() {
			if due = l.schedule.due(l.next); due > now {
				return
			}
		}
		c := l.free[0] // in turn: one that is hardly ever used would be closed by the server
		l.free = l.free[1:]
		n := l.options.First + l.schedule.number(l.next)
		l.next++
		c.send(n, due)
		now = time.Since(l.began)
	}
}

// pause is how long there is nothing to do, unless an answer comes.
func (l *loop) pause(over bool) time.Duration {
	if over || !l.schedule.open() || len(l.free) == 0 {
		return tick
	}
	return min(tick, max(0, l.schedule.due(l.next)-time.Since(l.began)))
}

// wait waits for connections. epoll_wait alone knows milliseconds only.
func (l *loop) wait(events []unix.EpollEvent, pause time.Duration) (int, error) {
	timeout := int(tick / time.Millisecond)
	if pause < tick {
		timeout = 0
		limit := unix.NsecToTimespec(int64(pause))
		if _, err := unix.Ppoll([]unix.PollFd{{Fd: int32(l.epoll), Events: unix.POLLIN}}, &limit, nil); err != nil && !errors.Is(err, unix.EINTR) { //nolint:gosec // a file descriptor
			return 0, fmt.Errorf("wait for answers: %w", err)
		}
	}
	n, err := unix.EpollWait(l.epoll, events, timeout)
	if errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("wait for answers: %w", err)
	}
	return n, nil
}

// reopen opens connections again that broke or could not be opened.
func (l *loop) reopen(over bool) {
	if over {
		return
	}
	again := l.later
	l.later = nil
	for _, c := range again {
		if err := c.open(false); err != nil {
			l.err = err
			return
		}
	}
}

func (l *loop) count(do func(*Result)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	do(&l.result)
}

// take returns what was counted since the last time.
func (l *loop) take() Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.result
	l.result = NewResult()
	return r
}
