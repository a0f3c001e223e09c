package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/admin"
	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/disk"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
	"github.com/hookbay/hookbay/receiver/sources"
)

// lazada is a good endpoint, changed by change. Its target's URL says which fakeTarget it has.
func lazada(name string, change ...func(*config.Endpoint)) config.Endpoint {
	e := config.Endpoint{
		Namespace: "shop", Name: name, Generation: 1, Path: "/shop/" + name,
		Source: config.Source{Type: config.SourceLazada, Lazada: &config.Lazada{AppKey: "100132", AppSecretFiles: []config.SecretFile{"secret"}}},
		Target: config.Target{Type: config.TargetHTTP, URL: "http://" + name + ".example.com/"},
		// A short first wait, so that tests of retries need not wait long.
		Delivery: config.Delivery{Retry: config.Retry{InitialInterval: config.Duration(time.Millisecond), MaxInterval: config.Duration(5 * time.Millisecond)}},
	}
	for _, f := range change {
		f(&e)
	}
	return e
}

func suspended(e *config.Endpoint)         { e.Delivery.Suspend = true }
func generation(e *config.Endpoint)        { e.Generation++ }
func to(url string) func(*config.Endpoint) { return func(e *config.Endpoint) { e.Target.URL = url } }

// fixture is a receiver with a configuration that the test changes, on a real disk, with targets that the test watches.
type fixture struct {
	t   *testing.T
	app *App
	dir string

	mu       sync.Mutex
	snapshot config.Snapshot
	loadErr  error
	loads    int

	targets sync.Map // of *fakeTarget, by URL
	ahead   atomic.Int64
	log     logBuffer
	stop    context.CancelFunc
	stopped chan error
}

// start runs a receiver with these endpoints until the test ends.
func start(t *testing.T, endpoints ...config.Endpoint) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: t.TempDir()}
	f.configure(endpoints...)
	f.run(nil)
	return f
}

// run starts the receiver, with options changed by change.
func (f *fixture) run(change func(*Options)) {
	f.t.Helper()
	o := Options{
		Load: f.load, Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", DataDir: f.dir,
		NewTarget:    func(e config.Endpoint, _ config.Secrets) (target.Target, error) { return f.newTarget(e.Target.URL) },
		PollInterval: time.Millisecond,
		Log:          slog.New(slog.NewTextHandler(&f.log, nil)),
		Now:          func() time.Time { return time.Now().Add(time.Duration(f.ahead.Load())) },
	}
	if change != nil {
		change(&o)
	}
	a, err := New(f.t.Context(), o)
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- a.Run(ctx) }()
	f.app, f.stop, f.stopped = a, cancel, stopped
	f.t.Cleanup(func() {
		for _, tg := range f.allTargets() {
			tg.open()
		}
		cancel()
		if err := <-stopped; err != nil {
			f.t.Errorf("Run returned %v", err)
		}
		if f.t.Failed() {
			f.t.Log(f.log.String())
		}
	})
	f.eventually("the receiver is ready", func() bool { return a.Ready() == nil })
}

// end stops the receiver and returns what Run did.
func (f *fixture) end() error {
	f.stop()
	err := <-f.stopped
	f.stopped <- nil // for the cleanup
	return err
}

func (f *fixture) load() (config.Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loads++
	return config.Snapshot{Config: f.snapshot.Config, Secrets: maps.Clone(f.snapshot.Secrets), Unreadable: f.snapshot.Unreadable, Revision: f.snapshot.Revision}, f.loadErr
}

// configure makes these endpoints the configuration, to be found by the next poll.
func (f *fixture) configure(endpoints ...config.Endpoint) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshot = config.Snapshot{Config: config.Config{Endpoints: endpoints}, Secrets: config.Secrets{"secret": "hunter2"}}
	f.loadErr = nil
}

// reconfigure does that and waits until it is live.
func (f *fixture) reconfigure(endpoints ...config.Endpoint) {
	f.t.Helper()
	f.configure(endpoints...)
	c := config.Config{Endpoints: endpoints}
	f.eventually("the new configuration is live", func() bool { return f.configz().Digest == c.Digest() })
}

// polls waits until the configuration has been looked at twice more: at least one look has been completed then.
func (f *fixture) polls() {
	f.t.Helper()
	count := func() int {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.loads
	}
	before := count()
	f.eventually("the configuration is polled", func() bool { return count() >= before+2 })
}

func (f *fixture) configz() admin.Config {
	f.t.Helper()
	var page admin.Config
	if err := json.Unmarshal([]byte(f.get("/configz")), &page); err != nil {
		f.t.Fatal(err)
	}
	return page
}

