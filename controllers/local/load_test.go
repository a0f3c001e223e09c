package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/config"
)

const lazadaYAML = `apiVersion: hookbay.dev/v1alpha1
kind: WebhookEndpoint
metadata:
  name: lazada-im
  namespace: shop
spec:
  source:
    type: Lazada
    lazada:
      appKey: "100132"
      appSecretRefs:
        - name: lazada-app
          key: app-secret
  target:
    type: Service
    service:
      name: chat
      port: 8080
---
apiVersion: v1
kind: Secret
metadata:
  name: lazada-app
  namespace: shop
stringData:
  app-secret: kX7s2Qv9LmT4bWn8RcYd1ZpE6HgJ0uAf
`

const tencentYAML = `apiVersion: hookbay.dev/v1alpha1
kind: WebhookEndpoint
metadata:
  name: tencent-im
  namespace: shop
spec:
  source:
    type: TencentIM
    tencentIM:
      sdkAppID: 1400000001
      tokenRefs: [{name: tencent-im, key: token}]
  target:
    type: URL
    url: https://chat.example.com/events
---
apiVersion: v1
kind: Secret
metadata: {name: tencent-im, namespace: shop}
stringData: {token: tok-3f9A7c2E5b8D1064}
`

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a", "lazada.yaml"), lazadaYAML)
	writeFile(t, filepath.Join(dir, "b.yml"), tencentYAML)
	writeFile(t, filepath.Join(dir, "kustomization.yaml"), "resources: [b.yml]\n")
	writeFile(t, filepath.Join(dir, "service.json"), `{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "chat"}}`)
	writeFile(t, filepath.Join(dir, "package.json"), `{"name": "shop"}`)
	writeFile(t, filepath.Join(dir, "list.json"), `[1, 2]`)
	writeFile(t, filepath.Join(dir, ".tool.yaml"), "not: [a manifest")
	writeFile(t, filepath.Join(dir, "notes.txt"), "not: [a manifest")
	writeFile(t, filepath.Join(dir, ".git", "x.yaml"), "not: [a manifest")

	var log bytes.Buffer
	l, err := NewLoader([]string{dir}, nil, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // nothing of the first reading may stick to the second
		got, err := l.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range got.Endpoints {
			names = append(names, e.Namespace+"/"+e.Name)
		}
		if diff := cmp.Diff([]string{"shop/lazada-im", "shop/tencent-im"}, names); diff != "" {
			t.Errorf("endpoints (-want +got):\n%s", diff)
		}
		wantSecrets := config.Secrets{
			"shop/lazada-app/app-secret": "kX7s2Qv9LmT4bWn8RcYd1ZpE6HgJ0uAf",
			"shop/tencent-im/token":      "tok-3f9A7c2E5b8D1064",
		}
		if diff := cmp.Diff(map[config.SecretFile]string(wantSecrets), map[config.SecretFile]string(got.Secrets)); diff != "" {
			t.Errorf("secrets (-want +got):\n%s", diff)
		}
	}
	if got := strings.Count(log.String(), "Skipped"); got != 2 {
		t.Errorf("logged %d skipped objects, want 2: each of two, once:\n%s", got, log.String())
	}
}

