package natsconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/hookbay/hookbay/receiver/config"
)

// way is a way to log in: what the server knows, and secrets that are right and wrong.
type way struct {
	options *server.Options
	config  config.NATS
	right   config.Secrets
	wrong   config.Secrets
	wantWhy string // of the wrong ones
}

func ways(t *testing.T) map[string]way {
	t.Helper()
	const refused = "the server refuses the login: check the credentials"
	o, stranger := newOperator(t), newOperator(t)
	public, seed := user(t)
	_, otherSeed := user(t)
	ca, otherCA := newAuthority(t), newAuthority(t)
	cert, key := ca.issue(t, "a client")
	otherCert, otherKey := otherCA.issue(t, "a stranger")
	mutual := config.NATS{CABundleFile: "ca", CertificateFile: "cert", KeyFile: "key"}
	return map[string]way{
		"credentials": {
			options: o.options, config: config.NATS{CredentialsFile: "creds"}, wantWhy: refused,
			right: config.Secrets{"creds": o.credentials(t)}, wrong: config.Secrets{"creds": stranger.credentials(t)},
		},
		"a seed": {
			options: &server.Options{Nkeys: []*server.NkeyUser{{Nkey: public}}}, config: config.NATS{NKeySeedFile: "seed"}, wantWhy: refused,
			right: config.Secrets{"seed": seed}, wrong: config.Secrets{"seed": otherSeed},
		},
		"user and password": {
			options: &server.Options{Username: "shop", Password: "hunter2"}, config: config.NATS{UserFile: "user", PasswordFile: "password"}, wantWhy: refused,
			right: config.Secrets{"user": "shop", "password": "hunter2"}, wrong: config.Secrets{"user": "shop", "password": "hunter3"},
		},
		"a token": {
			options: &server.Options{Authorization: "hunter2"}, config: config.NATS{TokenFile: "token"}, wantWhy: refused,
			right: config.Secrets{"token": "hunter2"}, wrong: config.Secrets{"token": "hunter3"},
		},
		"a CA of its own": {
			options: &server.Options{TLSConfig: serverTLS(t, ca, nil), TLSTimeout: 20}, config: config.NATS{CABundleFile: "ca"},
			right: config.Secrets{"ca": ca.pem}, wrong: config.Secrets{"ca": otherCA.pem}, wantWhy: "signed by an unknown authority; name its CA in caBundleRef",
		},
		"a certificate": {
			options: &server.Options{TLSConfig: serverTLS(t, ca, ca), TLSTimeout: 20, TLSVerify: true}, config: mutual,
			right: config.Secrets{"ca": ca.pem, "cert": cert, "key": key}, wrong: config.Secrets{"ca": ca.pem, "cert": otherCert, "key": otherKey},
			wantWhy: "TLS handshake failed: tls: ",
		},
	}
}

func (w way) at(s *server.Server) config.NATS {
	c := w.config
	c.URLs = []string{"nats://" + address(s)}
	return c
}

// secretFree fails the test if any of the secrets, or a line of one, is in the text.
func secretFree(t *testing.T, text string, all ...config.Secrets) {
	t.Helper()
	for _, secrets := range all {
		for file, secret := range secrets {
			for line := range strings.Lines(secret) {
				if line = strings.TrimSpace(line); len(line) > 6 && !strings.HasPrefix(line, "-----") && strings.Contains(text, line) {
					t.Errorf("a line of the secret %q is in\n%s", file, text)
				}
			}
		}
	}
}

func TestConnect_logsIn(t *testing.T) {
	for name, w := range ways(t) {
		t.Run(name, func(t *testing.T) {
			s := serve(t, w.options)
			conn, log := connect(t, w.at(s), w.right)
			mustConnect(t, conn)
			secretFree(t, log.String(), w.right)
		})
	}
}

// A rotated secret is taken by the next attempt, whichever way to log in it belongs to.
func TestConn_Replace(t *testing.T) {
	for name, w := range ways(t) {
		t.Run(name, func(t *testing.T) {
			s := serve(t, w.options)
			conn, log := connect(t, w.at(s), w.wrong)
			awaitReady(t, conn, w.wantWhy, saying(w.wantWhy))
			why := fmt.Sprint(conn.Ready())
			if err := conn.Replace(w.right); err != nil {
				t.Fatal(err)
			}
			mustConnect(t, conn)
			secretFree(t, log.String()+why, w.right, w.wrong)

			if err := conn.Replace(nil); err == nil {
				t.Error("Replace takes secrets that are missing")
			}
			if err := conn.Replace(w.wrong); err != nil {
				t.Fatal(err)
			}
			mustConnect(t, conn) // what is there stays
			if err := conn.ForceReconnect(); err != nil {
				t.Fatal(err)
			}
			awaitReady(t, conn, w.wantWhy, saying(w.wantWhy))
		})
	}
}

