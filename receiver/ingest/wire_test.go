package ingest

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// wire is the server's end of a connection in memory. Its time is that of the test's bubble, so nothing of it takes any.
type wire struct {
	step int  // the most that one read returns, in bytes
	hold bool // the other end does not close after what it has sent

	closing sync.Once
	closed  chan struct{}

	mu       sync.Mutex
	in       []byte
	out      bytes.Buffer
	deadline time.Time     // for reading
	moved    chan struct{} // closed when the deadline moves
}

func newWire(in []byte, step int, hold bool) *wire {
	return &wire{in: in, step: step, hold: hold, closed: make(chan struct{}), moved: make(chan struct{})}
}

func (w *wire) Read(p []byte) (int, error) {
	for {
		n, wait, err := w.take(p)
		if wait == nil {
			return n, err
		}
		if err := wait(); err != nil {
			return 0, err
		}
	}
}

// take reads without waiting; what it returns waits, if there is something to wait for.
func (w *wire) take(p []byte) (n int, wait func() error, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.closed:
		return 0, nil, net.ErrClosed
	default:
	}
	switch {
	case !w.deadline.IsZero() && !time.Now().Before(w.deadline):
		return 0, nil, os.ErrDeadlineExceeded
	case len(p) == 0:
		return 0, nil, nil
	case len(w.in) > 0:
		n = copy(p, w.in[:min(w.step, len(w.in))])
		w.in = w.in[n:]
		return n, nil, nil
	case !w.hold:
		return 0, nil, io.EOF
	}
	deadline, moved := w.deadline, w.moved
	return 0, func() error {
		var over <-chan time.Time
		if !deadline.IsZero() {
			timer := time.NewTimer(time.Until(deadline))
			defer timer.Stop()
			over = timer.C
		}
		select {
		case <-over:
		case <-moved:
		case <-w.closed:
			return net.ErrClosed
		}
		return nil
	}, nil
}

func (w *wire) Write(p []byte) (int, error) {
	select {
	case <-w.closed:
		return 0, net.ErrClosed
	default:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}

func (w *wire) Close() error {
	w.closing.Do(func() { close(w.closed) })
	return nil
}

func (w *wire) SetReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = t
	close(w.moved)
	w.moved = make(chan struct{})
	return nil
}

func (w *wire) SetWriteDeadline(time.Time) error { return nil }
func (w *wire) SetDeadline(t time.Time) error    { return w.SetReadDeadline(t) }
func (w *wire) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }
func (w *wire) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 1234} }

// wires is a listener that has connections to give and then waits to be closed.
type wires struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func listenOn(conns ...net.Conn) *wires {
	l := &wires{conns: make(chan net.Conn, len(conns)), closed: make(chan struct{})}
	for _, c := range conns {
		l.conns <- c
	}
	return l
}

func (l *wires) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	default:
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *wires) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *wires) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }
