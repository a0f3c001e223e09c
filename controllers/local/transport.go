package local

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
)

// newTransport leads callbacks to the URL's address, whatever host they name: so that the host's own certificate is asked for and verified also
// where its name leads elsewhere, or nowhere yet.
func newTransport(f *sendFlags, plays []play) (*http.Transport, error) {
	roots, err := f.roots()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: f.concurrency, // platforms keep their connections
		MaxConnsPerHost:     f.concurrency,
		IdleConnTimeout:     giveUp,
	}
	if slices.ContainsFunc(plays, func(p play) bool { return p.host != "" }) {
		var (
			dialer net.Dialer
			to     = address(f.url)
		)
		transport.Proxy = nil // it would go by the name
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, to)
		}
	}
	return transport, nil
}

// roots are the system's and those of --cacert; nil: the system's.
func (f *sendFlags) roots() (*x509.CertPool, error) {
	if f.caCert == "" {
		return nil, nil //nolint:nilnil // as crypto/tls has it
	}
	pem, err := os.ReadFile(f.caCert)
	if err != nil {
		return nil, usagef("--cacert: %v", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's certificates: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, usagef("--cacert %s: write a file with certificates in PEM", f.caCert)
	}
	return roots, nil
}

// address is the host and port of a URL.
func address(of string) string {
	u, err := url.Parse(of)
	if err != nil {
		return of // flags are checked before
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// base is what the URLs of an endpoint's callbacks begin with.
func (f *sendFlags) base(p *play) string {
	u, err := url.Parse(f.url)
	if err != nil || p.host == "" {
		return f.url
	}
	u.Host = p.host
	return u.String()
}
