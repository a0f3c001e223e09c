package local

import (
	"net/http"
	"os"
	"testing"
	"time"
)

// TestUnbuffered: an endpoint without a buffer is answered as its target answers, and what was refused is taken when the platform repeats it.
func TestUnbuffered(t *testing.T) {
	tgt := newTarget(t)
	m := newManifest(tgt.url())
	m.buffer = "{type: None}"
	r := newReceiver(t, checkedHookbay(t), m)
	r.start(t)
	push := func(n int) int {
		t.Helper()
		req, err := lazadaRequest(t.Context(), r.base(), lazadaSecret, callback{0, n}.body(0))
		status, _, _ := post(t, req, err)
		return status
	}

	tgt.set(answerWith(http.StatusInternalServerError))
	if status := push(0); status != http.StatusServiceUnavailable {
		t.Errorf("while the target fails: answered %d, want 503", status)
	}
	tgt.set(answerSlowly(time.Second)) // Lazada waits for half of that
	if status := push(1); status != http.StatusServiceUnavailable {
		t.Errorf("while the target is slow: answered %d, want 503", status)
	}
	tgt.down(t)
	if status := push(2); status != http.StatusServiceUnavailable {
		t.Errorf("while the target is down: answered %d, want 503", status)
	}
	tgt.set(answerWith(http.StatusOK))
	tgt.up(t)
	for n := range 3 {
		if status := push(n); status != http.StatusOK {
			t.Errorf("repeat of callback %d: answered %d, want 200", n, status)
		}
	}

	if _, err := os.Stat(r.dataDir); !os.IsNotExist(err) {
		t.Errorf("something is stored: %v", err)
	}
	r.stop(t)
	taken := make(map[string]int)
	for _, a := range tgt.log() {
		if got := a.header.Get("Hookbay-Attempt"); got != "1" {
			t.Errorf("callback %s was delivered with attempt number %s, want 1", a.mark, got)
		}
		if a.delivered() {
			taken[a.mark]++
		}
	}
	// The slow target took callback 1, although too late.
	for mark, want := range map[string]int{"0/0": 1, "0/1": 2, "0/2": 1} {
		if taken[mark] != want {
			t.Errorf("the target took callback %s %d times, want %d", mark, taken[mark], want)
		}
	}
}
