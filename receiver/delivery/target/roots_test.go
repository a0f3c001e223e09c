package target

import (
	"crypto/x509"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// TestRoots: where the system has no roots, as in a receiver's image, deliveries to https:// bring some. It runs in a process of its own, as roots are looked for
// once.
func TestRoots(t *testing.T) {
	const inside = "HOOKBAY_TEST_WITHOUT_SYSTEM_ROOTS"
	if os.Getenv(inside) != "" {
		testRootsOf(t, "http://", false)
		testRootsOf(t, "https://", true)
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("only there the environment says where the system's roots are")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRoots$")
	cmd.Env = append(os.Environ(), inside+"=1", "SSL_CERT_FILE="+os.DevNull, "SSL_CERT_DIR="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// testRootsOf delivers once, however that ends.
func testRootsOf(t *testing.T, scheme string, want bool) {
	t.Helper()
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	newTarget(t, scheme+s.Listener.Addr().String(), nil).Send(t.Context(), sampleEvent(), 1)
	pool, err := x509.SystemCertPool()
	if err != nil {
		t.Fatal(err)
	}
	if got := !pool.Equal(x509.NewCertPool()); got != want {
		t.Errorf("after a delivery to %s some root is trusted: %t, want %t", scheme, got, want)
	}
}