func TestConnect_refusesSecrets(t *testing.T) {
	ca := newAuthority(t)
	cert, _ := ca.issue(t, "a client")
	_, otherKey := ca.issue(t, "another")
	tests := map[string]struct {
		config  config.NATS
		secrets config.Secrets
		wantErr string
	}{
		"no file":               {config.NATS{TokenFile: "t"}, nil, `tokenFile: secret file "t" is missing`},
		"an empty password":     {config.NATS{UserFile: "u", PasswordFile: "p"}, config.Secrets{"u": "x", "p": ""}, `passwordFile: secret file "p" is empty`},
		"odd credentials":       {config.NATS{CredentialsFile: "c"}, config.Secrets{"c": "hunter2"}, `credentialsFile "c" is no .creds file`},
		"an odd seed":           {config.NATS{NKeySeedFile: "s"}, config.Secrets{"s": "SUhunter2"}, `nkeySeedFile "s" holds no user's NKey seed`},
		"an odd CA":             {config.NATS{CABundleFile: "c"}, config.Secrets{"c": "hunter2"}, `caBundleFile "c" holds no certificate`},
		"another's certificate": {config.NATS{CertificateFile: "c", KeyFile: "k"}, config.Secrets{"c": cert, "k": otherKey}, `certificateFile "c" and keyFile "k" are no pair`},
		"no key":                {config.NATS{CertificateFile: "c", KeyFile: "k"}, config.Secrets{"c": cert}, `keyFile: secret file "k" is missing`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.config.URLs = []string{"nats://127.0.0.1:1"}
			_, err := Connect(tt.config, tt.secrets, Options{})
			if err == nil || !strings.HasPrefix(err.Error(), tt.wantErr) {
				t.Fatalf("error is %v, want %s…", err, tt.wantErr)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error quotes a secret: %v", err)
			}
		})
	}
}

// The first connection, and each after it, comes when the server does.
func TestConn_comesBack(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &server.Options{Port: free.Addr().(*net.TCPAddr).Port}
	url := fmt.Sprintf("nats://127.0.0.1:%d", o.Port)
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}

	conn, log := connect(t, config.NATS{URLs: []string{url}}, nil)
	awaitReady(t, conn, "refused", saying("connection refused: nobody listens"))
	for range 2 {
		s := serve(t, o)
		mustConnect(t, conn)
		stop(s)
		awaitReady(t, conn, "no connection", func(err error) bool { return err != nil })
		if err := conn.Publish("a", nil); !errors.Is(err, nats.ErrReconnectBufExceeded) {
			t.Errorf("Publish says %v while there is no connection, want nats.ErrReconnectBufExceeded", err)
		}
	}
	serve(t, o)
	mustConnect(t, conn)
	for _, want := range []string{"NATS cannot be reached", "Connected to NATS", "Connection to NATS is lost"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}

// Any of the servers will do.
func TestConnect_severalServers(t *testing.T) {
	s := serve(t, &server.Options{})
	conn, _ := connect(t, config.NATS{URLs: []string{"nats://127.0.0.1:1", "nats://" + address(s), "nats://127.0.0.1:2"}}, nil)
	mustConnect(t, conn)
}

func TestConn_WaitEndsWithItsContext(t *testing.T) {
	conn, _ := connect(t, config.NATS{URLs: []string{"nats://127.0.0.1:1"}}, nil)
	awaitReady(t, conn, "refused", saying("refused"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := conn.Wait(ctx)
	if !saying("no connection to NATS at 127.0.0.1:1: connection refused")(err) {
		t.Errorf("Wait says %v, want why there is no connection", err)
	}
	if r := Explain(err); r.Outcome != "refused" {
		t.Errorf("the outcome is %q, want refused", r.Outcome)
	}
}

// silent takes connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func TestConn_saysWhy(t *testing.T) {
	plain := serve(t, &server.Options{})
	ca := newAuthority(t)
	encrypted := serve(t, &server.Options{TLSConfig: serverTLS(t, ca, nil), TLSTimeout: 20})
	tests := map[string]struct {
		config  config.NATS
		want    string
		outcome string
	}{
		"no TLS there":     {config.NATS{URLs: []string{"tls://" + address(plain)}}, "the server offers no TLS", "tls"},
		"an unknown CA":    {config.NATS{URLs: []string{"nats://" + address(encrypted)}}, "signed by an unknown authority", "tls"},
		"no such name":     {config.NATS{URLs: []string{"nats://nobody.invalid:4222"}}, "the address of nobody.invalid", "dns"},
		"no keys there":    {config.NATS{URLs: []string{"nats://" + address(plain)}, NKeySeedFile: "seed"}, "the server knows no keys", "auth"},
		"no answer at all": {config.NATS{URLs: []string{"nats://" + silent(t)}}, "no answer in time", "timeout"},
	}
	_, seed := user(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			conn, err := Connect(tt.config, config.Secrets{"seed": seed}, Options{Timeout: 200 * time.Millisecond, Log: (&logged{}).logger()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(conn.Close)
			awaitReady(t, conn, tt.want, saying(tt.want))
			if r := Explain(conn.Ready()); r.Outcome != tt.outcome {
				t.Errorf("the outcome is %q, want %q", r.Outcome, tt.outcome)
			}
		})
	}
}

func TestConnect_forbiddenAddress(t *testing.T) {
	s := serve(t, &server.Options{})
	conn, err := Connect(config.NATS{URLs: []string{"nats://" + address(s)}}, nil, Options{
		Log: (&logged{}).logger(),
		Control: func(context.Context, string, string, syscall.RawConn) error {
			return errors.New("deliveries never go there")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	awaitReady(t, conn, "the refusal", saying("deliveries never go there"))
}

func TestConn_Close(t *testing.T) {
	conn, log := connect(t, config.NATS{URLs: []string{"nats://" + address(serve(t, &server.Options{}))}}, nil)
	mustConnect(t, conn)
	conn.Close()
	if err := conn.Ready(); !saying("it is closed")(err) {
		t.Errorf("Ready says %v, want that it is closed", err)
	}
	if strings.Contains(log.String(), "lost") {
		t.Errorf("the log tells of a loss:\n%s", log)
	}
}
