package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

// Roots returns the certificates of CABundleFile, or nil, which means the system's, if none is named. Its errors begin with the field.
func (t *TLS) Roots(s Secrets) (*x509.CertPool, error) {
	if t.CABundleFile == "" {
		return nil, nil
	}
	pem, err := s.Get(t.CABundleFile)
	if err != nil {
		return nil, fmt.Errorf("caBundleFile: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(pem)) {
		return nil, fmt.Errorf("caBundleFile %q holds no certificate: put PEM blocks \"BEGIN CERTIFICATE\" into it", t.CABundleFile)
	}
	return pool, nil
}

// Certificate returns the client's certificate, nil if none is named. Its errors begin with the field and quote nothing of either file.
func (t *TLS) Certificate(s Secrets) (*tls.Certificate, error) {
	if t.CertificateFile == "" {
		return nil, nil
	}
	chain, err := s.Get(t.CertificateFile)
	if err != nil {
		return nil, fmt.Errorf("certificateFile: %w", err)
	}
	key, err := s.Get(t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("keyFile: %w", err)
	}
	pair, err := tls.X509KeyPair([]byte(chain), []byte(key))
	if err != nil {
		return nil, fmt.Errorf("certificateFile %q and keyFile %q are no pair: put in PEM blocks of a certificate and of its private key",
			t.CertificateFile, t.KeyFile)
	}
	return &pair, nil
}
