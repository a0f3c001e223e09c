package app

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/admin"
	"github.com/hookbay/hookbay/receiver/config"
)

func TestApp_deliversWhatItAccepts(t *testing.T) {
	f := start(t, lazada("a"))
	f.mustSend("/shop/a", 0, 0)
	f.mustSend("/shop/a", 1, 0)
	f.mustSend("/shop/a", 1, 0) // the platform repeats
	f.eventually("both events are delivered", func() bool { return f.delivered("http://a.example.com/") == 2 })

	want := []admin.Endpoint{{
		Namespace: "shop", Name: "a", Generation: 1, Path: "/shop/a", SourceType: "Lazada", TargetType: "HTTP", TargetHost: "a.example.com",
		Target: &admin.Target{State: "up"}, Buffer: &admin.Buffer{Engine: "Disk", Ready: true},
	}}
	if diff := cmp.Diff(want, f.configz().Endpoints); diff != "" {
		t.Errorf("/configz (-want +got):\n%s", diff)
	}
	f.eventually("they are settled", func() bool { return strings.Contains(f.get("/metrics"), `hookbay_backlog_events{endpoint="shop/a"} 0`) })
	metrics := f.get("/metrics")
	for _, line := range []string{
		`hookbay_callbacks_total{endpoint="shop/a",outcome="stored"} 2`, `hookbay_callbacks_total{endpoint="shop/a",outcome="duplicate"} 1`,
		`hookbay_delivery_attempts_total{endpoint="shop/a",outcome="2xx"} 2`,
		`hookbay_config_last_load_success 1`, `hookbay_config_refused_total 0`, "hookbay_buffer_bytes ", "hookbay_buffer_sync_seconds_count ", "go_goroutines ", "process_start_time_seconds ",
	} {
		if !strings.Contains(metrics, "\n"+line) {
			t.Errorf("/metrics lacks %q", line)
		}
	}
	if strings.Contains(metrics, "\nhookbay_buffer_sync_seconds_count 0\n") {
		t.Error("no sync was measured, although events were stored")
	}
	if err := f.end(); err != nil {
		t.Error(err)
	}
}

func TestApp_keepsServingWhenANewConfigurationIsWrong(t *testing.T) {
	f := start(t, lazada("a"))
	good := f.configz().Digest
	tests := []struct {
		what    string
		change  func()
		wantErr string
	}{
		{"an endpoint that is not valid", func() {
			f.configure(lazada("a"), lazada("b", func(e *config.Endpoint) { e.Path = "b" }))
		}, `endpoints[1].path: begin it with "/"`},
		{"a credential that is missing", func() {
			f.configure(lazada("b"), lazada("c", func(e *config.Endpoint) { e.Source.Lazada.AppSecretFiles = []config.SecretFile{"none"} }))
		}, `endpoints[1] shop/c: source: `},
		{"a target that cannot be made", func() { f.configure(lazada("b"), lazada("c", to("http://impossible/"))) },
			"endpoints[1] shop/c: target: the target is impossible"},
		{"a file that cannot be read", func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.loadErr = errors.New("the file is gone")
		}, "the file is gone"},
	}
	for i, tt := range tests {
		tt.change()
		f.eventually(tt.what+" is refused", func() bool {
			r := f.configz().Refused
			return r != nil && strings.Contains(r.Reason, tt.wantErr)
		})
		f.polls()
		page := f.configz()
		if page.Digest != good || len(page.Endpoints) != 1 {
			t.Errorf("%s: the live configuration is %s with %d endpoints, want the one before", tt.what, page.Digest, len(page.Endpoints))
		}
		f.mustSend("/shop/a", i, 0)
		if status := f.send("/shop/b", "hunter2", i, 0); status != http.StatusNotFound {
			t.Errorf("%s: half of it is live: /shop/b answers %d, want 404", tt.what, status)
		}
	}
	f.eventually("all is delivered", func() bool { return f.delivered("http://a.example.com/") == len(tests) })
	if n := strings.Count(f.log.String(), "Configuration is refused"); n != len(tests) {
		t.Errorf("%d refusals are logged, want one for each of the %d reasons:\n%s", n, len(tests), f.log.String())
	}
	metrics := f.get("/metrics")
	for _, line := range []string{"hookbay_config_last_load_success 0", "hookbay_config_refused_total 4"} {
		if !strings.Contains(metrics, "\n"+line+"\n") {
			t.Errorf("/metrics lacks %q", line)
		}
	}
	if n := f.open(); n != 1 {
		t.Errorf("%d targets are open, want that of the live configuration alone", n)
	}

	f.configure(lazada("a"))
	f.eventually("the good configuration is found again", func() bool { return f.configz().Refused == nil })
	if page := f.configz(); page.Digest != good {
		t.Errorf("the live configuration is %s, want %s", page.Digest, good)
	}
}

