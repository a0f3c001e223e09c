package app

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/delivery/target"
)

func unbuffered(e *config.Endpoint) { e.Buffer.Type = config.BufferNone }

// failing makes the targets of an endpoint answer 503 while it returns true.
func (f *fixture) failing(failing func() bool) func(*Options) {
	return func(o *Options) {
		o.NewTarget = func(e config.Endpoint, _ config.Secrets) (target.Target, error) {
			tg, err := f.newTarget(e.Target.URL)
			if fake, ok := tg.(*fakeTarget); ok {
				fake.fails = failing
			}
			return tg, err
		}
	}
}

func TestApp_acknowledgesWhatTheTargetHas(t *testing.T) {
	f := &fixture{t: t, dir: filepath.Join(t.TempDir(), "data")}
	f.configure(lazada("a", unbuffered))
	var broken atomic.Bool
	f.run(f.failing(broken.Load))

	broken.Store(true)
	if status := f.send("/shop/a", "hunter2", 0, 0); status != http.StatusServiceUnavailable || f.delivered("http://a") != 0 {
		t.Errorf("answered %d while the target fails, want 503", status)
	}
	broken.Store(false)
	for range 2 { // the platform's repeat is delivered again: nothing is remembered
		if status := f.send("/shop/a", "hunter2", 0, 0); status != http.StatusOK {
			t.Errorf("answered %d, want 200", status)
		}
	}
	for _, tg := range f.allTargets() {
		tg.mu.Lock()
		if diff := cmp.Diff([]int{1, 1, 1}, tg.attempts); diff != "" {
			t.Errorf("attempt numbers (-want +got):\n%s", diff)
		}
		for id, n := range tg.got {
			if n != 2 {
				t.Errorf("event %s was delivered %d times, want 2", id, n)
			}
		}
		tg.mu.Unlock()
	}
	if !strings.Contains(f.log.String(), `reason=not_delivered status=503 detail="the target did not take it, send it again"`) ||
		!strings.Contains(f.log.String(), `error="target did not take the event: it is broken"`) {
		t.Error("the log does not say why the callback was refused")
	}
	metrics := f.get("/metrics")
	for _, line := range []string{
		`hookbay_callbacks_total{endpoint="shop/a",outcome="not_delivered"} 1`, `hookbay_callbacks_total{endpoint="shop/a",outcome="stored"} 2`,
		`hookbay_delivery_attempts_total{endpoint="shop/a",outcome="2xx"} 2`, `hookbay_delivery_attempts_total{endpoint="shop/a",outcome="5xx"} 1`,
		`hookbay_delivery_in_flight{endpoint="shop/a"} 0`, `hookbay_backlog_events{endpoint="shop/a"} 0`,
		`hookbay_dead_letters{endpoint="shop/a"} 0`, `hookbay_buffer_bytes 0`,
	} {
		if !strings.Contains(metrics, "\n"+line+"\n") {
			t.Errorf("/metrics lacks %q", line)
		}
	}
	if _, err := os.Stat(f.dir); !os.IsNotExist(err) {
		t.Errorf("the data directory was touched: %v", err)
	}
	if err := f.end(); err != nil {
		t.Error(err)
	}
	if n := f.open(); n != 0 {
		t.Errorf("%d targets are open, want none", n)
	}
}

// A target that hangs must not make the answer come after the platform's limit.
func TestApp_refusesInTimeWhatTheTargetDoesNotTake(t *testing.T) {
	f := start(t, lazada("a", unbuffered, to("http://blocked/")))
	if status := f.send("/shop/a", "hunter2", 0, 0); status != http.StatusServiceUnavailable {
		t.Errorf("answered %d by a target that hangs, want 503", status)
	}
	if n := f.delivered("http://"); n != 0 {
		t.Errorf("%d events are delivered, want none", n)
	}
}

