package nats

import (
	"errors"
	"io"
	"net"
	"sync"
)

// proxy passes connections on to one address, while it is not cut.
type proxy struct {
	listener net.Listener
	to       string
	ended    sync.WaitGroup

	mu    sync.Mutex
	open  chan struct{} // closed while bytes may pass
	conns map[net.Conn]bool
	done  chan struct{} // closed by close
}

func newProxy(to string) (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is there at once
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: listener, to: to, open: make(chan struct{}), conns: map[net.Conn]bool{}, done: make(chan struct{})}
	close(p.open)
	p.ended.Go(p.accept)
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// cut stops all bytes on their way.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
		p.open = make(chan struct{})
	default: // it is cut
	}
}

// heal lets bytes pass again, first those that wait.
func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
	default:
		close(p.open)
	}
}

// passable waits until bytes may pass. It is false when the proxy is closed.
func (p *proxy) passable() bool {
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	select {
	case <-p.done:
		return false
	case <-open:
		return true
	}
}

func (p *proxy) close() {
	p.mu.Lock()
	close(p.done)
	_ = p.listener.Close() // nothing is lost with it
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.ended.Wait()
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		if p.keep(c) {
			p.ended.Go(func() { p.serve(c) })
		}
	}
}

// keep has a connection closed with the proxy. It is false, and the connection closed, when that was closed.
func (p *proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.done:
		_ = c.Close()
		return false
	default:
		p.conns[c] = true
		return true
	}
}

func (p *proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	_ = c.Close() // both ends notice
}

func (p *proxy) serve(near net.Conn) {
	defer p.drop(near)
	if !p.passable() {
		return
	}
	far, err := net.Dial("tcp", p.to) //nolint:noctx // it answers, or refuses, at once
	if err != nil || !p.keep(far) {
		return
	}
	defer p.drop(far)
	var back sync.WaitGroup
	back.Go(func() { p.pass(near, far) })
	p.pass(far, near)
	back.Wait()
}

// pass copies from one end to the other. What one end closes, the other hears of only when bytes may pass.
func (p *proxy) pass(to, from net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if !p.passable() {
			return
		}
		if _, failed := to.Write(buffer[:n]); failed != nil {
			_ = from.Close()
			return
		}
		if err == nil {
			continue
		}
		if half, ok := to.(*net.TCPConn); ok && errors.Is(err, io.EOF) {
			_ = half.CloseWrite()
		} else {
			_ = to.Close()
		}
		return
	}
}
