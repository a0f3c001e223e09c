package local

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hookbay/hookbay/hack/process"
)

// receiver is a hookbay run that tests start, kill and start again, on the same addresses and the same data.
type receiver struct {
	program  string
	manifest string // file
	dataDir  string
	listen   string
	admin    string

	cmd  *exec.Cmd
	logs *tail
	done chan error // yields how the program ended
}

// newReceiver prepares a receiver; start starts it.
func newReceiver(t *testing.T, program string, m manifest) *receiver {
	t.Helper()
	dir := t.TempDir()
	manifests := filepath.Join(dir, "manifests")
	if err := os.Mkdir(manifests, 0o700); err != nil {
		t.Fatal(err)
	}
	r := &receiver{
		program:  program,
		manifest: filepath.Join(manifests, "endpoints.yaml"),
		dataDir:  filepath.Join(dir, "data"),
		listen:   freeAddress(t),
		admin:    freeAddress(t),
		logs:     &tail{},
	}
	m.write(t, r.manifest)
	t.Cleanup(func() {
		if r.cmd != nil {
			r.kill(t)
		}
		if t.Failed() {
			t.Logf("the end of what the receiver logged:\n%s", r.logs)
		}
	})
	return r
}

// base is the URL that callbacks are sent to.
func (r *receiver) base() string { return "http://" + r.listen }

// start starts the program and returns, when it can store events, how long that took.
func (r *receiver) start(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	r.launch(t)
	r.await(t, "/readyz")
	return time.Since(began)
}

// launch starts the program.
func (r *receiver) launch(t *testing.T) {
	t.Helper()
	// Without the test's context: the cleanup, which runs after it has ended, wants to see how the program ends.
	cmd := exec.Command(r.program, "run", "-f", filepath.Dir(r.manifest), "--listen", r.listen, "--admin", r.admin, "--data-dir", r.dataDir)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.cmd, r.done = cmd, make(chan error, 1)
	done := r.done
	go func() {
		r.logs.follow(stderr) // ends when the program does
		done <- cmd.Wait()
	}()
}

// await waits until the admin port answers 200: on /healthz, when the program is up; on /readyz, when it can store events.
func (r *receiver) await(t *testing.T, path string) {
	t.Helper()
	waitFor(t, path+" answers 200", func() error {
		select {
		case err := <-r.done:
			r.done <- err
			t.Fatalf("the receiver ended: %v\n%s", err, r.logs)
		default:
		}
		status, body, err := r.get(t, path)
		if err == nil && status != http.StatusOK {
			return fmt.Errorf("it answers %d %s", status, body)
		}
		return err
	})
}

// get asks the admin port.
func (r *receiver) get(t *testing.T, path string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.admin+path, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// kill ends the program as a power failure does, and returns when it is gone.
func (r *receiver) kill(t *testing.T) {
	t.Helper()
	if err := r.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("kill the receiver: %v", err)
	}
	err := <-r.done
	r.cmd = nil
	// It may have ended by itself before, for a reason: a data race, a crash.
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.String() != "signal: killed" {
		t.Errorf("the receiver ended by itself: %v\n%s", err, r.logs)
	}
}

// stop asks the program to end, as Kubernetes does.
func (r *receiver) stop(t *testing.T) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("stop the receiver: %v", err)
	}
	select {
	case err := <-r.done:
		r.cmd = nil
		if err != nil {
			t.Errorf("the receiver ended with %v, want exit code 0\n%s", err, r.logs)
		}
	case <-time.After(patience):
		t.Fatalf("the receiver does not end\n%s", r.logs)
	}
}

// post sends a request as it is and returns the answer.
func post(t *testing.T, r *http.Request, err error) (int, http.Header, string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

// freeAddress is an address that a program may listen on, again and again.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := process.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// tail keeps the last lines of a log.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) follow(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		t.mu.Lock()
		if t.lines = append(t.lines, lines.Text()); len(t.lines) > 100 {
			t.lines = t.lines[1:]
		}
		t.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, r) // a line too long ends the scan; the program must not block on it
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}
