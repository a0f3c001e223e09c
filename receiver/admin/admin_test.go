package admin

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/delivery"
)

func TestHandler(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	shown := EndpointOf(&config.Endpoint{
		Namespace: "shop", Name: "a", Generation: 3, Host: "hooks.example.com", Path: "/shop/a",
		Source:   config.Source{Type: config.SourceLazada, Lazada: &config.Lazada{AppKey: "1", AppSecretFiles: []config.SecretFile{"hunter2"}}},
		Target:   config.Target{Type: config.TargetHTTP, URL: "https://chat.example.com:8443/hunter2?token=hunter2", BearerTokenFile: "hunter2"},
		Delivery: config.Delivery{Suspend: true},
	})
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "hookbay_test"}, func() float64 { return 5 }))
	tests := map[string]struct {
		method, path string
		ready        error
		refused      *Refused
		wantStatus   int
		wantType     string
		want         string
	}{
		"the index": {path: "/", wantStatus: 200, wantType: "text/plain; charset=utf-8", want: index},
		"alive":     {path: "/healthz", ready: errors.New("full"), wantStatus: 200, wantType: "text/plain; charset=utf-8", want: "ok\n"},
		"ready":     {path: "/readyz", wantStatus: 200, wantType: "text/plain; charset=utf-8", want: "ok\n"},
		"not ready": {path: "/readyz", ready: errors.New("the disk is full"), wantStatus: 503, wantType: "text/plain; charset=utf-8", want: "the disk is full\n"},
		"not ready for a reason of many lines": {
			path: "/readyz", ready: errors.Join(errors.New("the disk\tfailed"), errors.New("read\x00it\xff ")),
			wantStatus: 503, wantType: "text/plain; charset=utf-8", want: "the disk failed read it?\n",
		},
		"not ready for a long reason": {
			path: "/readyz", ready: errors.New("é" + strings.Repeat("é", maxReasonBytes)),
			wantStatus: 503, wantType: "text/plain; charset=utf-8", want: strings.Repeat("é", maxReasonBytes/2) + "…\n",
		},
		"metrics": {
			path: "/metrics", wantStatus: 200, wantType: "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
			want: "# HELP hookbay_test \n# TYPE hookbay_test gauge\nhookbay_test 5\n",
		},
		"a configuration": {path: "/configz", wantStatus: 200, wantType: "application/json", want: `{
  "digest": "abc",
  "revision": "42",
  "loadedAt": "2026-03-01T12:00:00Z",
  "endpoints": [
    {
      "namespace": "shop",
      "name": "a",
      "generation": 3,
      "host": "hooks.example.com",
      "path": "/shop/a",
      "sourceType": "Lazada",
      "targetType": "HTTP",
      "targetHost": "chat.example.com:8443",
      "suspended": true
    }
  ],
  "refused": null
}
`},
		"a refused configuration": {
			path: "/configz", refused: &Refused{At: at, Reason: "endpoints[0].path: …"}, wantStatus: 200, wantType: "application/json",
			want: "refused\": {\n    \"at\": \"2026-03-01T12:00:00Z\",\n    \"reason\": \"endpoints[0].path: …\"\n  }",
		},
		"no such page":    {path: "/x", wantStatus: 404, wantType: "text/plain; charset=utf-8"},
		"nothing to post": {method: http.MethodPost, path: "/configz", wantStatus: 405, wantType: "text/plain; charset=utf-8"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := NewHandler(Options{
				Ready: func() error { return tt.ready },
				Config: func() Config {
					return Config{Digest: "abc", Revision: "42", LoadedAt: at, Endpoints: []Endpoint{shown}, Refused: tt.refused}
				},
				Metrics: reg, Log: slog.New(slog.DiscardHandler),
			})
			if tt.method == "" {
				tt.method = http.MethodGet
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
			if w.Code != tt.wantStatus || w.Header().Get("Content-Type") != tt.wantType {
				t.Errorf("answer is %d %s, want %d %s", w.Code, w.Header().Get("Content-Type"), tt.wantStatus, tt.wantType)
			}
			if !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("body (-want +got):\n%s", cmp.Diff(tt.want, w.Body.String()))
			}
			if strings.Contains(w.Body.String(), "hunter2") {
				t.Errorf("body shows a secret:\n%s", w.Body.String())
			}
		})
	}
}

func TestTargetOf(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		state delivery.TargetState
		want  string
	}{
		"never tried": {want: `{"state":"up"}`},
		"up, and failed before": {
			state: delivery.TargetState{LastFailure: delivery.Failure{At: at, Outcome: "5xx", Detail: "target answered 503"}},
			want:  `{"state":"up","lastFailure":{"at":"2026-03-01T12:00:00Z","outcome":"5xx","detail":"target answered 503"}}`,
		},
		"down": {
			state: delivery.TargetState{Down: true, Since: at, NextTry: at.Add(time.Second), LastFailure: delivery.Failure{At: at, Outcome: "dns", Detail: "no"}},
			want:  `{"state":"down","downSince":"2026-03-01T12:00:00Z","nextTry":"2026-03-01T12:00:01Z","lastFailure":{"at":"2026-03-01T12:00:00Z","outcome":"dns","detail":"no"}}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := json.Marshal(TargetOf(tt.state))
			if err != nil || string(got) != tt.want {
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
		})
	}
}

func TestBacklog(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	b := NewBacklog(
		func() int64 { return 4096 },
		func() map[string]buffer.Stats {
			return map[string]buffer.Stats{
				"shop/a": {Pending: 7, Oldest: now.Add(-90 * time.Second), Dead: 2},
				"shop/b": {},
			}
		},
		func() time.Time { return now },
	)
	want := `
# HELP hookbay_backlog_events Events that are neither delivered nor dead letters.
# TYPE hookbay_backlog_events gauge
hookbay_backlog_events{endpoint="shop/a"} 7
hookbay_backlog_events{endpoint="shop/b"} 0
# HELP hookbay_backlog_oldest_seconds Age of the oldest of them; 0 if there is none.
# TYPE hookbay_backlog_oldest_seconds gauge
hookbay_backlog_oldest_seconds{endpoint="shop/a"} 90
hookbay_backlog_oldest_seconds{endpoint="shop/b"} 0
# HELP hookbay_buffer_bytes Space that the buffer takes.
# TYPE hookbay_buffer_bytes gauge
hookbay_buffer_bytes 4096
# HELP hookbay_dead_letters Dead letters that are kept.
# TYPE hookbay_dead_letters gauge
hookbay_dead_letters{endpoint="shop/a"} 2
hookbay_dead_letters{endpoint="shop/b"} 0
`
	if err := testutil.CollectAndCompare(b, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.CollectAndLint(b); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}

func TestServer_isBounded(t *testing.T) {
	s := NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Error("the admin server has no limits")
	}
}