func TestLoad_defaults(t *testing.T) {
	got := mustLoad(t, strings.ReplaceAll(lazadaYAML, "  namespace: shop\n", ""))
	got.Endpoints[0].Spec.Exposure.Host = "hooks.example.com"
	c := got.Snapshot().Config
	if _, err := config.Parse(mustJSON(t, c)); err != nil {
		t.Errorf("the receiver would refuse the configuration: %v", err)
	}
	e := c.Endpoints[0]
	if e.Key() != "default/lazada-im" || e.Path != "/default/lazada-im" || e.Host != "" {
		t.Errorf("got %s at host %q, path %q; want default/lazada-im at any host and /default/lazada-im", e.Key(), e.Host, e.Path)
	}
	want := `{"delivery":{"ordering":"Subject","maxInFlight":64,"retry":{"initialInterval":"1s","maxInterval":"5m0s","maxAge":"24h0m0s"}},` +
		`"buffer":{"maxBytes":9663676416,"deduplicationWindow":"7h0m0s","retention":"24h0m0s"}}`
	part := struct {
		Delivery config.Delivery `json:"delivery"`
		Buffer   config.Buffer   `json:"buffer"`
	}{e.Delivery, e.Buffer}
	if diff := cmp.Diff(want, string(mustJSON(t, part))); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestLoad_sources(t *testing.T) {
	item := func(s string) string { return strings.ReplaceAll(strings.TrimSpace("- "+s), "\n", "\n  ") }
	docs := strings.Split(tencentYAML, "---\n")
	tests := map[string]struct {
		files map[string]string
		paths []string
		stdin string
	}{
		"standard input": {paths: []string{"-"}, stdin: tencentYAML},
		"a list, as kubectl get -o yaml prints it": {paths: []string{"list.yaml"}, files: map[string]string{
			"list.yaml": "apiVersion: v1\nkind: List\nitems:\n" + item(docs[0]) + "\n" + item(docs[1]) + "\n",
		}},
		"an endpoint from a file and its Secret from standard input": {paths: []string{"e.yaml", "-"}, stdin: docs[1],
			files: map[string]string{"e.yaml": docs[0]}},
		"a file with byte order mark, Windows line ends and empty documents": {paths: []string{"w.yaml"}, files: map[string]string{
			"w.yaml": "\ufeff" + strings.ReplaceAll("# hello\n--- # first\n"+tencentYAML+"---\n# nothing\n---\n", "\n", "\r\n"),
		}},
		"a Secret in base64": {paths: []string{"b.yaml"}, files: map[string]string{
			"b.yaml": strings.Replace(tencentYAML, "stringData: {token: tok-3f9A7c2E5b8D1064}", "data: {token: dG9rLTNmOUE3YzJFNWI4RDEwNjQK}", 1),
		}},
		"JSON indented with tabs": {paths: []string{"s.json", "e.yaml"}, files: map[string]string{
			"e.yaml": docs[0],
			"s.json": "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Secret\",\n\t\"metadata\": {\"name\": \"tencent-im\", \"namespace\": \"shop\"},\n\t\"stringData\": {\"token\": \"tok-3f9A7c2E5b8D1064\"}\n}\n",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for name, text := range tt.files {
				writeFile(t, name, text)
			}
			l, err := NewLoader(tt.paths, strings.NewReader(tt.stdin), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				got, err := l.Load(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if len(got.Endpoints) != 1 || got.Secrets["shop/tencent-im/token"] != "tok-3f9A7c2E5b8D1064" {
					t.Errorf("got %d endpoints and the token %q", len(got.Endpoints), got.Secrets["shop/tencent-im/token"])
				}
			}
		})
	}
}

// TestLoad_halfWritten writes a manifest as many programs do: first nothing, then all of it. What is read in between must not count.
func TestLoad_halfWritten(t *testing.T) {
	t.Chdir(t.TempDir())
	d, err := sharedDefinition()
	if err != nil {
		t.Fatal(err)
	}
	l := newLoader([]string{"."}, strings.NewReader(""), slog.New(slog.DiscardHandler), d)
	write := func(text string) func() { return func() { writeFile(t, "lazada.yaml", text) } }
	steps := []struct {
		name string
		do   func()
		want int // endpoints; -1: refused
	}{
		{"at first", func() { writeFile(t, "tencent.yaml", tencentYAML); writeFile(t, "lazada.yaml", lazadaYAML) }, 2},
		{"half of it is written", write("# half"), 2},
		{"all of it is there again", write(lazadaYAML), 2},
		{"emptied, read once", write(""), 2},
		{"emptied, read twice", func() {}, -1},
		{"written again, read once", write(lazadaYAML), -1},
		{"written again, read twice", func() {}, 2},
		{"emptied of objects, read once", write("# nothing"), 2},
		{"emptied of objects, read twice", func() {}, 1},
	}
	for _, step := range steps {
		step.do()
		m, err := l.Load(t.Context())
		got := -1
		if err == nil {
			got = len(m.Endpoints)
		} else if !strings.Contains(err.Error(), "lazada.yaml is empty") {
			t.Errorf("%s: %v", step.name, err)
		}
		if got != step.want {
			t.Errorf("%s: %d endpoints, want %d", step.name, got, step.want)
		}
	}
}

// TestLoad_secretInBadYAML writes secrets that YAML takes for something else. No error may show them.
func TestLoad_secretInBadYAML(t *testing.T) {
	for _, value := range []string{"*hunter2", "!!int hunter2", "!!float hunter2", "[hunter2", "{hunter2", "%hunter2", "@hunter2", "`hunter2"} {
		_, err := loadText(t, strings.Replace(lazadaYAML, "kX7s2Qv9LmT4bWn8RcYd1ZpE6HgJ0uAf", value, 1))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("app-secret: %s: %v; want an error without it", value, err)
		}
	}
}

func TestLoad_missingFile(t *testing.T) {
	l, err := NewLoader([]string{"nowhere.yaml"}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Load(t.Context())
	if _, ok := errors.AsType[*InvalidError](err); !ok || !strings.Contains(err.Error(), "nowhere.yaml: no such file") {
		t.Errorf("got %v, want an InvalidError that names the file", err)
	}
}

// What is wrong with a path is told as it is.
func TestLoad_unreadablePath(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "file", "")
	_, err := manifestFiles("file/shop.yaml")
	if !errors.Is(err, syscall.ENOTDIR) || !strings.Contains(err.Error(), "file/shop.yaml") {
		t.Errorf("got %v, want the system's error with the path", err)
	}
}

func TestLoad_samples(t *testing.T) {
	var log bytes.Buffer
	l, err := NewLoader([]string{"../../config/samples", "../../config/samples-brokers"}, nil, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Load(t.Context()); err != nil {
		t.Errorf("the samples are refused:\n%v", err)
	}
	if log.Len() > 0 {
		t.Errorf("something in the samples is passed over:\n%s", log.String())
	}
}

func TestLoad_kustomizations(t *testing.T) {
	const header = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
	tests := map[string]struct {
		text       string
		wantLogged bool
	}{
		"one that lists files beside it":    {header + "resources:\n- shop.yaml\n- lazada/endpoint.yaml\n", false},
		"one that lists nothing":            {header, false},
		"one that changes what it lists":    {header + "resources: [shop.yaml]\nnamespace: chat\n", true},
		"one that lists what is not beside": {header + "resources: [shop.yaml, ../base]\n", true},
		"one that lists no text":            {header + "resources: [1]\n", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "shop.yaml"), lazadaYAML)
			writeFile(t, filepath.Join(dir, "kustomization.yaml"), test.text)
			d, err := sharedDefinition()
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			l := newLoader([]string{dir}, nil, slog.New(slog.NewTextHandler(&log, nil)), d)
			found, err := l.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(found.Endpoints) != 1 {
				t.Errorf("found %d endpoints, want the one of shop.yaml", len(found.Endpoints))
			}
			if logged := strings.Contains(log.String(), "Skipped"); logged != test.wantLogged {
				t.Errorf("logged that it is skipped: %t, want %t:\n%s", logged, test.wantLogged, log.String())
			}
		})
	}
}

