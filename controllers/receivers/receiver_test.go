package receivers

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/app"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/sources"
)

// running is a whole receiver, so that no name of a page, a field or a metric can change on one side alone.
type running struct {
	t        *testing.T
	app      *app.App
	client   *Client
	snapshot config.Snapshot
}

func start(t *testing.T, change func(*config.Endpoint)) *running {
	t.Helper()
	endpoint := config.Endpoint{
		Namespace: "shop", Name: "orders", Generation: 7, Path: "/shop/orders",
		Source: config.Source{Type: config.SourceLazada, Lazada: &config.Lazada{AppKey: "100132", AppSecretFiles: []config.SecretFile{"secret"}}},
		Target: config.Target{Type: config.TargetHTTP, URL: "http://orders.example.com/"},
	}
	change(&endpoint)
	snapshot := config.Snapshot{
		Revision: "r-2", Secrets: config.Secrets{"secret": "hunter2"}, Config: config.Config{Endpoints: []config.Endpoint{endpoint}},
	}
	receiver, err := app.New(t.Context(), app.Options{
		Load:   func() (config.Snapshot, error) { return snapshot, nil },
		Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", DataDir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- receiver.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	r := &running{t: t, app: receiver, client: clientOf(t, Options{Timeout: time.Minute}, receiver.AdminAddr().String()), snapshot: snapshot}
	for r.ask().NotReady != "" { // it starts
		continue
	}
	return r
}

func (r *running) ask() Report {
	r.t.Helper()
	report, err := r.client.Ask(r.t.Context(), "192.0.2.1", "shop/orders")
	if err != nil {
		r.t.Fatal(err)
	}
	return report
}

func TestAsk_realReceiver(t *testing.T) {
	started := time.Now().Truncate(time.Second)
	receiver := start(t, func(e *config.Endpoint) { e.Delivery.Suspend = true })
	snapshot, source := receiver.snapshot, receiver.snapshot.Config.Endpoints[0].Source
	want := Report{Digest: snapshot.Config.Digest(), Revision: "r-2", Generation: 7}
	if diff := cmp.Diff(want, receiver.ask()); diff != "" {
		t.Errorf("before the first callback (-want +got):\n%s", diff)
	}

	simulator, err := sources.NewSimulator(source, snapshot.Secrets)
	if err != nil {
		t.Fatal(err)
	}
	body := simulator.Samples()[0].Body
	signed, err := simulator.Sign(body, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range []http.Header{http.Header(signed.Header), {"Authorization": {"forged"}}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+receiver.app.ListenAddr().String()+"/shop/orders", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	after := receiver.ask()
	for name, at := range map[string]time.Time{"LastAccepted": after.LastAccepted, "LastRefused": after.LastRefused} {
		if at.Before(started) || at.After(time.Now()) {
			t.Errorf("%s is %v, want it since %v", name, at, started)
		}
	}
	if after.Backlog != 1 || after.Held != 1 || after.Oldest <= 0 {
		t.Errorf("a callback that waits is told as Backlog %d, Held %d, Oldest %v; want 1, 1, more than 0", after.Backlog, after.Held, after.Oldest)
	}
}

func TestAsk_realReceiverWithoutBuffer(t *testing.T) {
	receiver := start(t, func(e *config.Endpoint) { e.Buffer.Type = config.BufferNone })
	want := Report{Digest: receiver.snapshot.Config.Digest(), Revision: "r-2", Generation: 7}
	if diff := cmp.Diff(want, receiver.ask()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}
