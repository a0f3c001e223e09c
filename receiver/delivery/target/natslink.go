package target

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hookbay/hookbay/receiver/natsconn"
)

// natsPatience is how long an attempt waits for a connection that is just being made. Beyond it, the dispatcher's pauses are better.
const natsPatience = 2 * time.Second

// The pauses before a connection that has ended is made anew, before jitter, counted from when it was made: they double while connections end that
// soon again.
const (
	natsPauseMin = 500 * time.Millisecond
	natsPauseMax = 16 * time.Second
	natsCalm     = time.Minute // a connection that lasted longer is no reason to wait
)

// natsLink is a connection and what publishes over it.
type natsLink struct {
	conn   *natsconn.Conn
	stream jetstream.JetStream
}

// wait waits until the connection is there, but not for long.
func (l natsLink) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, natsPatience)
	defer cancel()
	return l.conn.Wait(ctx)
}

// natsLinks has a connection, and makes another when one has ended for good. It does so when somebody wants to send, which needs no goroutine.
type natsLinks struct {
	connect func() (*natsconn.Conn, error)

	mu     sync.Mutex
	now    natsLink
	next   time.Time // from when on now's successor may be made
	made   time.Time
	pause  time.Duration // before jitter
	closed bool
}

func newNATSLinks(connect func() (*natsconn.Conn, error)) (*natsLinks, error) {
	l := &natsLinks{connect: connect}
	if err := l.make(); err != nil {
		return nil, err
	}
	return l, nil
}

// get returns the connection that there is. It does not wait: a connection may be on its way, and one that has ended stays until it is time for the next.
func (l *natsLinks) get() (natsLink, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || !l.now.conn.Ended() || time.Now().Before(l.next) {
		return l.now, nil
	}
	if time.Since(l.made) > natsCalm {
		l.pause = 0
	}
	before := l.now.conn
	if err := l.make(); err != nil {
		return natsLink{}, err
	}
	before.Close()
	return l.now, nil
}

func (l *natsLinks) make() error {
	conn, err := l.connect()
	if err != nil {
		return err
	}
	stream, err := jetstream.New(conn.Conn)
	if err != nil {
		conn.Close()
		return err
	}
	l.now, l.made, l.pause = natsLink{conn, stream}, time.Now(), min(max(2*l.pause, natsPauseMin), natsPauseMax)
	l.next = l.made.Add(l.pause/2 + rand.N(l.pause/2)) //nolint:gosec // jitter is no secret
	return nil
}

func (l *natsLinks) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.now.conn.Close()
}
