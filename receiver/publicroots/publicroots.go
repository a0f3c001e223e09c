// Package publicroots holds the certificates of the public authorities, for a system that has none: an image that holds a receiver alone.
package publicroots

import (
	"crypto/x509"
	"sync"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// Provide has certificates checked against the public authorities' where the system has no roots. Whoever is about to check one against the system's
// roots calls it first, as often as it likes. They take a MiB of memory, which a receiver whose targets are within its cluster has no use for.
func Provide() { provide() }

var provide = sync.OnceFunc(func() {
	roots := x509.NewCertPool()
	for root := range bundle.Roots() {
		certificate, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			continue // one that this Go no longer takes: it would fit nothing
		}
		if root.Constraint == nil {
			roots.AddCert(certificate)
		} else {
			roots.AddCertWithConstraint(certificate, root.Constraint)
		}
	}
	x509.SetFallbackRoots(roots)
})