func TestApp_refusesWhileSuspended(t *testing.T) {
	f := start(t, lazada("a", unbuffered, suspended))
	status, header, body := f.push(lazada("a"), nil, nil)
	if want := `{"error":"delivery is suspended, send it again later"}`; status != http.StatusServiceUnavailable || body != want || header.Get("Retry-After") == "" {
		t.Errorf("answered %d %s, want 503 %s and Retry-After", status, body, want)
	}
	if !strings.Contains(f.get("/metrics"), `hookbay_callbacks_total{endpoint="shop/a",outcome="suspended"} 1`) {
		t.Error("/metrics does not count what was refused")
	}
	if status, _, body = f.push(tencent("a"), nil, nil); status != http.StatusUnauthorized {
		t.Errorf("a callback that is not the platform's is answered %d %s, want 401", status, body)
	}
	f.reconfigure(lazada("a", unbuffered, generation))
	f.mustSend("/shop/a", 0, 0)
	f.reconfigure(lazada("a", unbuffered, suspended))
	if status := f.send("/shop/a", "hunter2", 1, 0); status != http.StatusServiceUnavailable {
		t.Errorf("answered %d when suspended again, want 503", status)
	}
	if n := f.delivered("http://a"); n != 1 {
		t.Errorf("%d events are delivered, want the one that was taken", n)
	}
}

func TestApp_servesBothKindsOfEndpoints(t *testing.T) {
	f := start(t, lazada("a"), lazada("b", unbuffered), lazada("c", unbuffered))
	f.mustSend("/shop/a", 0, 0)
	f.mustSend("/shop/b", 0, 0)
	f.eventually("both are delivered", func() bool { return f.delivered("http://a") == 1 && f.delivered("http://b") == 1 })

	// One changes its target, one goes, one comes.
	f.reconfigure(lazada("a"), lazada("b", unbuffered, to("http://new/")), lazada("d", unbuffered))
	f.mustSend("/shop/b", 1, 0)
	f.mustSend("/shop/d", 0, 0)
	if n, m := f.delivered("http://new/"), f.delivered("http://d"); n != 1 || m != 1 {
		t.Errorf("%d events are at b's new target and %d at d's, want 1", n, m)
	}
	if status := f.send("/shop/c", "hunter2", 0, 0); status != http.StatusNotFound {
		t.Errorf("the path that is gone answers %d, want 404", status)
	}
	f.ahead.Store(int64(2 * linger))
	f.eventually("the endpoint that is gone is forgotten", func() bool { return len(f.configz().Leaving) == 0 })
	f.eventually("its target is closed, and b's old one", func() bool { return f.open() == 3 })
	if strings.Contains(f.get("/metrics"), `"shop/c"`) {
		t.Error("series of an endpoint that is gone remain")
	}
}

func TestApp_keepsTheTypeOfABuffer(t *testing.T) {
	tests := map[string]struct{ before, after []config.Endpoint }{
		"buffer.type of shop/a changed from Disk to None: restart the receiver": {
			[]config.Endpoint{lazada("a"), lazada("b", unbuffered)}, []config.Endpoint{lazada("b", unbuffered), lazada("a", unbuffered)},
		},
		"buffer.type of shop/a changed from None to Disk: restart the receiver": {
			[]config.Endpoint{lazada("a", unbuffered), lazada("b")}, []config.Endpoint{lazada("b"), lazada("a")},
		},
		"buffer.type of shop/b is Disk, and the receiver was started without a buffer: restart the receiver": {
			[]config.Endpoint{lazada("a", unbuffered)}, []config.Endpoint{lazada("a", unbuffered), lazada("b")},
		},
	}
	for want, tt := range tests {
		t.Run(want, func(t *testing.T) {
			f := start(t, tt.before...)
			digest := f.configz().Digest
			f.configure(tt.after...)
			f.eventually("it is refused", func() bool { return f.configz().Refused != nil })
			if got := f.configz(); got.Refused.Reason != want || got.Digest != digest {
				t.Errorf("refused because %q, and live is %s; want %q and %s", got.Refused.Reason, got.Digest, want, digest)
			}
			f.mustSend("/shop/a", 0, 0)
			f.eventually("the endpoint still works", func() bool { return f.delivered("http://a") == 1 })
			if metrics := f.get("/metrics"); len(tt.before) == 1 && strings.Contains(metrics, `"shop/b"`) {
				t.Error("an endpoint that is not served has series")
			}
			// Restarted, it is what the new configuration says.
			if err := f.end(); err != nil {
				t.Fatal(err)
			}
			f.run(nil)
			f.mustSend("/shop/a", 1, 0)
			f.eventually("the endpoint works in another way", func() bool { return f.delivered("http://a") == 2 })
		})
	}
}