func TestApp_changesWhatChangedAndNothingElse(t *testing.T) {
	f := start(t, lazada("a"), lazada("b"))
	f.reconfigure(lazada("a", generation), lazada("b", to("http://new.example.com/")), lazada("c"))
	f.mustSend("/shop/a", 0, 0)
	f.mustSend("/shop/b", 0, 0)
	f.mustSend("/shop/c", 0, 0)
	f.eventually("each is delivered to its own target", func() bool {
		return f.delivered("http://a.example.com/") == 1 && f.delivered("http://new.example.com/") == 1 && f.delivered("http://c.example.com/") == 1
	})
	f.eventually("the old target is closed", func() bool { return f.open() == 3 })
	made := make(map[string]int)
	for key := range f.allTargets() {
		url, _, _ := strings.Cut(key, "#")
		made[url]++
	}
	want := map[string]int{"http://a.example.com/": 1, "http://b.example.com/": 1, "http://new.example.com/": 1, "http://c.example.com/": 1}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("targets made (-want +got):\n%s", diff)
	}
	if g := f.configz().Endpoints[0].Generation; g != 2 {
		t.Errorf("/configz shows generation %d, want 2", g)
	}
}

// Changing the target must not wait for attempts to the old one, nor break them off.
func TestApp_changesATargetThatHangs(t *testing.T) {
	f := start(t, lazada("a", to("http://blocked/")))
	f.mustSend("/shop/a", 0, 0)
	var old *fakeTarget
	for _, tg := range f.allTargets() {
		old = tg
	}
	f.eventually("the attempt hangs", func() bool { return old.waiting.Load() == 1 })
	f.reconfigure(lazada("a", to("http://new/")))
	f.mustSend("/shop/a", 0, 1) // another subject: the first one's event is still under way
	f.eventually("the new target gets the next event", func() bool { return f.delivered("http://new/") == 1 })
	if old.closed.Load() {
		t.Error("the old target is closed while an attempt is under way")
	}
	old.open()
	f.eventually("the old target has ended its attempt and is closed", func() bool { return f.delivered("http://blocked/") == 1 && old.closed.Load() })
	if n := f.delivered("http://new/"); n != 1 {
		t.Errorf("%d events went to the new target, want 1: the other one was delivered already", n)
	}
}

func TestApp_suspends(t *testing.T) {
	f := start(t, lazada("a", suspended))
	f.mustSend("/shop/a", 0, 0)
	f.polls()
	if f.delivered("http://a") != 0 || !f.configz().Endpoints[0].Suspended {
		t.Error("a suspended endpoint delivers")
	}
	f.reconfigure(lazada("a"))
	f.eventually("the event is delivered", func() bool { return f.delivered("http://a") == 1 })
	f.reconfigure(lazada("a", suspended))
	f.mustSend("/shop/a", 1, 0)
	f.polls()
	if n := f.delivered("http://a"); n != 1 {
		t.Errorf("%d events are delivered, want only that of before", n)
	}
	if err := f.end(); err != nil {
		t.Error(err)
	}
	if n := f.open(); n != 0 {
		t.Errorf("%d targets are still open after the stop", n)
	}
}

func TestApp_removesASuspendedEndpoint(t *testing.T) {
	f := start(t, lazada("a", suspended), lazada("b", suspended), lazada("c", to("http://blocked/")))
	f.mustSend("/shop/a", 0, 0)
	f.mustSend("/shop/a", 1, 0)
	f.mustSend("/shop/c", 0, 0)
	f.reconfigure()
	f.polls() // what is logged of the change comes before it is live
	for _, want := range []string{
		"level=WARN msg=\"Endpoint is gone and its stored events wait, as it was suspended: they are delivered when it is back, " +
			"or become dead letters past its retry.maxAge once the receiver has restarted\" endpoint=shop/a pending=2",
		`msg="Endpoint is gone, what is stored is still delivered" endpoint=shop/b pending=0`,
		`msg="Endpoint is gone, what is stored is still delivered" endpoint=shop/c pending=1`,
	} {
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("the log lacks %s", want)
		}
	}
	if n := strings.Count(f.log.String(), "Endpoint is gone"); n != 3 {
		t.Errorf("%d lines tell of endpoints that are gone, want one for each of 3:\n%s", n, f.log.String())
	}
}

