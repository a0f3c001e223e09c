package natsconn

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"github.com/nats-io/nkeys"

	"github.com/hookbay/hookbay/receiver/config"
)

// login is what a connection proves who it is with, and whom it trusts. Only what the configuration names is set.
type login struct {
	jwt                   string
	key                   nkeys.KeyPair
	publicKey             string
	user, password, token string
	roots                 *x509.CertPool
	certificate           *tls.Certificate
}

// newLogin reads it. None of its errors wraps a parser's, which might quote what it was given.
func newLogin(c *config.NATS, s config.Secrets) (*login, error) {
	l := &login{}
	for _, read := range []func(*config.NATS, config.Secrets) error{l.readCredentials, l.readSeed, l.readWords, l.readTLS} {
		if err := read(c, s); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *login) readCredentials(c *config.NATS, s config.Secrets) error {
	if c.CredentialsFile == "" {
		return nil
	}
	creds, err := s.Get(c.CredentialsFile)
	if err != nil {
		return fmt.Errorf("credentialsFile: %w", err)
	}
	if l.jwt, err = nkeys.ParseDecoratedJWT([]byte(creds)); err == nil {
		l.key, err = nkeys.ParseDecoratedUserNKey([]byte(creds))
	}
	if err != nil {
		return fmt.Errorf("credentialsFile %q is no .creds file with a user's JWT and seed: put in what \"nsc generate creds\" writes", c.CredentialsFile)
	}
	return nil
}

func (l *login) readSeed(c *config.NATS, s config.Secrets) error {
	if c.NKeySeedFile == "" {
		return nil
	}
	seed, err := s.Credential(c.NKeySeedFile)
	if err != nil {
		return fmt.Errorf("nkeySeedFile: %w", err)
	}
	if l.key, err = nkeys.ParseDecoratedUserNKey([]byte(seed)); err == nil {
		l.publicKey, err = l.key.PublicKey()
	}
	if err != nil {
		return fmt.Errorf("nkeySeedFile %q holds no user's NKey seed: put in what begins with \"SU\"", c.NKeySeedFile)
	}
	return nil
}

func (l *login) readWords(c *config.NATS, s config.Secrets) error {
	for _, w := range []struct {
		field string
		file  config.SecretFile
		to    *string
	}{{"userFile", c.UserFile, &l.user}, {"passwordFile", c.PasswordFile, &l.password}, {"tokenFile", c.TokenFile, &l.token}} {
		if w.file == "" {
			continue
		}
		var err error
		if *w.to, err = s.Credential(w.file); err != nil {
			return fmt.Errorf("%s: %w", w.field, err)
		}
	}
	return nil
}

func (l *login) readTLS(c *config.NATS, s config.Secrets) error {
	t := c.TLS()
	var err error
	if l.roots, err = t.Roots(s); err != nil {
		return err
	}
	l.certificate, err = t.Certificate(s)
	return err
}
