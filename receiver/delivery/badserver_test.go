package delivery

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// badServer is a target on a real port that misbehaves until it is well, one connection at a time or many.
type badServer struct {
	listener net.Listener
	bad      func(c net.Conn) // handles a connection while it is not well
	tls      atomic.Pointer[tls.Config]
	well     atomic.Bool
	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	done     sync.WaitGroup
}

// startBadServer starts one. Its connections are TLS's if there is a configuration.
func startBadServer(t *testing.T, bad func(c net.Conn), config *tls.Config) *badServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &badServer{listener: l, bad: bad, conns: map[net.Conn]struct{}{}}
	s.tls.Store(config)
	s.done.Go(s.accept)
	t.Cleanup(s.close)
	return s
}

func (s *badServer) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[c] = struct{}{}
		s.mu.Unlock()
		s.done.Go(func() {
			defer func() {
				_ = c.Close()
				s.mu.Lock()
				delete(s.conns, c)
				s.mu.Unlock()
			}()
			s.serve(c)
		})
	}
}

func (s *badServer) serve(c net.Conn) {
	handle := s.bad
	if s.well.Load() || handle == nil {
		handle = answerAll
	}
	if config := s.tls.Load(); config != nil {
		over := tls.Server(c, config)
		if over.Handshake() != nil {
			return
		}
		c = over
	}
	handle(c)
}

// dropConnections closes what is open.
func (s *badServer) dropConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

// open counts the open connections.
func (s *badServer) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func (s *badServer) close() {
	_ = s.listener.Close()
	s.dropConnections()
	s.done.Wait()
}

// answerAll is a good target.
func answerAll(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
			return
		}
	}
}

// answering with text returns a handler that reads a request, writes this once and closes the connection.
func answeringWith(text string) func(c net.Conn) {
	return func(c net.Conn) {
		if readRequest(c) {
			_, _ = io.WriteString(c, text)
		}
	}
}

// answeringWithoutEnd reads a request, writes this and keeps the connection.
func answeringWithoutEnd(text string) func(c net.Conn) {
	return func(c net.Conn) {
		if readRequest(c) {
			_, _ = io.WriteString(c, text)
			hang(c)
		}
	}
}

// answeringOnAndOn reads a request, writes a beginning, then the rest again and again with pauses, for as long as somebody listens.
func answeringOnAndOn(beginning, rest string, pause time.Duration) func(c net.Conn) {
	return func(c net.Conn) {
		if !readRequest(c) {
			return
		}
		_, err := io.WriteString(c, beginning)
		for err == nil {
			if pause > 0 {
				<-time.After(pause)
			}
			_, err = io.WriteString(c, rest)
		}
	}
}

// hang reads until the other side gives up.
func hang(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func readRequest(c net.Conn) bool {
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err == nil {
		_, err = io.Copy(io.Discard, req.Body)
	}
	return err == nil
}

// authority is a CA.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key: key, cert: cert}
}

// bundle is what a target is configured with.
func (a *authority) bundle() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// issue returns a server's configuration with a certificate for 127.0.0.1 and *.example.com; change may spoil it.
func (a *authority) issue(t *testing.T, change func(*x509.Certificate)) *tls.Config {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "target"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"*.example.com"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: a.key}}}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !is() {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		}
	}
}

// clientGoroutines counts the goroutines of connections to targets, and of dispatchers.
func clientGoroutines() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	n := 0
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		for _, of := range []string{"net/http.(*persistConn)", "net/http.(*Transport)", "net/http.(*http2", "delivery.(*Dispatcher)", "delivery.(*breaker)"} {
			if strings.Contains(stack, of) {
				n++
				break
			}
		}
	}
	return n
}
