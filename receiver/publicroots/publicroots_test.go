package publicroots

import (
	"crypto/x509"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// TestProvide_whereTheSystemHasNone takes authorities' own certificates for those of servers: what matters is who vouches for them.
func TestProvide_whereTheSystemHasNone(t *testing.T) {
	none := t.TempDir()
	t.Setenv("SSL_CERT_FILE", filepath.Join(none, "none.pem"))
	t.Setenv("SSL_CERT_DIR", none)
	Provide()
	Provide()
	checked := 0
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue // which is about what it vouches for
		}
		certificate, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		checked++
		if _, err := certificate.Verify(x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
			t.Errorf("%s: %v", certificate.Subject, err)
		}
	}
	if checked == 0 {
		t.Error("there are no authorities")
	}
}