// get reads a page of the admin port, whatever its status.
func (f *fixture) get(path string) string {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, "http://"+f.app.AdminAddr().String()+path, http.NoBody)
	if err != nil {
		f.t.Fatal(err)
	}
	res, err := (&http.Client{}).Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // Only read.
	body, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(body)
}

// send posts event number n of subject number subject as Lazada does, and returns the status, 0 if there was no answer.
func (f *fixture) send(path, secret string, n, subject int) int {
	f.t.Helper()
	sim := simulator(f.t, secret)
	body := sim.Vary(sim.Samples()[0], n, subject)
	signed, err := sim.Sign(body, time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, "http://"+f.app.ListenAddr().String()+path, bytes.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header = http.Header(signed.Header)
	res, err := (&http.Client{}).Do(r)
	if err != nil {
		return 0
	}
	defer res.Body.Close() //nolint:errcheck // Only read.
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return 0
	}
	return res.StatusCode
}

// mustSend sends, as the platform does again when the disk was too slow for its limit, and wants the callback to be accepted.
func (f *fixture) mustSend(path string, n, subject int) {
	f.t.Helper()
	status := http.StatusServiceUnavailable
	for tries := 0; status == http.StatusServiceUnavailable && tries < 20; tries++ {
		status = f.send(path, "hunter2", n, subject)
	}
	if status != http.StatusOK {
		f.t.Errorf("callback is answered with %d, want 200", status)
	}
}

func simulator(t *testing.T, secret string) source.Simulator {
	t.Helper()
	sim, err := sources.NewSimulator(lazada("x").Source, config.Secrets{"secret": secret})
	if err != nil {
		t.Fatal(err)
	}
	return sim
}

// eventually waits until cond holds.
func (f *fixture) eventually(what string, cond func() bool) {
	f.t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			f.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// newTarget returns the next fakeTarget of a URL; its predecessor is forgotten, but known by who kept it.
func (f *fixture) newTarget(url string) (target.Target, error) {
	if strings.Contains(url, "impossible") {
		return nil, errors.New("the target is impossible")
	}
	tg := &fakeTarget{gate: make(chan struct{}), got: make(map[event.ID]int)}
	if !strings.Contains(url, "blocked") {
		tg.open()
	}
	f.targets.Store(fmt.Sprintf("%s#%p", url, tg), tg)
	return tg, nil
}

func (f *fixture) allTargets() map[string]*fakeTarget {
	all := make(map[string]*fakeTarget)
	f.targets.Range(func(key, value any) bool {
		all[key.(string)] = value.(*fakeTarget)
		return true
	})
	return all
}

// delivered counts the events that were delivered to targets of URLs that begin like this.
func (f *fixture) delivered(url string) int {
	n := 0
	for key, tg := range f.allTargets() {
		if strings.HasPrefix(key, url) {
			tg.mu.Lock()
			n += len(tg.got)
			tg.mu.Unlock()
		}
	}
	return n
}

// open counts the targets that are not closed.
func (f *fixture) open() int {
	n := 0
	for _, tg := range f.allTargets() {
		if !tg.closed.Load() {
			n++
		}
	}
	return n
}

// fakeTarget takes an event when its gate is open.
type fakeTarget struct {
	gate    chan struct{}
	once    sync.Once
	closed  atomic.Bool
	waiting atomic.Int64
	fails   func() bool // nil: never

	mu       sync.Mutex
	got      map[event.ID]int
	attempts []int // their numbers, in order
}

func (t *fakeTarget) open() { t.once.Do(func() { close(t.gate) }) }

func (t *fakeTarget) Send(ctx context.Context, e *event.Event, attempt int) target.Result {
	t.waiting.Add(1)
	defer t.waiting.Add(-1)
	if t.closed.Load() {
		return target.Result{Class: target.Rejected, Outcome: target.OutcomeNetwork, Detail: "sent to a closed target"}
	}
	select {
	case <-t.gate:
	case <-ctx.Done():
		return target.Result{Class: target.Retryable, Outcome: target.OutcomeTimeout, Detail: "blocked"}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.attempts = append(t.attempts, attempt)
	if t.fails != nil && t.fails() {
		return target.Result{Class: target.Retryable, Outcome: target.Outcome5xx, Detail: "it is broken"}
	}
	t.got[e.ID]++
	return target.Result{Class: target.Delivered, Outcome: target.Outcome2xx}
}

func (t *fakeTarget) Close() { t.closed.Store(true) }

func openDisk(t *testing.T, dir string) buffer.Buffer {
	t.Helper()
	b, err := disk.Open(disk.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// logBuffer is a bytes.Buffer for many goroutines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