// loadText loads one file, shop.yaml.
func loadText(t *testing.T, text string) (*Manifests, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	writeFile(t, "shop.yaml", text)
	d, err := sharedDefinition()
	if err != nil {
		t.Fatal(err)
	}
	l := newLoader([]string{"shop.yaml"}, strings.NewReader(""), slog.New(slog.DiscardHandler), d)
	return l.Load(t.Context())
}

// sharedDefinition saves compiling the rules for each of a hundred cases.
var sharedDefinition = sync.OnceValues(newDefinition)

func mustLoad(t *testing.T, text string) *Manifests {
	t.Helper()
	m, err := loadText(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestLoad_whatOnlyAClusterKnows: the same manifests serve a cluster, where there is more to say.
func TestLoad_whatOnlyAClusterKnows(t *testing.T) {
	const more = `  exposure:
    host: hooks.example.com
    ingress: {className: nginx, tlsSecretName: hooks-tls}
    httpRoute: {parentRefs: [{name: web}]}
  receiver:
    replicas: 3
    resources: {requests: {memory: 1Gi}}
    tolerations: [{key: dedicated, operator: Exists}]
    podLabels: {team: im}
  target:
`
	want := mustLoad(t, lazadaYAML).Snapshot()
	got := mustLoad(t, strings.Replace(lazadaYAML, "  target:\n", more, 1)).Snapshot()
	if diff := cmp.Diff(string(mustJSON(t, want.Config)), string(mustJSON(t, got.Config))); diff != "" {
		t.Errorf("the receiver's configuration (-without, +with what only a cluster knows):\n%s", diff)
	}
}

// TestLoad_noTransitions changes what an object in a cluster can't change: here there are no volumes, and no object that was there before.
func TestLoad_noTransitions(t *testing.T) {
	t.Chdir(t.TempDir())
	d, err := sharedDefinition()
	if err != nil {
		t.Fatal(err)
	}
	l := newLoader([]string{"shop.yaml"}, strings.NewReader(""), slog.New(slog.DiscardHandler), d)
	for _, buffer := range []string{
		"{type: Disk, disk: {size: 20Gi, storageClassName: fast}}", "{disk: {size: 1Gi, storageClassName: slow}}", "{type: None}", "{}",
	} {
		writeFile(t, "shop.yaml", strings.Replace(lazadaYAML, "  target:\n", "  buffer: "+buffer+"\n  target:\n", 1))
		for range 2 { // a change counts when it is read twice
			if _, err := l.Load(t.Context()); err != nil {
				t.Errorf("buffer: %s: %v", buffer, err)
			}
		}
	}
}
