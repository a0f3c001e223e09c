package crd_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What a rule says stands after "Invalid value: "; the rest is the API server's own.
const (
	aDuration = `: write a duration from `
	aPath     = `: leave out empty, "." and ".." segments: platforms and proxies resolve them differently`
	aSecret   = `: write the name of a Secret: lower-case letters, digits, hyphens and dots`
)

type refusal struct {
	change string // to the least that an endpoint needs, in one document or several; see endpoint
	want   []string
}

func checkRefused(t *testing.T, tests map[string]refusal, base ...string) {
	t.Helper()
	namespace := api.Namespace(t, nil)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := strict().Create(t.Context(), endpoint(t, namespace, append(base, documents(tt.change)...)...), client.DryRunAll)
			if diff := cmp.Diff(tt.want, refusals(t, err)); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefused_lazada(t *testing.T) {
	checkRefused(t, map[string]refusal{
		"no member":                   {`source: {lazada: null}`, []string{`spec.source: Invalid value: type is Lazada: add lazada with appKey and appSecretRefs`}},
		"the other platform's member": {`source: {tencentIM: {sdkAppID: 1, unsigned: Accept}}`, []string{`spec.source: Invalid value: tencentIM is set, but type is not TencentIM: write type: TencentIM, or remove tencentIM`}},
		"the other type": {`source: {type: TencentIM}`, []string{
			`spec.source: Invalid value: lazada is set, but type is not Lazada: write type: Lazada, or remove lazada`,
			`spec.source: Invalid value: type is TencentIM: add tencentIM with sdkAppID and tokenRefs`,
		}},
		"no type":              {`source: {type: null}`, []string{`spec.source.type: Required value`}},
		"an unknown platform":  {`source: {type: Shopee}`, []string{`spec.source.type: Unsupported value: "Shopee": supported values: "Lazada", "TencentIM"`}},
		"an odd app key":       {`source: {lazada: {appKey: 100-132}}`, []string{`spec.source.lazada.appKey: Invalid value: "100-132": write the App Key as the Lazada console shows it, such as "100132": letters and digits only`}},
		"no secret":            {`source: {lazada: {appSecretRefs: []}}`, []string{`spec.source.lazada.appSecretRefs: Invalid value: 0: spec.source.lazada.appSecretRefs in body should have at least 1 items`}},
		"five secrets":         {`source: {lazada: {appSecretRefs: [{name: a, key: a}, {name: a, key: b}, {name: a, key: c}, {name: a, key: d}, {name: a, key: e}]}}`, []string{`spec.source.lazada.appSecretRefs: Too many: 5: must have at most 4 items`}},
		"a secret twice":       {`source: {lazada: {appSecretRefs: [{name: a, key: a}, {name: a, key: a}]}}`, []string{`spec.source.lazada.appSecretRefs[1]: Duplicate value: {"key":"a","name":"a"}`}},
		"a Secret in capitals": {`source: {lazada: {appSecretRefs: [{name: A, key: a}]}}`, []string{`spec.source.lazada.appSecretRefs[0].name: Invalid value: "A"` + aSecret}},
		"a key with a slash":   {`source: {lazada: {appSecretRefs: [{name: a, key: a/b}]}}`, []string{`spec.source.lazada.appSecretRefs[0].key: Invalid value: "a/b": write a key of the Secret's data: letters, digits, hyphens, underscores and dots`}},
		"a key that leaves":    {`source: {lazada: {appSecretRefs: [{name: a, key: ..a}]}}`, []string{`spec.source.lazada.appSecretRefs[0].key: Invalid value: "..a": write a key of the Secret's data: letters, digits, hyphens, underscores and dots`}},
		"no message types":     {`source: {lazada: {messageTypes: []}}`, []string{`spec.source.lazada.messageTypes: Invalid value: 0: spec.source.lazada.messageTypes in body should have at least 1 items`}},
		"a negative type":      {`source: {lazada: {messageTypes: [-1]}}`, []string{`spec.source.lazada.messageTypes[0]: Invalid value: -1: spec.source.lazada.messageTypes[0] in body should be greater than or equal to 0`}},
	})
}

func TestRefused_tencent(t *testing.T) {
	checkRefused(t, map[string]refusal{
		"no member":                   {`source: {tencentIM: null}`, []string{`spec.source: Invalid value: type is TencentIM: add tencentIM with sdkAppID and tokenRefs`}},
		"no token":                    {`source: {tencentIM: {tokenRefs: null}}`, []string{`spec.source.tencentIM: Invalid value: add tokenRefs: switch on authentication in the Tencent console, and name the Secret and key that hold its Token; or write unsigned: Accept to take callbacks from anybody`}},
		"an app of nobody":            {`source: {tencentIM: {sdkAppID: 0}}`, []string{`spec.source.tencentIM.sdkAppID: Invalid value: 0: spec.source.tencentIM.sdkAppID in body should be greater than or equal to 1`}},
		"no tolerance":                {`source: {tencentIM: {requestTimeTolerance: 0s}}`, []string{`spec.source.tencentIM.requestTimeTolerance: Invalid value: "0s"` + aDuration + `1s to 15m, such as "60s"`}},
		"a command without its group": {`source: {tencentIM: {commands: [CallbackAfterSendMsg]}}`, []string{`spec.source.tencentIM.commands[0]: Invalid value: "CallbackAfterSendMsg": write a command with its group, such as C2C.CallbackAfterSendMsg`}},
		"a command twice":             {`source: {tencentIM: {commands: [A.B, A.B]}}`, []string{`spec.source.tencentIM.commands[1]: Duplicate value: "A.B"`}},
		"an unknown policy":           {`source: {tencentIM: {unsigned: Allow}}`, []string{`spec.source.tencentIM.unsigned: Unsupported value: "Allow": supported values: "Reject", "Accept"`}},
	}, tencent)
}

func TestRefused_target(t *testing.T) {
	url := func(s string) string { return `target: {type: URL, service: null, url: "` + s + `"}` }
	header := func(s string) string { return `target: {headers: [` + s + `]}` }
	const field, badURL = `spec.target.url: Invalid value: `, `: write a full http or https address, such as https://chat.example.com/events`
	const linkLocal = `: write the address of your service: link-local addresses (169.254.0.0/16, fe80::/10) are never delivered to`
	checkRefused(t, map[string]refusal{
		"no target":                    {`target: null`, []string{`spec.target: Required value`}},
		"no service":                   {`target: {service: null}`, []string{`spec.target: Invalid value: type is Service: add service with name and port`}},
		"no url":                       {`target: {type: URL, service: null}`, []string{`spec.target: Invalid value: type is URL: add url, such as https://chat.example.com/events`}},
		"both":                         {`target: {url: "https://c"}`, []string{`spec.target: Invalid value: url is set, but type is not URL: write type: URL, or remove url`}},
		"both, as URL":                 {`target: {type: URL, url: "https://c"}`, []string{`spec.target: Invalid value: service is set, but type is not Service: write type: Service, or remove service`}},
		"another kind":                 {`target: {type: AMQP}`, []string{`spec.target.type: Unsupported value: "AMQP": supported values: "Service", "URL", "Kafka", "JetStream"`}},
		"no scheme":                    {url("chat.example.com/events"), []string{field + `"chat.example.com/events"` + badURL}},
		"another scheme":               {url("amqp://c"), []string{field + `"amqp://c"` + badURL}},
		"no host":                      {url("https:///events"), []string{field + `"https:///events"` + badURL}},
		"a space":                      {url("https://c/a b"), []string{field + `"https://c/a b"` + badURL}},
		"a password":                   {url("https://u:p@c"), []string{field + `"https://u:p@c": leave user name and password out of the url: put a token into a Secret and name it in bearerTokenRef`}},
		"a fragment":                   {url("https://c/#a"), []string{field + `"https://c/#a": leave out the fragment ("#" and what follows): it is never sent`}},
		"metadata of a cloud":          {url("http://169.254.169.254/"), []string{field + `"http://169.254.169.254/"` + linkLocal}},
		"metadata of a cloud, mapped":  {url("http://[::ffff:169.254.169.254]/"), []string{field + `"http://[::ffff:169.254.169.254]/"` + linkLocal}},
		"a link-local address of IPv6": {url("http://[fe80::1]/"), []string{field + `"http://[fe80::1]/"` + linkLocal}},
		"a Service with its domain":    {`target: {service: {name: chat.shop}}`, []string{`spec.target.service.name: Invalid value: "chat.shop": write the name of a Service in the same namespace, without namespace or domain: lower-case letters, digits and hyphens`}},
		"a port that is none":          {`target: {service: {port: 65536}}`, []string{`spec.target.service.port: Invalid value: 65536: spec.target.service.port in body should be less than or equal to 65535`}},
		"no time":                      {`target: {timeout: 99ms}`, []string{`spec.target.timeout: Invalid value: "99ms"` + aDuration + `100ms to 5m, such as "10s"`}},
		"certificates for a Service":   {`target: {caBundleRef: {name: a, key: b}}`, []string{`spec.target: Invalid value: caBundleRef is of use only with an https url: remove it, or write type: URL and a url that begins with https://`}},
		"a header twice":               {header(`{name: a, value: b}, {name: A, value: c}`), []string{`spec.target.headers: Invalid value: name each header once: upper and lower case make no difference`}},
		"a header with a colon":        {header(`{name: "a:", value: b}`), []string{`spec.target.headers[0].name: Invalid value: "a:": write the name of a header, such as X-Team: letters, digits and hyphens, without colon or spaces`}},
		"a token in plain sight":       {header(`{name: authorization, value: b}`), []string{`spec.target.headers[0].name: Invalid value: "authorization": put the token into a Secret and name it in bearerTokenRef instead of setting Authorization`}},
		"a header of HTTP":             {header(`{name: Host, value: b}`), []string{`spec.target.headers[0].name: Invalid value: "Host": remove this header: HTTP itself or the event's body decides it`}},
		"a header of Hookbay":          {header(`{name: ce-id, value: b}`), []string{`spec.target.headers[0].name: Invalid value: "ce-id": choose another name: headers that begin with ce-, webhook- or Hookbay- are set by Hookbay, those with Proxy- by proxies`}},
		"a header of two lines":        {header(`{name: a, value: "b\r\nc: d"}`), []string{`spec.target.headers[0].value: Invalid value: "b\r\nc: d": write the value on one line, without control characters`}},
	})
}

func TestRefused_deliveryAndBuffer(t *testing.T) {
	const size = `spec.buffer.disk.size: Invalid value: `
	const aSize = `: write an amount of disk space of at least 128Mi, such as 10Gi`
	checkRefused(t, map[string]refusal{
		"an unknown ordering":       {`delivery: {ordering: Strict}`, []string{`spec.delivery.ordering: Unsupported value: "Strict": supported values: "Subject", "None"`}},
		"nothing in flight":         {`delivery: {maxInFlight: 0}`, []string{`spec.delivery.maxInFlight: Invalid value: 0: spec.delivery.maxInFlight in body should be greater than or equal to 1`}},
		"too much in flight":        {`delivery: {maxInFlight: 1025}`, []string{`spec.delivery.maxInFlight: Invalid value: 1025: spec.delivery.maxInFlight in body should be less than or equal to 1024`}},
		"intervals out of order":    {`delivery: {retry: {initialInterval: 10m}}`, []string{`spec.delivery.retry: Invalid value: initialInterval (default 1s) must not be longer than maxInterval (default 5m): lower the first or raise the second`}},
		"no age for an interval":    {`delivery: {retry: {maxAge: 1m}}`, []string{`spec.delivery.retry: Invalid value: maxInterval (default 5m) must not be longer than maxAge (default 24h): lower the first or raise the second`}},
		"an interval of nothing":    {`delivery: {retry: {initialInterval: 0s}}`, []string{`spec.delivery.retry.initialInterval: Invalid value: "0s"` + aDuration + `10ms to 1h, such as "1s"`}},
		"an age that overflows":     {`delivery: {retry: {maxAge: 99999999h}}`, []string{`spec.delivery.retry.maxAge: Invalid value: "99999999h"` + aDuration + `1s to 336h (14 days), such as "24h"`}},
		"days":                      {`buffer: {retention: 7d}`, []string{`spec.buffer.retention: Invalid value: "7d"` + aDuration + `0s to 720h (30 days), such as "24h"`}},
		"a window that is too long": {`buffer: {deduplicationWindow: 169h}`, []string{`spec.buffer.deduplicationWindow: Invalid value: "169h"` + aDuration + `1m to 168h (7 days), such as "7h"`}},
		"an unknown buffer":         {`buffer: {type: Kafka}`, []string{`spec.buffer.type: Unsupported value: "Kafka": supported values: "Disk", "JetStream", "None"`}},
		"a disk without a buffer":   {`buffer: {type: None, disk: {}}`, []string{`spec.buffer: Invalid value: disk is set, but type is not Disk: write type: Disk, or remove disk`}},
		"a unit that is none":       {`buffer: {disk: {size: 10GB}}`, []string{size + `"10GB"` + aSize}},
		"a size too small":          {`buffer: {disk: {size: 127Mi}}`, []string{size + `"127Mi"` + aSize}},
		"a negative size":           {`buffer: {disk: {size: -1}}`, []string{size + `-1` + aSize}},
		"a class in capitals":       {`buffer: {disk: {storageClassName: Fast}}`, []string{`spec.buffer.disk.storageClassName: Invalid value: "Fast": write the name of a StorageClass, as kubectl get storageclass shows it`}},
		"an unknown end":            {`buffer: {disk: {whenDeleted: Keep}}`, []string{`spec.buffer.disk.whenDeleted: Unsupported value: "Keep": supported values: "Retain", "Delete"`}},
	})
}

func TestRefused_rateLimit(t *testing.T) {
	const at = `spec.rateLimit`
	bounds := func(field, value, bound string) []string {
		return []string{field + `: Invalid value: ` + value + `: ` + field + ` in body should be ` + bound}
	}
	checkRefused(t, map[string]refusal{
		"no limit at all":      {`rateLimit: {}`, []string{at + `: Invalid value: write requestsPerSecond, perTenant or both, such as requestsPerSecond: 500; or remove rateLimit for no limit`}},
		"a burst without rate": {`rateLimit: {burst: 5, perTenant: {requestsPerSecond: 5}}`, []string{at + `.burst: Invalid value: burst goes with requestsPerSecond: add requestsPerSecond, or remove burst`}},
		"tenants above all":    {`rateLimit: {requestsPerSecond: 5, perTenant: {requestsPerSecond: 6}}`, []string{at + `.perTenant.requestsPerSecond: Invalid value: perTenant.requestsPerSecond must not be higher than requestsPerSecond, which bounds all tenants together: lower the first or raise the second`}},
		"no rate for tenants":  {`rateLimit: {perTenant: {burst: 5}}`, []string{at + `.perTenant.requestsPerSecond: Required value`}},
		"a rate of nothing":    {`rateLimit: {requestsPerSecond: 0}`, bounds(at+`.requestsPerSecond`, `0`, `greater than or equal to 1`)},
		"a rate that is huge":  {`rateLimit: {requestsPerSecond: 1000001}`, bounds(at+`.requestsPerSecond`, `1000001`, `less than or equal to 1000000`)},
		"a burst of nothing":   {`rateLimit: {requestsPerSecond: 1, burst: 0}`, bounds(at+`.burst`, `0`, `greater than or equal to 1`)},
	})
}

func TestRefused_exposure(t *testing.T) {
	const host, path = `spec.exposure.host: Invalid value: `, `spec.exposure.path: Invalid value: `
	const aHost = `: write a host name in lower case, such as hooks.example.com: without https://, port or path`
	const parents = `spec.exposure.httpRoute.parentRefs`
	checkRefused(t, map[string]refusal{
		"an Ingress without a host":    {`exposure: {ingress: {}}`, []string{`spec.exposure: Invalid value: ingress needs a host: add host, such as hooks.example.com`}},
		"an HTTPRoute without a host":  {`exposure: {httpRoute: {parentRefs: [{name: a}]}}`, []string{`spec.exposure: Invalid value: httpRoute needs a host: add host, such as hooks.example.com`}},
		"an Ingress for an IP address": {`exposure: {host: "192.0.2.1", ingress: {}}`, []string{`spec.exposure.host: Invalid value: host is an IP address, which an Ingress or HTTPRoute can't be for: write a host name, such as hooks.example.com`}},
		"a host with scheme":           {`exposure: {host: "https://a.example.com"}`, []string{host + `"https://a.example.com"` + aHost}},
		"a host with port":             {`exposure: {host: "a.example.com:443"}`, []string{host + `"a.example.com:443"` + aHost}},
		"a host in capitals":           {`exposure: {host: A.example.com}`, []string{host + `"A.example.com"` + aHost}},
		"any host of a domain":         {`exposure: {host: "*.example.com"}`, []string{host + `"*.example.com"` + aHost}},
		"a path without slash":         {`exposure: {path: a}`, []string{path + `"a": a path begins with "/", as in /events`}},
		"a path with a query":          {`exposure: {path: "/a?b"}`, []string{path + `"/a?b": write the path only: leave out the query ("?") and the fragment ("#")`}},
		"a path with an empty segment": {`exposure: {path: /a//b}`, []string{path + `"/a//b"` + aPath}},
		"a path with dots":             {`exposure: {path: /a/../b}`, []string{path + `"/a/../b"` + aPath}},
		"an encoded path":              {`exposure: {path: /a%2fb}`, []string{path + `"/a%2fb": use letters, digits and ._~!$&*+,;=:@- only: proxies decode percent-encoded characters differently`}},
		"a class in capitals":          {`exposure: {host: h, ingress: {className: Nginx}}`, []string{`spec.exposure.ingress.className: Invalid value: "Nginx": write the name of an IngressClass, as kubectl get ingressclass shows it`}},
		"a certificate in capitals":    {`exposure: {host: h, ingress: {tlsSecretName: TLS}}`, []string{`spec.exposure.ingress.tlsSecretName: Invalid value: "TLS"` + aSecret}},
		"an annotation of Hookbay":     {`exposure: {host: h, ingress: {annotations: {hookbay.dev/a: b}}}`, []string{`spec.exposure.ingress.annotations: Invalid value: choose another key: annotations that begin with hookbay.dev/ are set by Hookbay`}},
		"a route to nowhere":           {`exposure: {host: h, httpRoute: {}}`, []string{parents + `: Required value`}},
		"a route to no Gateway":        {`exposure: {host: h, httpRoute: {parentRefs: []}}`, []string{parents + `: Invalid value: 0: spec.exposure.httpRoute.parentRefs in body should have at least 1 items`}},
		"a Gateway twice":              {`exposure: {host: h, httpRoute: {parentRefs: [{name: a, namespace: b}, {name: a, namespace: b}]}}`, []string{parents + `: Invalid value: name each Gateway and sectionName once`}},
		"a listener twice":             {`exposure: {host: h, httpRoute: {parentRefs: [{name: a, sectionName: b}, {name: a, sectionName: b}]}}`, []string{parents + `: Invalid value: name each Gateway and sectionName once`}},
		"a Gateway with its namespace": {`exposure: {host: h, httpRoute: {parentRefs: [{name: edge/web}]}}`, []string{parents + `[0].name: Invalid value: "edge/web": write the name of a Gateway, as kubectl get gateway shows it`}},
		"a namespace in capitals":      {`exposure: {host: h, httpRoute: {parentRefs: [{name: a, namespace: B}]}}`, []string{parents + `[0].namespace: Invalid value: "B": write the name of a namespace: lower-case letters, digits and hyphens`}},
		"a listener in capitals":       {`exposure: {host: h, httpRoute: {parentRefs: [{name: a, sectionName: B}]}}`, []string{parents + `[0].sectionName: Invalid value: "B": write the name of a listener, as the Gateway's spec.listeners has it`}},
	})
}

func TestRefused_receiver(t *testing.T) {
	const replicas, scaling = `spec.receiver.replicas: Invalid value: `, `spec.receiver.autoscaling`
	const needsNone = scaling + `: Invalid value: autoscaling needs receivers without volumes: write buffer.type: JetStream (or None), or set receiver.replicas instead of autoscaling`
	const ours = `: Invalid value: choose another key: labels that begin with app.kubernetes.io/ or hookbay.dev/ are set by Hookbay`
	checkRefused(t, map[string]refusal{
		"no replicas":               {`receiver: {replicas: 0}`, []string{replicas + `0: spec.receiver.replicas in body should be greater than or equal to 1`}},
		"too many replicas":         {`receiver: {replicas: 33}`, []string{replicas + `33: spec.receiver.replicas in body should be less than or equal to 32`}},
		"autoscaling by default":    {`receiver: {autoscaling: {maxReplicas: 3}}`, []string{needsNone}},
		"autoscaling with volumes":  {`{buffer: {type: Disk}, receiver: {autoscaling: {maxReplicas: 3}}}`, []string{needsNone}},
		"down to one":               {`{buffer: {type: None}, receiver: {autoscaling: {minReplicas: 1, maxReplicas: 3}}}`, []string{scaling + `.minReplicas: Invalid value: 1: spec.receiver.autoscaling.minReplicas in body should be greater than or equal to 2`}},
		"down above up":             {`{buffer: {type: None}, receiver: {autoscaling: {minReplicas: 4, maxReplicas: 3}}}`, []string{scaling + `: Invalid value: minReplicas (default 2) must not be greater than maxReplicas: lower the first or raise the second`}},
		"no upper end":              {`{buffer: {type: None}, receiver: {autoscaling: {minReplicas: 2}}}`, []string{scaling + `.maxReplicas: Required value`}},
		"idle CPU":                  {`{buffer: {type: None}, receiver: {autoscaling: {maxReplicas: 3, targetCPUUtilizationPercentage: 9}}}`, []string{scaling + `.targetCPUUtilizationPercentage: Invalid value: 9: spec.receiver.autoscaling.targetCPUUtilizationPercentage in body should be greater than or equal to 10`}},
		"a label of Kubernetes":     {`receiver: {podLabels: {app.kubernetes.io/name: a}}`, []string{`spec.receiver.podLabels` + ours}},
		"a label of Hookbay":        {`receiver: {podLabels: {hookbay.dev/traffic: drain}}`, []string{`spec.receiver.podLabels` + ours}},
		"an AppArmor profile":       {`receiver: {podAnnotations: {container.apparmor.security.beta.kubernetes.io/receiver: unconfined}}`, []string{`spec.receiver.podAnnotations: Invalid value: remove the AppArmor annotations: receivers run under the runtime's default profile`}},
		"an annotation of Hookbay":  {`receiver: {podAnnotations: {hookbay.dev/revision: "1"}}`, []string{`spec.receiver.podAnnotations: Invalid value: choose another key: annotations that begin with hookbay.dev/ are set by Hookbay`}},
		"a request above its limit": {`receiver: {resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}}`, []string{`spec.receiver.resources: Invalid value: a request must not be greater than the limit of the same resource: lower the request, or raise the limit`}},
		"a class in capitals":       {`receiver: {priorityClassName: High}`, []string{`spec.receiver.priorityClassName: Invalid value: "High": write the name of a PriorityClass, as kubectl get priorityclass shows it`}},
		"a Secret in capitals":      {`receiver: {imagePullSecrets: [{name: A}]}`, []string{`spec.receiver.imagePullSecrets[0].name: Invalid value: "A"` + aSecret}},
		"a pod template":            {`receiver: {template: {spec: {hostNetwork: true}}}`, []string{unknown(`spec.receiver.template`)}},
	})
}

func TestRefused_metadata(t *testing.T) {
	const rule = `<nil>: Invalid value: metadata.name must be 1 to 52 lower-case letters, digits and hyphens, and begin with a letter: the names of pods and Services are made from it`
	checkRefused(t, map[string]refusal{
		"no spec":                      {"metadata: {}\nspec: null", []string{`spec: Required value`}},
		"a name of 53 characters":      {`metadata: {name: ` + strings.Repeat("a", 53) + `}`, []string{rule}},
		"a name with a dot":            {`metadata: {name: a.b}`, []string{rule}},
		"a name that begins with none": {`metadata: {name: 1a}`, []string{rule}},
		"an unknown field":             {`replicas: 2`, []string{unknown(`spec.replicas`)}},
	})
}

// unknown is how the API server refuses a field that there is none of.
func unknown(field string) string {
	return `WebhookEndpoint in version "v1alpha1" cannot be handled as a WebhookEndpoint: strict decoding error: unknown field "` + field + `"`
}
