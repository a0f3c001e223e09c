//go:build linux

package load

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// conn is a connection. It belongs to the thread of its loop.
type conn struct {
	loop       *loop
	index      int32 // in the loop
	fd         int
	connecting bool
	busy       bool
	requests   *copies
	out        []byte // of the request, not yet written
	in         []byte
	got        int
	due, sent  time.Duration // of the callback that waits for its answer
}

// open connects. Where it does not wait, ready hears of the rest.
func (c *conn) open(wait bool) error {
	flags := unix.SOCK_STREAM | unix.SOCK_CLOEXEC
	if !wait {
		flags |= unix.SOCK_NONBLOCK
	}
	fd, err := unix.Socket(unix.AF_INET, flags, 0)
	if err != nil {
		return fmt.Errorf("open a socket: %w", err)
	}
	c.fd, c.got, c.out, c.connecting = fd, 0, nil, !wait
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("set up a socket: %w", err)
	}
	if err := unix.Connect(fd, c.loop.addr); err != nil && (wait || !errors.Is(err, unix.EINPROGRESS)) {
		if wait {
			return fmt.Errorf("connect: %w", err)
		}
		c.again()
		return nil
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("set up a socket: %w", err)
	}
	return c.watch()
}

// watch asks, once, to be told of each change. The event's field for a file descriptor is free for our use.
func (c *conn) watch() error {
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: c.index}
	if err := unix.EpollCtl(c.loop.epoll, unix.EPOLL_CTL_ADD, c.fd, &event); err != nil {
		return fmt.Errorf("watch a socket: %w", err)
	}
	return nil
}

func (c *conn) close() {
	if c.fd >= 0 {
		_ = unix.Close(c.fd) // what counts has been read
		c.fd = -1
	}
}

// again has the connection opened once more, soon.
func (c *conn) again() {
	c.close()
	c.loop.later = append(c.loop.later, c)
}

// broke ends a connection that cannot be used any longer.
func (c *conn) broke(cause error) {
	l := c.loop
	if !l.options.MayBreak {
		l.err = fmt.Errorf("a connection broke: %w", cause)
		return
	}
	if c.busy {
		c.busy = false
		l.busy--
		l.count(func(r *Result) { r.Broken++ })
	} else {
		for i := range l.free {
			if l.free[i] == c {
				l.free = append(l.free[:i], l.free[i+1:]...)
				break
			}
		}
	}
	c.again()
}

// send sends event number n.
func (c *conn) send(n int, due time.Duration) {
	l := c.loop
	now := time.Now()
	request, err := c.requests.next(n, now)
	if err != nil {
		l.err = err
		return
	}
	c.busy, c.out, c.due, c.sent = true, request, due, now.Sub(l.began)
	if !l.schedule.open() {
		c.due = c.sent
	}
	l.busy++
	l.count(func(r *Result) { r.Sent, r.Next = r.Sent+1, n+1 })
	c.write()
}

func (c *conn) write() {
	for len(c.out) > 0 {
		n, err := unix.Write(c.fd, c.out)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.EINTR):
		case err != nil:
			c.broke(err)
			return
		default:
			c.out = c.out[n:]
		}
	}
}

// ready is called when something has changed.
func (c *conn) ready(events uint32) {
	if c.fd < 0 {
		return
	}
	if c.connecting {
		code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case err != nil || code != 0:
			c.again()
			return
		case events&unix.EPOLLOUT == 0:
			return
		}
		c.connecting = false
		c.loop.free = append(c.loop.free, c)
	}
	if len(c.out) > 0 {
		c.write()
	}
	if c.fd >= 0 && events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.read(events&unix.EPOLLRDHUP != 0)
	}
}

var errClosed = errors.New("the server closed it")

// read reads an answer. A read that does not fill the buffer leaves nothing behind, but for the end of a connection.
func (c *conn) read(ends bool) {
	for c.fd >= 0 {
		n, err := unix.Read(c.fd, c.in[c.got:])
		switch {
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.EINTR):
			continue
		case err == nil && n == 0:
			err = errClosed
		}
		if err != nil {
			c.broke(err)
			return
		}
		full := c.got+n == len(c.in)
		c.got += n
		a, ok, err := parseAnswer(c.in[:c.got])
		switch {
		case err != nil:
			c.loop.err = err
			return
		case ok && (!c.busy || a.size != c.got):
			c.loop.err = fmt.Errorf("an answer to nothing that was sent: %q", c.in[:c.got])
			return
		case ok:
			c.answered(a)
		case full:
			c.loop.err = fmt.Errorf("an answer of more than %d bytes", len(c.in))
			return
		}
		if !full && !ends {
			return
		}
	}
}

// answered counts an answer and makes the connection free.
func (c *conn) answered(a answer) {
	l := c.loop
	now := time.Since(l.began)
	l.last = now
	c.got, c.busy = 0, false
	l.busy--
	l.count(func(r *Result) { r.answered(a.status, now-c.due, now-c.sent) })
	if a.last || len(c.out) > 0 { // an answer before all was sent
		c.again()
		return
	}
	l.free = append(l.free, c)
}
