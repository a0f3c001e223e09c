package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// manifest is what a user writes: both endpoints, their credentials, and where events go.
type manifest struct {
	target        string   // URL
	lazadaSecrets []string // values of the App Secret, newest last
	delivery      string   // YAML of spec.delivery, in braces
	buffer        string   // YAML of spec.buffer, in braces
}

func newManifest(target string) manifest {
	return manifest{
		target:        target,
		lazadaSecrets: []string{lazadaSecret},
		// Few attempts at once, so that few are in flight when the receiver is killed; quick retries, so that tests are short.
		delivery: fmt.Sprintf("{maxInFlight: %d, retry: {initialInterval: 20ms, maxInterval: 500ms}}", maxInFlight),
		buffer:   "{retention: 0s}",
	}
}

// maxInFlight is the bound of attempts under way for each endpoint.
const maxInFlight = 16

func (m manifest) yaml() string {
	var refs, secrets strings.Builder
	for i, value := range m.lazadaSecrets {
		fmt.Fprintf(&refs, "{name: lazada-app, key: secret-%d}, ", i)
		fmt.Fprintf(&secrets, "  secret-%d: %s\n", i, value)
	}
	// A timeout that only a hang exceeds: an attempt that is given up although the target has answered would look like a duplicate.
	rest := fmt.Sprintf("  target: {type: URL, url: %q, timeout: 2m}\n  delivery: %s\n  buffer: %s\n", m.target, m.delivery, m.buffer)
	return fmt.Sprintf(`apiVersion: hookbay.dev/v1alpha1
kind: WebhookEndpoint
metadata: {name: lazada-im, namespace: shop}
spec:
  source: {type: Lazada, lazada: {appKey: %q, appSecretRefs: [%s]}}
%s---
apiVersion: hookbay.dev/v1alpha1
kind: WebhookEndpoint
metadata: {name: tencent-im, namespace: shop}
spec:
  source: {type: TencentIM, tencentIM: {sdkAppID: %s, tokenRefs: [{name: tencent-im, key: token}]}}
%s---
apiVersion: v1
kind: Secret
metadata: {name: lazada-app, namespace: shop}
stringData:
%s---
apiVersion: v1
kind: Secret
metadata: {name: tencent-im, namespace: shop}
stringData: {token: %s}
`, lazadaAppKey, strings.TrimSuffix(refs.String(), ", "), rest, tencentAppID, rest, secrets.String(), tencentToken)
}

// write puts the manifest where a running program sees the change whole or not at all.
func (m manifest) write(t *testing.T, name string) {
	t.Helper()
	writeFile(t, name, m.yaml())
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	// Beside the folder, not in it: hookbay run reads every file there.
	next := filepath.Join(filepath.Dir(filepath.Dir(name)), "next.yaml")
	if err := os.WriteFile(next, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, name); err != nil {
		t.Fatal(err)
	}
}