// A stop must not close the target of a callback that is under way.
func TestApp_stopsAfterTheCallbacksOfEndpointsWithoutABuffer(t *testing.T) {
	f := &fixture{t: t, dir: t.TempDir()}
	e := tencent("a") // whose platform waits for 2 s
	unbuffered(&e)
	to("http://blocked/")(&e)
	f.configure(e)
	f.run(nil)
	answer := make(chan int, 1)
	go func() {
		status, _, _ := f.push(e, nil, nil)
		answer <- status
	}()
	var tg *fakeTarget
	for _, tg = range f.allTargets() {
		f.eventually("the attempt is under way", func() bool { return tg.waiting.Load() == 1 })
	}
	f.stop()
	f.eventually("the receiver stops", func() bool { return f.app.Ready() != nil })
	if tg.closed.Load() {
		t.Error("the target is closed during an attempt")
	}
	tg.open()
	if status := <-answer; status != http.StatusOK {
		t.Errorf("the callback under way is answered with %d, want 200", status)
	}
	if err := f.end(); err != nil || !tg.closed.Load() {
		t.Errorf("Run returned %v and the target is closed: %t, want nil and true", err, tg.closed.Load())
	}
}

func TestApp_isReadyWithoutADisk(t *testing.T) {
	f := &fixture{t: t, dir: t.TempDir()}
	f.configure(lazada("a", unbuffered))
	f.run(func(o *Options) {
		o.openBuffer = func() (buffer.Buffer, error) {
			t.Error("a buffer was opened")
			return openDisk(t, f.dir), nil
		}
	})
	if got := f.get("/readyz"); got != "ok\n" {
		t.Errorf("/readyz says %q, want ok", got)
	}
}

func TestApp_tellsOfEventsThatWereLeftBehind(t *testing.T) {
	f := start(t, lazada("a", suspended), lazada("b"))
	f.mustSend("/shop/a", 0, 0)
	restart := func(endpoints ...config.Endpoint) {
		t.Helper()
		if err := f.end(); err != nil {
			t.Fatal(err)
		}
		f.configure(endpoints...)
		f.run(nil)
	}
	restart(lazada("a", unbuffered), lazada("b"))
	if !strings.Contains(f.log.String(), `no buffer any more are kept until it has again, or they are too old" endpoint=shop/a pending=1`) {
		t.Error("nobody is told of events that nobody delivers")
	}
	if !strings.Contains(f.get("/metrics"), `hookbay_backlog_events{endpoint="shop/a"} 1`) {
		t.Error("/metrics lacks the events that nobody delivers")
	}
	restart(lazada("a", unbuffered))
	if !strings.Contains(f.log.String(), "The data directory is not opened") {
		t.Error("nobody is told of a store that is not opened")
	}
	restart(lazada("a"))
	f.eventually("the event is delivered", func() bool { return f.delivered("http://a") == 1 })
}

// Whatever changes, no callback of an endpoint without a buffer may fail.
func TestApp_failsNoCallbackWhileTheConfigurationChanges(t *testing.T) {
	f := start(t, lazada("a", unbuffered))
	done := make(chan struct{})
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-tick.C:
				f.configure(lazada("a", unbuffered, to([]string{"http://x/", "http://y/"}[n%2])), lazada([]string{"b", "c"}[n/2%2], unbuffered))
			}
		}
	}()
	const each = 200
	for n := range each {
		if status := f.send("/shop/a", "hunter2", n, 0); status != http.StatusOK {
			t.Errorf("callback %d is answered with %d, want 200", n, status)
		}
	}
	close(done)
	<-changed
	if n := f.delivered("http://"); n != each {
		t.Errorf("%d events are delivered, want %d", n, each)
	}
	f.reconfigure(lazada("a", unbuffered))
	f.ahead.Store(int64(2 * linger))
	f.eventually("only the newest target is open", func() bool { return f.open() == 1 })
}
