package apitest

import (
	"testing"
	"time"
)

const (
	// patience is far longer than anything takes here, so that a slow machine fails no test.
	patience = 2 * time.Minute
	pause    = 50 * time.Millisecond
)

// Eventually calls check until it returns nil. If it has not after two minutes, the test ends, with what was awaited and the last
// error.
func Eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.After(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-time.After(pause):
		case <-deadline:
			t.Fatalf("waited %s for %s: %v", patience, what, err)
		}
	}
}
