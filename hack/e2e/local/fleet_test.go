package local

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookbay/hookbay/hack/process"
	"github.com/hookbay/hookbay/receiver/config"
)

// fleet is several receivers that serve the same endpoint and share its buffer, behind what balances the load: whoever said last that it is ready gets callbacks.
type fleet struct {
	replicas []*replica
	next     atomic.Uint64
}

// replica is one receiver program, as it runs in a pod.
type replica struct {
	name          string
	program, dir  string
	listen, admin string
	endpoint      func(who string) config.Endpoint

	process *process.Process // nil while it does not run
	log     *process.Tail
	ready   atomic.Bool

	mu    sync.Mutex
	lives int
}

// newFleet prepares receivers. endpoint is what they serve; who names a life of one of them, for the target to recognize it by.
func newFleet(t *testing.T, program string, n int, endpoint func(who string) config.Endpoint) *fleet {
	t.Helper()
	f := &fleet{}
	for i := range n {
		r := &replica{
			name: fmt.Sprintf("r%d", i+1), program: program, dir: t.TempDir(), endpoint: endpoint,
			listen: freeAddress(t), admin: freeAddress(t), log: &process.Tail{},
		}
		f.replicas = append(f.replicas, r)
		t.Cleanup(func() {
			r.kill(t)
			if t.Failed() {
				t.Logf("the end of what %s logged:\n%s", r.name, r.log)
			}
		})
	}
	return f
}

// start starts all, and returns when they can store.
func (f *fleet) start(t *testing.T) {
	t.Helper()
	for _, r := range f.replicas {
		r.start(t)
	}
	for _, r := range f.replicas {
		r.await(t)
	}
}

// watch asks all whether they are ready, until ctx ends, as what balances the load does.
func (f *fleet) watch(ctx context.Context) (done func()) {
	var group sync.WaitGroup
	for _, r := range f.replicas {
		group.Go(func() {
			for ctx.Err() == nil {
				err := r.get(ctx, "/readyz")
				r.ready.Store(err == nil)
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
	}
	return group.Wait
}

// pick is where the next callback goes: to those that are ready in turn, or to any if none is.
func (f *fleet) pick() *replica {
	n := f.next.Add(1)
	for i := range uint64(len(f.replicas)) {
		if r := f.replicas[(n+i)%uint64(len(f.replicas))]; r.ready.Load() {
			return r
		}
	}
	return f.replicas[n%uint64(len(f.replicas))]
}

// who names the life of the replica that comes or is.
func (r *replica) who() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprintf("%s-%d", r.name, r.lives)
}

// start starts the receiver, for one more life.
func (r *replica) start(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	r.lives++
	r.mu.Unlock()
	secrets := filepath.Join(r.dir, "secrets")
	if err := os.MkdirAll(secrets, 0o750); err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(config.Config{Endpoints: []config.Endpoint{r.endpoint(r.who())}})
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{"config.json": string(document), "secrets/app-secret": lazadaSecret, "secrets/password": kafkaPassword, "secrets/user": kafkaUser} {
		if err := os.WriteFile(filepath.Join(r.dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Without the test's context: the cleanup, which runs after it has ended, wants to see how the program ends.
	cmd := exec.Command(r.program, "-config", filepath.Join(r.dir, "config.json"), "-secrets-dir", secrets, "-data-dir", filepath.Join(r.dir, "data"),
		"-listen", r.listen, "-admin", r.admin, "-forbid-loopback=false", "-drain-delay", "0s", "-log-level", "warn")
	cmd.Stderr = r.log
	if r.process, err = process.Start(cmd); err != nil {
		t.Fatal(err)
	}
}

// await waits until the receiver says that it can store.
func (r *replica) await(t *testing.T) {
	t.Helper()
	waitFor(t, r.name+" is ready", func() error {
		if err := r.process.Alive(); err != nil {
			t.Fatalf("%v\n%s", err, r.log)
		}
		err := r.get(t.Context(), "/readyz")
		r.ready.Store(err == nil)
		return err
	})
}

// kill ends the receiver as a power failure does, and returns when it is gone.
func (r *replica) kill(t *testing.T) {
	t.Helper()
	if r.process == nil {
		return
	}
	if err := r.process.Alive(); err != nil {
		t.Errorf("%s: %v\n%s", r.name, err, r.log)
	}
	if err := r.process.Kill(); err != nil {
		t.Errorf("kill %s: %v", r.name, err)
	}
	r.process = nil
}

// get asks the admin port; any answer but 200 is an error.
func (r *replica) get(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.admin+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end, or broken
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answers %s %s", resp.Status, body)
	}
	return err
}
