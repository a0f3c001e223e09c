package local

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/controllers/defaults"
	"github.com/hookbay/hookbay/receiver/config"
)

// loadBy loads manifests as hookbay run does with these flags.
func loadBy(t *testing.T, by defaults.Buffer, text string) (*Manifests, error) {
	t.Helper()
	d, err := sharedDefinition()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	writeFile(t, filepath.Join(".", "shop.yaml"), text)
	l := newLoader([]string{"shop.yaml"}, strings.NewReader(""), slog.New(slog.DiscardHandler), d)
	l.defaults = &by
	return l.Load(t.Context())
}

func TestLoad_buffers(t *testing.T) {
	const common = "nats://common:4222"
	by := func(b string) defaults.Buffer {
		return defaults.Buffer{Type: "Disk", JetStreamURLs: []string{common}, JetStreamCredentials: b}
	}
	with := func(buffer string) string {
		return strings.Replace(lazadaYAML, "  target:\n", "  buffer: "+buffer+"\n  target:\n", 1)
	}
	secret := "\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: nats, namespace: shop}\nstringData: {creds: c, user: u, password: p}\n"
	tests := map[string]struct {
		by          defaults.Buffer
		text        string
		want        config.Buffer // without what is the same for all
		wantSecrets []config.SecretFile
		wantErr     string
	}{
		"Disk": {by: by(""), text: lazadaYAML, want: config.Buffer{Type: config.BufferDisk}},
		"a stream of its own servers": {
			by: by("nats/creds"), text: with(`{type: JetStream, jetStream: {urls: ["nats://own:4222"], userRef: {name: nats, key: user}, passwordRef: {name: nats, key: password}}}`) + secret,
			want: config.Buffer{Type: config.BufferJetStream, JetStream: &config.JetStream{NATS: config.NATS{
				URLs: []string{"nats://own:4222"}, UserFile: "shop/nats/user", PasswordFile: "shop/nats/password",
			}}},
			wantSecrets: []config.SecretFile{"shop/nats/user", "shop/nats/password"},
		},
		"a stream of the flags' servers": {
			by: by("nats/creds"), text: with(`{type: JetStream}`) + secret,
			want: config.Buffer{Type: config.BufferJetStream, JetStream: &config.JetStream{NATS: config.NATS{
				URLs: []string{common}, CredentialsFile: "shop/nats/creds",
			}}},
			wantSecrets: []config.SecretFile{"shop/nats/creds"},
		},
		"a stream by default": {
			by: defaults.Buffer{Type: "JetStream", JetStreamURLs: []string{common}}, text: lazadaYAML,
			want: config.Buffer{Type: config.BufferJetStream, JetStream: &config.JetStream{NATS: config.NATS{URLs: []string{common}}}},
		},
		"credentials that are missing": {
			by: by("nats/creds"), text: with(`{type: JetStream}`),
			wantErr: "spec.buffer.jetStream.credentialsRef: Secret shop/nats is missing: add it to the files, with the key creds",
		},
		"no servers": {
			by: defaults.Buffer{Type: "Disk"}, text: with(`{type: JetStream}`),
			wantErr: `shop.yaml: document 1: WebhookEndpoint shop/lazada-im: spec.buffer.jetStream.urls: is missing: write the address of a NATS server, ` +
				`such as ["nats://127.0.0.1:4222"], or --jetstream-url nats://127.0.0.1:4222`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := loadBy(t, tt.by, tt.text)
			if tt.wantErr != "" || err != nil {
				if tt.wantErr == "" || err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Fatalf("error is %v, want one with %q", err, tt.wantErr)
				}
				return
			}
			snap := got.Snapshot()
			b := snap.Config.Endpoints[0].Buffer
			if b.MaxBytes == 0 {
				t.Error("there is no bound of its size")
			}
			b.MaxBytes, b.DeduplicationWindow, b.Retention = 0, 0, nil
			if diff := cmp.Diff(tt.want, b); diff != "" {
				t.Errorf("buffer (-want +got):\n%s", diff)
			}
			for _, file := range tt.wantSecrets {
				if _, err := snap.Secrets.Get(file); err != nil {
					t.Errorf("secret %s: %v", file, err)
				}
			}
		})
	}
}

// What only brokers know is gone when events go to a URL or are printed instead.
func TestRedirect_brokers(t *testing.T) {
	text := strings.Replace(lazadaYAML, `    type: Service
    service:
      name: chat
      port: 8080
`, `    type: Kafka
    kafka: {brokers: ["kafka:9092"], topic: events}
    timeout: 3s
`, 1)
	m, err := loadBy(t, defaults.Buffer{Type: "Disk"}, text)
	if err != nil {
		t.Fatal(err)
	}
	f := &runFlags{target: "http://127.0.0.1:3000/events"}
	snap, err := f.redirect(m)
	if err != nil {
		t.Fatal(err)
	}
	got := snap.Config.Endpoints[0].Target
	want := config.Target{Type: config.TargetHTTP, URL: f.target, Timeout: config.Duration(3e9)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("target (-want +got):\n%s", diff)
	}
	if _, err := config.Parse(mustJSON(t, snap.Config)); err != nil {
		t.Errorf("the receiver would refuse it: %v", err)
	}
}
