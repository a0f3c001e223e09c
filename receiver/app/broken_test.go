package app

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/admin"
	"github.com/hookbay/hookbay/receiver/config"
)

// secretLate has an endpoint's credential in a file that comes late.
func secretLate(e *config.Endpoint) { e.Source.Lazada.AppSecretFiles = []config.SecretFile{"late"} }

// unreadable makes a secret one that cannot be read, with or without others.
func (f *fixture) unreadable(file config.SecretFile, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshot.Unreadable = map[config.SecretFile]string{file: why}
}

// secret is what is read of a file from now on.
func (f *fixture) secret(file config.SecretFile, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshot.Unreadable = nil
	f.snapshot.Secrets = config.Secrets{"secret": "hunter2", file: value}
}

func (f *fixture) wantStatus(path string, want, n int) {
	f.t.Helper()
	if want == http.StatusOK {
		f.mustSend(path, n, 0)
		return
	}
	if status := f.send(path, "hunter2", n, 0); status != want {
		f.t.Errorf("%s answers %d, want %d", path, status, want)
	}
}

func (f *fixture) wantMetrics(lines ...string) {
	f.t.Helper()
	metrics := f.get("/metrics")
	for _, line := range lines {
		if !strings.Contains(metrics, "\n"+line+"\n") {
			f.t.Errorf("/metrics lacks %q", line)
		}
	}
}

func TestApp_servesTheOthersWhenOneCannotWork(t *testing.T) {
	const why = `secret file "late" is missing: create it`
	f := &fixture{t: t, dir: t.TempDir()}
	f.configure(lazada("a"), lazada("b", secretLate), lazada("c", unbuffered, to("http://impossible/")))
	f.unreadable("late", why)
	f.run(nil)
	f.wantStatus("/shop/a", http.StatusOK, 0)
	f.wantStatus("/shop/b", http.StatusServiceUnavailable, 0)
	f.wantStatus("/shop/c", http.StatusServiceUnavailable, 0)
	f.polls()
	want := []admin.Broken{
		{Endpoint: "shop/b", Reason: "source.lazada.appSecretFiles[0]: " + why}, {Endpoint: "shop/c", Reason: "target: the target is impossible"},
	}
	if page := f.configz(); cmp.Diff(want, page.Broken) != "" || page.Refused != nil {
		t.Errorf("/configz shows as broken %v and as refused %v, want %v and nothing", page.Broken, page.Refused, want)
	}
	f.wantMetrics("hookbay_config_last_load_success 0", `hookbay_endpoint_usable{endpoint="shop/a"} 1`, `hookbay_endpoint_usable{endpoint="shop/b"} 0`,
		`hookbay_endpoint_usable{endpoint="shop/c"} 0`, `hookbay_callbacks_total{endpoint="shop/b",outcome="not_usable"} 1`)
	if n := strings.Count(f.log.String(), "Endpoint cannot work"); n != 2 || !strings.Contains(f.log.String(), "endpoint=shop/b error=\"source.lazada.appSecretFiles[0]: secret file") {
		t.Errorf("%d lines tell of endpoints that cannot work, want one for each of 2, with the field", n)
	}

	// What is wrong with one does not keep back what is changed of another.
	f.mu.Lock()
	f.snapshot.Config.Endpoints = append([]config.Endpoint{lazada("a", to("http://new/"))}, f.snapshot.Config.Endpoints[1:]...)
	f.mu.Unlock()
	f.eventually("the change is live", func() bool { return f.configz().Endpoints[0].TargetHost == "new" })
	f.wantStatus("/shop/a", http.StatusOK, 1)

	// It heals by itself.
	f.secret("late", "hunter2")
	f.eventually("the endpoint works", func() bool { return len(f.configz().Broken) == 1 })
	f.wantStatus("/shop/b", http.StatusOK, 0)
	f.wantStatus("/shop/c", http.StatusServiceUnavailable, 0)
	f.eventually("its event is delivered", func() bool { return f.delivered("http://b") == 1 })
	f.configure(lazada("a", to("http://new/")), lazada("b"), lazada("c", unbuffered))
	f.eventually("all work", func() bool { return len(f.configz().Broken) == 0 })
	f.wantStatus("/shop/c", http.StatusOK, 0)
	f.wantMetrics("hookbay_config_last_load_success 1", `hookbay_endpoint_usable{endpoint="shop/c"} 1`)
	f.eventually("it is told that both work", func() bool { return strings.Count(f.log.String(), "Endpoint can work now") == 2 })
	if n := f.open(); n != 3 {
		t.Errorf("%d targets are open, want 3", n)
	}
}

