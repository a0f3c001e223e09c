package local

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// In the tests below, edit is what is changed in the good manifest: old text, new text, old, new …; want are the problems, without
// the part "shop.yaml: document 1: WebhookEndpoint shop/lazada-im: " that all have in common. No want: accepted.
type refusal struct {
	edit []string
	want []string
}

// moreMayFollow is the last line where the rules were not evaluated, see TestLoad_moreMayFollow.
const moreMayFollow = "\nmore may follow once these are mended"

func TestLoad_moreMayFollow(t *testing.T) {
	tests := map[string]struct {
		edit []string
		want bool
	}{
		"the rules could not be evaluated": {edit: []string{"type: Lazada", "type: lazada"}, want: true},
		"a rule is broken":                 {edit: []string{`"100132"`, `"100-132"`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := loadText(t, strings.Replace(lazadaYAML, tt.edit[0], tt.edit[1], 1))
			if err == nil || strings.HasSuffix(err.Error(), moreMayFollow) != tt.want {
				t.Errorf("got %v; want that more may follow: %t", err, tt.want)
			}
		})
	}
}

func checkRefusals(t *testing.T, good string, tests map[string]refusal) {
	t.Helper()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text := good
			for i := 0; i < len(tt.edit); i += 2 {
				if !strings.Contains(text, tt.edit[i]) {
					t.Fatalf("nothing to edit: no %q", tt.edit[i])
				}
				text = strings.Replace(text, tt.edit[i], tt.edit[i+1], 1)
			}
			_, err := loadText(t, text)
			var got []string
			if err != nil {
				problems := strings.TrimSuffix(err.Error(), moreMayFollow)
				for line := range strings.SplitSeq(problems, "\n") {
					for _, prefix := range []string{"WebhookEndpoint shop/lazada-im: ", "WebhookEndpoint shop/tencent-im: "} {
						line = strings.TrimPrefix(line, "shop.yaml: document 1: "+prefix)
					}
					got = append(got, line)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// These are the mistakes that people make on the first day.
func TestLoad_newcomersMistakes(t *testing.T) {
	checkRefusals(t, lazadaYAML, map[string]refusal{
		"nothing wrong": {},
		"the type in lower case": {
			edit: []string{"type: Lazada", "type: lazada"},
			want: []string{
				`spec.source.type: write Lazada or TencentIM instead of "lazada"`,
			},
		},
		"the member in upper case": {
			edit: []string{"    lazada:\n", "    Lazada:\n"},
			want: []string{
				"spec.source.Lazada: unknown field: write lazada",
				"spec.source: type is Lazada: add lazada with appKey and appSecretRefs",
			},
		},
		"the member is missing": {
			edit: []string{"    lazada:\n      appKey: \"100132\"\n      appSecretRefs:\n        - name: lazada-app\n          key: app-secret\n", ""},
			want: []string{
				"spec.source: type is Lazada: add lazada with appKey and appSecretRefs",
			},
		},
		"the member of the other platform": {
			edit: []string{"type: Lazada", "type: TencentIM"},
			want: []string{
				"spec.source: lazada is set, but type is not Lazada: write type: Lazada, or remove lazada",
				"spec.source: type is TencentIM: add tencentIM with sdkAppID and tokenRefs",
			},
		},
		"the app key without quotes": {
			edit: []string{`"100132"`, "100132"},
			want: []string{
				`spec.source.lazada.appKey: put the App Key in quotes, as in "100132": without them it is a number`,
			},
		},
		"the port in quotes": {
			edit: []string{"port: 8080", `port: "8080"`},
			want: []string{
				"spec.target.service.port: write a whole number, without quotes",
			},
		},
		"a reference without key": {
			edit: []string{"          key: app-secret\n", ""},
			want: []string{
				"spec.source.lazada.appSecretRefs[0].key: is missing: key in the Secret's data",
			},
		},
		"a reference that is no list": {
			edit: []string{"        - name: lazada-app\n          key: app-secret\n", "          name: lazada-app\n          key: app-secret\n"},
			want: []string{
				`spec.source.lazada.appSecretRefs: write a list: begin each item with "- "`,
			},
		},
		"the secret in place of a reference": {
			edit: []string{"        - name: lazada-app\n          key: app-secret\n", "        - kX7s2Qv9LmT4bWn8RcYd1ZpE6HgJ0uAf\n"},
			want: []string{
				"spec.source.lazada.appSecretRefs[0]: write an object with key, name",
			},
		},
		"a misspelt field": {
			edit: []string{"appSecretRefs:", "app_secret_refs:"},
			want: []string{
				"spec.source.lazada.app_secret_refs: unknown field: write appSecretRefs",
				"spec.source.lazada.appSecretRefs: is missing: appSecretRefs name the App Secret: 1 to 4 keys of Secrets, any of which may match",
			},
		},
		"a field of nothing known": {
			edit: []string{"  target:\n", "  replicas: 2\n  target:\n"},
			want: []string{
				"spec.replicas: unknown field: what can stand here is buffer, delivery, exposure, rateLimit, receiver, source, target",
			},
		},
		"a field twice": {
			edit: []string{"      port: 8080\n", "      port: 8080\n      port: 8081\n"},
			want: []string{
				`shop.yaml: document 1: line 19: field "port" is given twice: keep one`,
			},
		},
		"a tab": {
			edit: []string{"      port: 8080", "\tport: 8080"},
			want: []string{
				"shop.yaml: document 1: not YAML: line 18: found a tab character that violates indentation: indent with spaces, and put values that begin with a special character in quotes",
			},
		},
		"no target": {
			edit: []string{"  target:\n    type: Service\n    service:\n      name: chat\n      port: 8080\n", ""},
			want: []string{
				"spec.target: is missing: target says where the events go",
			},
		},
		"no spec": {
			edit: []string{lazadaYAML[strings.Index(lazadaYAML, "spec:"):strings.Index(lazadaYAML, "---")], ""},
			want: []string{
				"spec: is missing: spec is what you want: a source and a target, at least",
			},
		},
		"a path without slash": {
			edit: []string{"port: 8080", "port: 8080\n      path: events"},
			want: []string{
				`spec.target.service.path: a path begins with "/", as in /events`,
			},
		},
		"a host with scheme": {
			edit: []string{"  target:\n", "  exposure: {host: \"https://hooks.example.com\"}\n  target:\n"},
			want: []string{
				"spec.exposure.host: write a host name in lower case, such as hooks.example.com: without https://, port or path",
			},
		},
		"a duration as a number": {
			edit: []string{"    service:\n", "    timeout: 10\n    service:\n"},
			want: []string{
				`spec.target.timeout: put it in quotes: write a duration from 100ms to 5m, such as "10s"`,
			},
		},
		"a duration without unit": {
			edit: []string{"    service:\n", "    timeout: \"10\"\n    service:\n"},
			want: []string{
				`spec.target.timeout: write a duration from 100ms to 5m, such as "10s"`,
			},
		},
		"a duration in days": {
			edit: []string{"  target:\n", "  buffer: {retention: 7d}\n  target:\n"},
			want: []string{
				`spec.buffer.retention: write a duration from 0s to 720h (30 days), such as "24h"`,
			},
		},
		"the wrong version": {
			edit: []string{"hookbay.dev/v1alpha1", "hookbay.dev/v1"},
			want: []string{
				`shop.yaml: document 1: apiVersion "hookbay.dev/v1", kind "WebhookEndpoint": write apiVersion: hookbay.dev/v1alpha1 and kind: WebhookEndpoint`,
			},
		},
		"the kind in lower case": {
			edit: []string{"kind: WebhookEndpoint", "kind: webhookendpoint"},
			want: []string{
				`shop.yaml: document 1: apiVersion "hookbay.dev/v1alpha1", kind "webhookendpoint": write apiVersion: hookbay.dev/v1alpha1 and kind: WebhookEndpoint`,
			},
		},
		"no name": {
			edit: []string{"  name: lazada-im\n", ""},
			want: []string{
				"shop.yaml: document 1: WebhookEndpoint shop/(without a name): metadata.name: is missing: write a name such as lazada-im",
			},
		},
		"a name in upper case": {
			edit: []string{"name: lazada-im", "name: Lazada-IM"},
			want: []string{
				"shop.yaml: document 1: WebhookEndpoint shop/Lazada-IM: metadata.name must be 1 to 52 lower-case letters, digits and hyphens, and begin with a letter: the names of pods and Services are made from it",
			},
		},
		"a Service with its domain": {
			edit: []string{"name: chat", "name: chat.shop.svc"},
			want: []string{
				"spec.target.service.name: write the name of a Service in the same namespace, without namespace or domain: lower-case letters, digits and hyphens",
			},
		},
		"the Secret is missing": {
			edit: []string{lazadaYAML[strings.Index(lazadaYAML, "---"):], ""},
			want: []string{
				"spec.source.lazada.appSecretRefs[0]: Secret shop/lazada-app is missing: add it to the files, with the key app-secret",
			},
		},
		"the Secret is in another namespace": {
			edit: []string{"  name: lazada-app\n  namespace: shop\n", "  name: lazada-app\n"},
			want: []string{
				"spec.source.lazada.appSecretRefs[0]: Secret lazada-app is in namespace default (shop.yaml: document 2): move it to namespace shop, where the endpoint is",
			},
		},
		"the Secret has another key": {
			edit: []string{"  app-secret: ", "  secret: "},
			want: []string{
				"spec.source.lazada.appSecretRefs[0]: Secret shop/lazada-app (shop.yaml: document 2) has no key app-secret: add it, or write one of secret",
			},
		},
		"the Secret's key is empty": {
			edit: []string{"app-secret: kX7s2Qv9LmT4bWn8RcYd1ZpE6HgJ0uAf", "app-secret: \"\""},
			want: []string{
				"spec.source.lazada.appSecretRefs[0]: Secret shop/lazada-app (shop.yaml: document 2): the key app-secret is empty: put the credential into it",
			},
		},
		"plain text in the Secret's data": {
			edit: []string{"stringData:", "data:", "kX7s2Qv9LmT4bWn8RcYd1ZpE6HgJ0uAf", "kX7s2Qv9-LmT4"},
			want: []string{
				"shop.yaml: document 2: Secret shop/lazada-app: data.app-secret: not base64: write plain text under stringData instead of data",
			},
		},
		"plain text in the Secret's data that happens to be base64": {
			edit: []string{"stringData:", "data:"},
			want: []string{
				"spec.source.lazada.appSecretRefs[0]: Secret shop/lazada-app (shop.yaml: document 2): the key app-secret is not text: write plain text under stringData, or text in base64 under data",
			},
		},
		"a number in the Secret": {
			edit: []string{"kX7s2Qv9LmT4bWn8RcYd1ZpE6HgJ0uAf", "123456"},
			want: []string{
				"shop.yaml: document 2: Secret shop/lazada-app: stringData.app-secret: write text: put it in quotes",
			},
		},
		"a misspelt field of the Secret": {
			edit: []string{"stringData:", "stringdata:"},
			want: []string{
				"shop.yaml: document 2: Secret shop/lazada-app: stringdata: unknown field: write stringData",
			},
		},
	})
}

func TestLoad_bounds(t *testing.T) {
	delivery := func(s string) []string { return []string{"  target:\n", "  delivery: " + s + "\n  target:\n"} }
	buffer := func(s string) []string { return []string{"  target:\n", "  buffer: " + s + "\n  target:\n"} }
	exposure := func(s string) []string { return []string{"  target:\n", "  exposure: " + s + "\n  target:\n"} }
	header := func(s string) []string { return []string{"    service:\n", "    headers: [" + s + "]\n    service:\n"} }
	lazada := func(s string) []string {
		return []string{"      appSecretRefs:\n", "      " + s + "\n      appSecretRefs:\n"}
	}
	checkRefusals(t, lazadaYAML, map[string]refusal{
		"everything at its lower bound": {edit: delivery("{maxInFlight: 1, retry: {initialInterval: 10ms, maxInterval: 10ms, maxAge: 1s}}")},
		"everything at its upper bound": {edit: append(delivery("{maxInFlight: 1024, retry: {initialInterval: 1h, maxInterval: 24h, maxAge: 336h}}"),
			buffer("{disk: {size: 4Ti}, deduplicationWindow: 168h, retention: 720h}")...)},
		"a size as a number":          {edit: buffer("{disk: {size: 1073741824}}")},
		"durations as Go writes them": {edit: buffer("{deduplicationWindow: 1h1m1.5s, retention: 0s}")},
		"message types":               {edit: lazada("messageTypes: [0, 2, 19]")},
		"no attempts at once": {edit: delivery("{maxInFlight: 0}"), want: []string{
			"spec.delivery.maxInFlight: write 1 or more",
		}},
		"an unknown ordering": {edit: delivery("{ordering: Strict}"), want: []string{
			`spec.delivery.ordering: write Subject or None instead of "Strict"`,
		}},
		"intervals out of order": {edit: delivery("{retry: {initialInterval: 10m}}"), want: []string{
			"spec.delivery.retry: initialInterval (default 1s) must not be longer than maxInterval (default 5m): lower the first or raise the second",
		}},
		"maxAge too short for maxInterval": {edit: delivery("{retry: {maxAge: 1m}}"), want: []string{
			"spec.delivery.retry: maxInterval (default 5m) must not be longer than maxAge (default 24h): lower the first or raise the second",
		}},
		"a malformed interval is reported once": {edit: delivery("{retry: {initialInterval: soon}}"), want: []string{
			`spec.delivery.retry.initialInterval: write a duration from 10ms to 1h, such as "1s"`,
		}},
		"an interval that overflows": {edit: delivery("{retry: {maxAge: 99999999h}}"), want: []string{
			`spec.delivery.retry.maxAge: write a duration from 1s to 336h (14 days), such as "24h"`,
		}},
		"suspend as text": {edit: delivery(`{suspend: "true"}`), want: []string{
			"spec.delivery.suspend: write true or false, without quotes",
		}},
		"a window of nothing": {edit: buffer("{deduplicationWindow: 0s}"), want: []string{
			`spec.buffer.deduplicationWindow: write a duration from 1m to 168h (7 days), such as "7h"`,
		}},
		"a negative retention": {edit: buffer("{retention: -1h}"), want: []string{
			`spec.buffer.retention: write a duration from 0s to 720h (30 days), such as "24h"`,
		}},
		"a size that is none": {edit: buffer("{disk: {size: plenty}}"), want: []string{
			"spec.buffer.disk.size: write an amount of disk space of at least 128Mi, such as 10Gi",
		}},
		"a size too small": {edit: buffer("{disk: {size: 64Mi}}"), want: []string{
			"spec.buffer.disk.size: write an amount of disk space of at least 128Mi, such as 10Gi",
		}},
		"an unknown buffer": {edit: buffer("{type: Kafka}"), want: []string{
			`spec.buffer.type: write Disk or JetStream or None instead of "Kafka"`,
		}},
		"a path with a query": {edit: exposure("{path: \"/hooks?x=1\"}"), want: []string{
			`spec.exposure.path: write the path only: leave out the query ("?") and the fragment ("#")`,
		}},
		"a path with dots": {edit: exposure("{path: /hooks/../admin}"), want: []string{
			`spec.exposure.path: leave out empty, "." and ".." segments: platforms and proxies resolve them differently`,
		}},
		"an encoded path": {edit: exposure("{path: /hooks%2Fim}"), want: []string{
			"spec.exposure.path: use letters, digits and ._~!$&*+,;=:@- only: proxies decode percent-encoded characters differently",
		}},
		"a path with an empty segment": {edit: exposure("{path: //hooks}"), want: []string{
			`spec.exposure.path: leave out empty, "." and ".." segments: platforms and proxies resolve them differently`,
		}},
		"a host with a port": {edit: exposure("{host: \"hooks.example.com:8443\"}"), want: []string{
			"spec.exposure.host: write a host name in lower case, such as hooks.example.com: without https://, port or path",
		}},
		"a host in upper case": {edit: exposure("{host: Hooks.example.com}"), want: []string{
			"spec.exposure.host: write a host name in lower case, such as hooks.example.com: without https://, port or path",
		}},
		"Authorization": {edit: header("{name: authorization, value: Bearer x}"), want: []string{
			"spec.target.headers[0].name: put the token into a Secret and name it in bearerTokenRef instead of setting Authorization",
		}},
		"Content-Type": {edit: header("{name: Content-Type, value: text/plain}"), want: []string{
			"spec.target.headers[0].name: remove this header: HTTP itself or the event's body decides it",
		}},
		"a CloudEvents header": {edit: header("{name: Ce-Id, value: \"1\"}"), want: []string{
			"spec.target.headers[0].name: choose another name: headers that begin with ce-, webhook- or Hookbay- are set by Hookbay, those with Proxy- by proxies",
		}},
		"a header with a colon": {edit: header("{name: \"X-Team:\", value: chat}"), want: []string{
			"spec.target.headers[0].name: write the name of a header, such as X-Team: letters, digits and hyphens, without colon or spaces",
		}},
		"a header with two lines": {edit: header(`{name: X-Team, value: "a\r\nb"}`), want: []string{
			"spec.target.headers[0].value: write the value on one line, without control characters",
		}},
		"a header twice": {edit: header("{name: X-Team, value: a}, {name: x-team, value: b}"), want: []string{
			"spec.target.headers: name each header once: upper and lower case make no difference",
		}},
		"the very same header twice": {edit: header("{name: X-Team, value: a}, {name: X-Team, value: b}"), want: []string{
			"spec.target.headers[1]: is listed twice: remove one",
			"spec.target.headers: name each header once: upper and lower case make no difference",
		}},
		"caBundleRef for a Service": {edit: []string{"    service:\n", "    caBundleRef: {name: ca, key: ca.crt}\n    service:\n"}, want: []string{
			"spec.target: caBundleRef is of use only with an https url: remove it, or write type: URL and a url that begins with https://",
		}},
		"the same message type twice": {edit: lazada("messageTypes: [2, 2]"), want: []string{
			"spec.source.lazada.messageTypes[1]: is listed twice: remove one",
		}},
		"no message types": {edit: lazada("messageTypes: []"), want: []string{
			"spec.source.lazada.messageTypes: list at least one, or leave it out",
		}},
		"a negative message type": {edit: lazada("messageTypes: [-1]"), want: []string{
			"spec.source.lazada.messageTypes[0]: write 0 or more",
		}},
		"a key that is a path": {edit: []string{"key: app-secret", "key: ../../etc/passwd"}, want: []string{
			"spec.source.lazada.appSecretRefs[0].key: write a key of the Secret's data: letters, digits, hyphens, underscores and dots",
		}},
		"five secrets": {edit: []string{"        - name: lazada-app\n          key: app-secret\n",
			"        - {name: a, key: a}\n        - {name: b, key: a}\n        - {name: c, key: a}\n        - {name: d, key: a}\n        - {name: e, key: a}\n"}, want: []string{
			"spec.source.lazada.appSecretRefs: list 4 at most",
		}},
		"a label that is a number": {edit: []string{"  namespace: shop\nspec", "  namespace: shop\n  labels: {version: 1}\nspec"}, want: []string{
			"metadata.labels: write text: put it in quotes",
		}},
		"an unknown field of the metadata": {edit: []string{"  namespace: shop\nspec", "  namespace: shop\n  nameSpace: shop\nspec"}, want: []string{
			"metadata.nameSpace: unknown field",
		}},
	})
}

func TestLoad_tencent(t *testing.T) {
	url := func(s string) []string { return []string{"url: https://chat.example.com/events", "url: \"" + s + "\""} }
	source := func(s string) []string { return []string{"tokenRefs: [{name: tencent-im, key: token}]", s} }
	checkRefusals(t, tencentYAML, map[string]refusal{
		"nothing wrong":                          {},
		"a URL with port and query":              {edit: url("http://[::1]:3000/events?team=chat")},
		"an https URL with its own certificates": {edit: append(url("https://10.0.0.1/"), "  target:\n", "  target:\n    caBundleRef: {name: tencent-im, key: token}\n")},
		"unsigned callbacks":                     {edit: source("unsigned: Accept")},
		"no tokens": {edit: []string{"      tokenRefs: [{name: tencent-im, key: token}]\n", ""}, want: []string{
			"spec.source.tencentIM: add tokenRefs: switch on authentication in the Tencent console, and name the Secret and key that hold its Token; or write unsigned: Accept to take callbacks from anybody",
		}},
		"an empty list of tokens": {edit: source("tokenRefs: []"), want: []string{
			"spec.source.tencentIM.tokenRefs: list at least one, or leave it out",
		}},
		"the app id in quotes": {edit: []string{"1400000001", `"1400000001"`}, want: []string{
			"spec.source.tencentIM.sdkAppID: write a whole number, without quotes",
		}},
		"an app id of nothing": {edit: []string{"1400000001", "0"}, want: []string{
			"spec.source.tencentIM.sdkAppID: write 1 or more",
		}},
		"a tolerance beyond bounds": {edit: source("tokenRefs: [{name: tencent-im, key: token}]\n      requestTimeTolerance: 1h"), want: []string{
			`spec.source.tencentIM.requestTimeTolerance: write a duration from 1s to 15m, such as "60s"`,
		}},
		"a command without group": {edit: source("tokenRefs: [{name: tencent-im, key: token}]\n      commands: [CallbackAfterSendMsg]"), want: []string{
			"spec.source.tencentIM.commands[0]: write a command with its group, such as C2C.CallbackAfterSendMsg",
		}},
		"a mapped address that is not link-local": {edit: url("http://[::ffff:127.0.0.1]:18091/x")},
		"a mapped link-local address in hex": {edit: url("http://[0:0:0:0:0:FFFF:a9fe:a9fe]/"), want: []string{
			"spec.target.url: write the address of your service: link-local addresses (169.254.0.0/16, fe80::/10) are never delivered to",
		}},
		"a URL without scheme": {edit: url("chat.example.com/events"), want: []string{
			"spec.target.url: write a full http or https address, such as https://chat.example.com/events",
		}},
		"a URL of another scheme": {edit: url("kafka://chat/events"), want: []string{
			"spec.target.url: write a full http or https address, such as https://chat.example.com/events",
		}},
		"a URL with password": {edit: url("https://me:tok-secret@chat.example.com/events"), want: []string{
			"spec.target.url: leave user name and password out of the url: put a token into a Secret and name it in bearerTokenRef",
		}},
		"a URL with fragment": {edit: url("https://chat.example.com/events#top"), want: []string{
			`spec.target.url: leave out the fragment ("#" and what follows): it is never sent`,
		}},
		"the cloud's metadata": {edit: url("http://169.254.169.254/latest"), want: []string{
			"spec.target.url: write the address of your service: link-local addresses (169.254.0.0/16, fe80::/10) are never delivered to",
		}},
		"a link-local address": {edit: url("http://[fe80::1]/"), want: []string{
			"spec.target.url: write the address of your service: link-local addresses (169.254.0.0/16, fe80::/10) are never delivered to",
		}},
		"a mapped link-local address": {edit: url("http://[::ffff:169.254.169.254]/"), want: []string{
			"spec.target.url: write the address of your service: link-local addresses (169.254.0.0/16, fe80::/10) are never delivered to",
		}},
		"a Service and a URL": {edit: []string{"    url:", "    service: {name: chat, port: 80}\n    url:"}, want: []string{
			"spec.target: service is set, but type is not Service: write type: Service, or remove service",
		}},
		"a URL and no type": {edit: []string{"    type: URL\n", ""}, want: []string{
			"spec.target.type: is missing: type is Service, URL, Kafka or JetStream",
		}},
		"a URL where type is Service": {edit: []string{"type: URL", "type: Service"}, want: []string{
			"spec.target: type is Service: add service with name and port",
			"spec.target: url is set, but type is not URL: write type: URL, or remove url",
		}},
	})
}

func TestLoad_acrossObjects(t *testing.T) {
	second := strings.Replace(tencentYAML[:strings.Index(tencentYAML, "---")], "name: tencent-im", "name: other", 1)
	exposed := func(text, host string) string { return text + "  exposure: {host: " + host + ", path: /in}\n" }
	first := tencentYAML[:strings.Index(tencentYAML, "---")]
	secret := tencentYAML[strings.Index(tencentYAML, "---"):]
	tests := map[string]struct {
		text string
		want []string
	}{
		"two endpoints on paths of their own": {text: first + "---\n" + second + secret},
		"the same endpoint twice": {text: first + "---\n" + first + secret, want: []string{
			"shop.yaml: document 2: WebhookEndpoint shop/tencent-im: is in shop.yaml: document 1 already: remove one of them, or give it another name",
		}},
		"the same Secret twice": {text: first + secret + secret, want: []string{
			"shop.yaml: document 3: Secret shop/tencent-im is in shop.yaml: document 2 already: remove one of them",
		}},
		"the same host and path": {text: exposed(first, "a.example.com") + "---\n" + exposed(second, "a.example.com") + secret, want: []string{
			"shop.yaml: document 2: WebhookEndpoint shop/other: spec.exposure.path: shop/tencent-im has the same host and the path /in: choose another path",
		}},
		"the same path on two hosts": {text: exposed(first, "a.example.com") + "---\n" + exposed(second, "b.example.com") + secret, want: []string{
			"shop.yaml: document 2: WebhookEndpoint shop/other: spec.exposure.path: shop/tencent-im has the path /in too, and without a cluster hosts are ignored: choose another path, or run the two one at a time",
		}},
		"nothing but a Secret": {text: secret, want: []string{
			"no WebhookEndpoint in shop.yaml: name the files that hold one, or their directory",
		}},
		"several things wrong": {text: strings.Replace(first, "1400000001", "-1", 1) + "---\n" + strings.Replace(second, "key: token", "key: tokn", 1) + secret, want: []string{
			"shop.yaml: document 1: WebhookEndpoint shop/tencent-im: spec.source.tencentIM.sdkAppID: write 1 or more",
			"shop.yaml: document 2: WebhookEndpoint shop/other: spec.source.tencentIM.tokenRefs[0]: Secret shop/tencent-im (shop.yaml: document 3) has no key tokn: add it, or write one of token",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := loadText(t, tt.text)
			var got []string
			if err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}
