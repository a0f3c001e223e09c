package local

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestConfigurationIsLive edits the manifest of a running receiver: another target, then a mistake, then a new App Secret. Not one callback
// fails on the way.
func TestConfigurationIsLive(t *testing.T) {
	first, second := newTarget(t), newTarget(t)
	m := newManifest(first.url())
	r := newReceiver(t, checkedHookbay(t), m)
	r.start(t)
	failed := sendAllAlong(t, r)
	next := 0
	push := func(secret string) int { // a push that was not sent before
		t.Helper()
		next++
		req, err := lazadaRequest(t.Context(), r.base(), secret, callback{0, next}.body(0))
		status, _, _ := post(t, req, err)
		return status
	}
	mustTake := func(what, secret string) {
		t.Helper()
		if status := push(secret); status != http.StatusOK {
			t.Errorf("%s: answered %d, want 200", what, status)
		}
	}
	becomes := func(what, secret string, want int) {
		t.Helper()
		waitFor(t, what, func() error {
			if status := push(secret); status != want {
				return fmt.Errorf("answered %d, want %d", status, want)
			}
			return nil
		})
	}

	m.target = second.url()
	m.write(t, r.manifest)
	waitFor(t, "events go to the second target", func() error {
		mustTake("while the target changes", lazadaSecret)
		if second.taken() == 0 {
			return errors.New("they do not")
		}
		return nil
	})

	writeFile(t, r.manifest, strings.ReplaceAll(m.yaml(), "maxInFlight", "maxInFlights"))
	waitFor(t, "the mistake is reported", func() error {
		if !strings.Contains(r.logs.String(), "maxInFlights") {
			return errors.New("the log does not name the field")
		}
		return nil
	})
	before := second.taken()
	mustTake("with a mistake in the manifest", lazadaSecret)
	second.waitTaken(t, before+1)

	const newSecret = "another-secret-than-before-000001"
	m.lazadaSecrets = []string{lazadaSecret, newSecret}
	m.write(t, r.manifest)
	becomes("the new secret is taken", newSecret, http.StatusOK)
	mustTake("the old secret, while both are valid", lazadaSecret)

	m.lazadaSecrets = []string{newSecret}
	m.write(t, r.manifest)
	becomes("the old secret is refused", lazadaSecret, http.StatusUnauthorized)
	mustTake("the new secret, alone", newSecret)

	if err := failed(); err != nil {
		t.Error(err)
	}
	r.stop(t)
}

// sendAllAlong calls the endpoint whose credentials stay the same, until the function it returns is called, which tells whether any of these
// callbacks failed.
func sendAllAlong(t *testing.T, r *receiver) func() error {
	t.Helper()
	s := newSender(r.base(), 1, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		for n := 0; ; n++ {
			status, err := s.once(ctx, callback{1, n})
			switch {
			case ctx.Err() != nil:
				done <- nil
				return
			case err != nil || status != http.StatusOK:
				done <- fmt.Errorf("callback %d failed while the configuration changed: %d %w", n, status, err)
				return
			}
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(cancel)
	return func() error {
		cancel()
		return <-done
	}
}

// TestInvalidManifests: a mistake ends hookbay run at once, with exit code 2 and the field in the message.
func TestInvalidManifests(t *testing.T) {
	good := newManifest("http://127.0.0.1:9/events").yaml()
	for name, tc := range map[string]struct {
		old, new string
		want     []string
	}{
		"a field that is none":       {"maxInFlight", "maxInFlights", []string{"spec.delivery", "maxInFlights"}},
		"a type that is none":        {"type: TencentIM", "type: Tencent", []string{"spec.source"}},
		"a duration without unit":    {"initialInterval: 20ms", "initialInterval: 20", []string{"spec.delivery.retry.initialInterval"}},
		"a Secret that is not there": {"name: lazada-app, namespace", "name: lazada-apq, namespace", []string{"lazada-app"}},
		"an empty token":             {"token: " + tencentToken, `token: ""`, []string{"tencent-im", "token"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "endpoints.yaml")
			if err := os.WriteFile(file, []byte(strings.ReplaceAll(good, tc.old, tc.new)), 0o600); err != nil {
				t.Fatal(err)
			}
			output, code := runHookbay(t, "run", "-f", file, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir", t.TempDir())
			if code != 2 {
				t.Errorf("exit code %d, want 2; it said:\n%s", code, output)
			}
			for _, want := range tc.want {
				if !strings.Contains(output, want) {
					t.Errorf("it said nothing of %q:\n%s", want, output)
				}
			}
			for _, secret := range []string{lazadaSecret, tencentToken} {
				if strings.Contains(output, secret) {
					t.Errorf("it printed a secret:\n%s", output)
				}
			}
		})
	}
}

// TestSend plays the platforms with hookbay send: against a receiver that knows the credentials, and against one that knows others.
func TestSend(t *testing.T) {
	tgt := newTarget(t)
	m := newManifest(tgt.url())
	r := newReceiver(t, checkedHookbay(t), m)
	r.start(t)

	const count = 200
	output, code := runHookbay(t, "send", "-f", r.manifest, "--url", r.base(), "--count", fmt.Sprint(count), "--concurrency", "16")
	if code != 0 {
		t.Errorf("exit code %d, want 0; it said:\n%s", code, output)
	}
	waitProgress(t, "all events are delivered", 2*count, func() int { return len(tgt.log()) })

	other := filepath.Join(t.TempDir(), "other.yaml")
	m.lazadaSecrets = []string{"not-the-secret"}
	if err := os.WriteFile(other, []byte(m.yaml()), 0o600); err != nil {
		t.Fatal(err)
	}
	if output, code = runHookbay(t, "send", "-f", other, "--url", r.base(), "--endpoint", "lazada-im"); code != 1 || !strings.Contains(output, "401") {
		t.Errorf("exit code %d, want 1 and the status 401; it said:\n%s", code, output)
	}
	r.stop(t)
	if got := len(tgt.log()); got != 2*count {
		t.Errorf("%d events were delivered, want %d", got, 2*count)
	}
}

// runHookbay runs the program to its end.
func runHookbay(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, hookbay(t), args...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}
