package natsconn

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/hookbay/hookbay/receiver/config"
)

// patience bounds waits that end by themselves when the code is right.
const patience = 30 * time.Second

// serve runs a server until the test ends, or stop is called.
func serve(t *testing.T, o *server.Options) *server.Server {
	t.Helper()
	o.Host, o.NoLog, o.NoSigs = "127.0.0.1", true, true
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server does not start")
	}
	t.Cleanup(func() { stop(s) })
	return s
}

func stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func port(s *server.Server) int { return s.Addr().(*net.TCPAddr).Port }

func address(s *server.Server) string { return "127.0.0.1:" + strconv.Itoa(port(s)) }

// logged is what a connection wrote into its log.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// connect makes a connection that is closed when the test ends.
func connect(t *testing.T, c config.NATS, s config.Secrets) (*Conn, *logged) {
	t.Helper()
	l := &logged{}
	conn, err := Connect(c, s, Options{Log: l.logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn, l
}

// mustConnect waits until it is there, and has been used.
func mustConnect(t *testing.T, c *Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.FlushWithContext(ctx); err != nil {
		t.Fatal(err)
	}
}

// awaitReady waits until Ready says what want says of it.
func awaitReady(t *testing.T, c *Conn, what string, want func(error) bool) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		err := c.Ready()
		if want(err) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("Ready says %v, want %s", err, what)
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the test ends")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func saying(part string) func(error) bool {
	return func(err error) bool { return err != nil && strings.Contains(err.Error(), part) }
}

// user is a key with its seed.
func user(t *testing.T) (public, seed string) {
	t.Helper()
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err = key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	s, err := key.Seed()
	if err != nil {
		t.Fatal(err)
	}
	return public, string(s)
}

// operator is a server's operator and one account.
type operator struct {
	account nkeys.KeyPair
	options *server.Options
}

func newOperator(t *testing.T) operator {
	t.Helper()
	root, err := nkeys.CreateOperator()
	if err != nil {
		t.Fatal(err)
	}
	account, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	trusted, _ := root.PublicKey()
	name, _ := account.PublicKey()
	claims, err := jwt.NewAccountClaims(name).Encode(root)
	if err != nil {
		t.Fatal(err)
	}
	resolver := &server.MemAccResolver{}
	if err := resolver.Store(name, claims); err != nil {
		t.Fatal(err)
	}
	return operator{account, &server.Options{TrustedKeys: []string{trusted}, AccountResolver: resolver}}
}

// credentials are a .creds file for a new user.
func (o operator) credentials(t *testing.T) string {
	t.Helper()
	public, seed := user(t)
	claims, err := jwt.NewUserClaims(public).Encode(o.account)
	if err != nil {
		t.Fatal(err)
	}
	file, err := jwt.FormatUserConfig(claims, []byte(seed))
	if err != nil {
		t.Fatal(err)
	}
	return string(file)
}

// authority signs certificates.
type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	pem         string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "a CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var der []byte
	der, a.key = sign(t, template, nil)
	var err error
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// issue returns a certificate of 127.0.0.1 and its key, in PEM.
func (a *authority) issue(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	der, private := sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a)
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}))
}

// sign makes a certificate, signed by a or by itself.
func sign(t *testing.T, c *x509.Certificate, a *authority) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := c, key
	if a != nil {
		parent, signer = a.certificate, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

// serverTLS is what a server needs, which asks clients for a certificate of clients if that is not nil.
func serverTLS(t *testing.T, a, clients *authority) *tls.Config {
	t.Helper()
	certificate, key := a.issue(t, "a server")
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if clients != nil {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		c.ClientCAs.AddCert(clients.certificate)
	}
	return c
}