func TestApp_rotatesACredential(t *testing.T) {
	f := start(t, lazada("a"))
	f.mustSend("/shop/a", 0, 0)
	f.mu.Lock()
	f.snapshot.Secrets = config.Secrets{"secret": "new"}
	f.mu.Unlock()
	f.eventually("the new credential is live", func() bool { return f.send("/shop/a", "new", 1, 0) == http.StatusOK })
	if status := f.send("/shop/a", "hunter2", 2, 0); status != http.StatusUnauthorized {
		t.Errorf("the old credential is answered with %d, want 401", status)
	}
	f.eventually("both events are delivered", func() bool { return f.delivered("http://a") == 2 })
	if log := f.log.String() + f.get("/metrics") + f.get("/configz"); strings.Contains(log, "hunter2") {
		t.Error("the credential is shown")
	}
}

func TestApp_removesAnEndpoint(t *testing.T) {
	f := start(t, lazada("a", to("http://blocked/")), lazada("b"))
	for n := range 3 {
		f.mustSend("/shop/a", n, 0)
	}
	f.reconfigure(lazada("b"))
	if status := f.send("/shop/a", "hunter2", 9, 0); status != http.StatusNotFound {
		t.Errorf("the path that is gone answers %d, want 404", status)
	}
	f.mustSend("/shop/b", 0, 0)
	if diff := cmp.Diff([]string{"shop/a"}, f.configz().Leaving); diff != "" {
		t.Errorf("leaving endpoints (-want +got):\n%s", diff)
	}
	f.ahead.Store(int64(2 * linger))
	f.polls()
	if page := f.configz(); len(page.Leaving) != 1 || !strings.Contains(f.get("/metrics"), `hookbay_backlog_events{endpoint="shop/a"} 3`) {
		t.Error("an endpoint with events to deliver is forgotten")
	}
	for _, tg := range f.allTargets() {
		tg.open()
	}
	f.eventually("its events are delivered and it is forgotten", func() bool { return len(f.configz().Leaving) == 0 })
	if n := f.delivered("http://blocked/"); n != 3 {
		t.Errorf("%d events are delivered, want 3", n)
	}
	if strings.Contains(f.get("/metrics"), `"shop/a"`) {
		t.Error("series of an endpoint that is gone remain")
	}
	if n := f.open(); n != 1 {
		t.Errorf("%d targets are open, want 1", n)
	}
}

func TestApp_adoptsAnEndpointThatComesBack(t *testing.T) {
	f := start(t, lazada("a", to("http://blocked/")))
	f.mustSend("/shop/a", 0, 0)
	f.reconfigure()
	f.reconfigure(lazada("a", to("http://blocked/")))
	f.mustSend("/shop/a", 0, 1)
	if n := len(f.allTargets()); n != 1 {
		t.Errorf("%d targets were made, want the endpoint to come back with the one it had", n)
	}
	f.reconfigure()
	f.reconfigure(lazada("a", to("http://new/")))
	for _, tg := range f.allTargets() {
		tg.open()
	}
	f.eventually("all is delivered", func() bool { return f.delivered("http://") == 2 })
	f.eventually("only the newest target is open", func() bool { return f.open() == 1 })
	if page := f.configz(); len(page.Leaving) != 0 || len(page.Endpoints) != 1 {
		t.Errorf("/configz shows %d leaving endpoints and %d served ones, want 0 and 1", len(page.Leaving), len(page.Endpoints))
	}
}

// Whatever is accepted while the configuration changes all the time must be delivered.
func TestApp_losesNothingWhileTheConfigurationChanges(t *testing.T) {
	f := start(t, lazada("a"), lazada("b"))
	done := make(chan struct{})
	var changing sync.WaitGroup
	changing.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			switch n % 4 {
			case 0:
				f.configure(lazada("a", to("http://x/")), lazada("b"))
			case 1:
				f.configure(lazada("a", to("http://y/")), lazada("b", suspended))
			case 2:
				f.configure(lazada("a", suspended), lazada("b", to("http://x/")), lazada("c"))
			case 3:
				f.configure(lazada("a", to("http://impossible/")))
			}
		}
	})
	const senders, each = 4, 40
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for n := range each {
				f.mustSend("/shop/a", n, s)
			}
		})
	}
	wg.Wait()
	close(done)
	changing.Wait()
	f.reconfigure(lazada("a"))
	f.eventually("all is delivered", func() bool { return f.delivered("http://") >= senders*each })
	if n := f.delivered("http://"); n != senders*each {
		t.Errorf("%d events are delivered, want %d", n, senders*each)
	}
}
