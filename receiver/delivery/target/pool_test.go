package target

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// blindConn is a connection of which nothing can be seen.
type blindConn struct{}

func (blindConn) Control(func(uintptr)) error    { return errors.New("nothing is to be seen") }
func (blindConn) Read(func(uintptr) bool) error  { return errors.ErrUnsupported }
func (blindConn) Write(func(uintptr) bool) error { return errors.ErrUnsupported }

// pooled returns a connection, and a way to ask whether it is closed.
func pooled(t *testing.T) (*plainConn, func() bool) {
	t.Helper()
	ours, theirs := net.Pipe()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_, _ = theirs.Read(make([]byte, 1))
	}()
	t.Cleanup(func() { _ = ours.Close() })
	c := newPlainConn(ours)
	c.raw = blindConn{}
	return c, func() bool {
		synctest.Wait()
		select {
		case <-closed:
			return true
		default:
			return false
		}
	}
}

func TestPool_closesWhatIsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{max: 2}
		first, firstClosed := pooled(t)
		second, secondClosed := pooled(t)
		third, thirdClosed := pooled(t)
		p.keep(first)
		<-time.After(time.Second)
		p.keep(second)
		p.keep(third)
		if firstClosed() || secondClosed() || !thirdClosed() {
			t.Error("want two connections kept, and the third closed")
		}
		<-time.After(idleTimeout - time.Second)
		if !firstClosed() || secondClosed() {
			t.Error("want the first connection closed, and not yet the second")
		}
		<-time.After(time.Second)
		if !secondClosed() || p.sweeper != nil || len(p.idle) != 0 {
			t.Error("want the second connection closed too, and no timer left")
		}
		fourth, fourthClosed := pooled(t)
		p.keep(fourth)
		<-time.After(idleTimeout)
		if !fourthClosed() {
			t.Error("want the fourth connection closed after a pause")
		}
	})
}

func TestPool_retire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{max: 2}
		idle, idleClosed := pooled(t)
		busy, busyClosed := pooled(t)
		p.keep(idle)
		p.retire()
		if !idleClosed() || busyClosed() || p.sweeper != nil {
			t.Error("want the idle connection closed, no timer, and the one in use left alone")
		}
		p.keep(busy)
		if !busyClosed() || p.take(time.Now().Add(time.Hour)) != nil {
			t.Error("want the one in use closed when it is given back, and none to be had")
		}
	})
}

// One that may have been closed is not used.
func TestPool_takesOnlyWhatItCanSee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{max: 2}
		c, closed := pooled(t)
		p.keep(c)
		if p.take(time.Now().Add(time.Hour)) != nil || !closed() {
			t.Error("want none, and the one that was kept closed")
		}
		c, closed = pooled(t)
		c.raw = nil
		p.keep(c)
		if len(p.idle) != 0 || !closed() {
			t.Error("want it not even kept")
		}
	})
}