func TestApp_isNotReadyWhenNoEndpointCanWork(t *testing.T) {
	f := start(t, lazada("a"), lazada("b", secretLate, unbuffered))
	f.mu.Lock()
	f.snapshot.Config.Endpoints = f.snapshot.Config.Endpoints[1:]
	f.mu.Unlock()
	f.eventually("the configuration is live", func() bool { return len(f.configz().Endpoints) == 1 })
	want := "no endpoint can work: shop/b: source: read the app secrets: lazada.appSecretFiles: secret file"
	if got := f.get("/readyz"); !strings.HasPrefix(got, want) {
		t.Errorf("/readyz says %q, want one that begins with %q", got, want)
	}
	f.secret("late", "hunter2")
	f.eventually("it is ready", func() bool { return f.app.Ready() == nil })
	f.wantStatus("/shop/b", http.StatusOK, 0)
	f.reconfigure()
	if strings.Contains(f.get("/metrics"), `hookbay_endpoint_usable{`) {
		t.Error("series of an endpoint that is gone remain")
	}
}

// A secret that goes away takes nothing with it, as ever: the endpoint goes on with what it has.
func TestApp_keepsWorkingWhenASecretGoes(t *testing.T) {
	f := start(t, lazada("a"), lazada("b", to("http://blocked/")))
	f.mu.Lock()
	f.snapshot.Secrets = nil
	f.snapshot.Unreadable = map[config.SecretFile]string{"secret": "it is gone"}
	f.mu.Unlock()
	f.eventually("that is refused", func() bool {
		r := f.configz().Refused
		return r != nil && r.Reason == "endpoints[0] shop/a: source.lazada.appSecretFiles[0]: it is gone"
	})
	f.wantStatus("/shop/a", http.StatusOK, 0)
	f.secret("other", "x")
	f.eventually("it is live again", func() bool { return f.configz().Refused == nil })
}

func TestApp_keepsTheEventsOfAnEndpointThatCannotWork(t *testing.T) {
	f := start(t, lazada("a"), lazada("b", suspended, secretLate))
	f.secret("late", "hunter2")
	f.eventually("the endpoint works", func() bool { return len(f.configz().Broken) == 0 })
	f.mustSend("/shop/b", 0, 0)
	if err := f.end(); err != nil {
		t.Fatal(err)
	}
	f.configure(lazada("a"), lazada("b", secretLate), lazada("c", secretLate))
	f.run(nil)
	f.wantStatus("/shop/b", http.StatusServiceUnavailable, 1)
	f.wantMetrics(`hookbay_backlog_events{endpoint="shop/b"} 1`)

	// Not even that it is gone for a while loses them.
	f.configure(lazada("a"))
	f.eventually("they are gone", func() bool { return len(f.configz().Endpoints) == 1 })
	f.ahead.Store(int64(2 * linger))
	f.eventually("the one without events is forgotten", func() bool { return len(f.configz().Leaving) == 1 })
	if log := `stored events wait, as it could not work`; !strings.Contains(f.log.String(), log) {
		t.Errorf("the log lacks %q", log)
	}
	f.configure(lazada("a"), lazada("b"))
	f.eventually("the event is delivered", func() bool { return f.delivered("http://b") == 1 })
}

// The same with files, one of which comes late, and then is something that nobody may wait for.
func TestApp_healsWhenTheFileComes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name+"~"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, name+"~"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	endpoint := func(name, target string) string {
		return `{"namespace": "shop", "name": "` + name + `", "path": "/shop/` + name + `", "source": {"type": "Lazada", "lazada": ` +
			`{"appKey": "100132", "appSecretFiles": ["` + name + `-secret"]}}, "target": {"type": "HTTP", "url": "http://` + target + `/"}, "delivery": {}, "buffer": {}}`
	}
	document := func(target string) string {
		return `{"endpoints": [` + endpoint("a", target) + `, ` + endpoint("b", "b") + `]}`
	}
	write("config.json", document("a"))
	write("a-secret", "hunter2")
	f := &fixture{t: t, dir: t.TempDir()}
	f.run(func(o *Options) {
		o.Load = config.Files{Config: filepath.Join(dir, "config.json"), SecretsDir: dir}.Load
	})
	f.wantStatus("/shop/a", http.StatusOK, 0)
	f.wantStatus("/shop/b", http.StatusServiceUnavailable, 0)

	write("b-secret", "\n")
	f.eventually("an empty file is told of", func() bool {
		broken := f.configz().Broken
		return len(broken) == 1 && strings.Contains(broken[0].Reason, "is empty")
	})
	write("b-secret", "hunter2\n")
	f.eventually("the endpoint works", func() bool { return len(f.configz().Broken) == 0 })
	f.wantStatus("/shop/b", http.StatusOK, 0)

	if err := errors.Join(os.Remove(filepath.Join(dir, "b-secret")), os.Mkdir(filepath.Join(dir, "b-secret"), 0o700)); err != nil {
		t.Fatal(err)
	}
	f.eventually("a folder is told of", func() bool {
		r := f.configz().Refused
		return r != nil && strings.Contains(r.Reason, `source.lazada.appSecretFiles[0]: secret file "b-secret" is not a regular file: name the file`)
	})
	f.wantStatus("/shop/b", http.StatusOK, 1)
	if err := os.Remove(filepath.Join(dir, "b-secret")); err != nil {
		t.Fatal(err)
	}
	write("b-secret", "hunter2")
	write("config.json", document("new"))
	f.eventually("a new configuration is live", func() bool { return f.configz().Endpoints[0].TargetHost == "new" })
}
