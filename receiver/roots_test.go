package main

import (
	"crypto/x509"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// TestRoots runs itself a second time as in an image that holds this program alone: Go reads the system's roots when the program starts.
func TestRoots(t *testing.T) {
	const inside = "HOOKBAY_TEST_WITHOUT_SYSTEM_ROOTS"
	if os.Getenv(inside) != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			t.Fatal(err)
		}
		if pool.Equal(x509.NewCertPool()) {
			t.Error("no root is trusted: deliveries to https:// fail where the system has no roots")
		}
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
