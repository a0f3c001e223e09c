package crd_test

import (
	"path/filepath"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Each case is what stands in spec beside the least that an endpoint needs; see endpoint.
func TestAccepted(t *testing.T) {
	namespace := api.Namespace(t, nil)
	tests := map[string][]string{
		"the least of Lazada":                        nil,
		"the least of Tencent IM":                    {tencent},
		"every field of Lazada":                      {`source: {lazada: {messageTypes: [0, 2, 19, 1000000]}}`},
		"four secrets, two of them in one Secret":    {`source: {lazada: {appSecretRefs: [{name: a, key: new}, {name: a, key: old}, {name: b.c, key: _x}, {name: d, key: y.z}]}}`},
		"every field of Tencent IM":                  {tencent, `source: {tencentIM: {requestTimeTolerance: 15m, commands: [C2C.CallbackAfterSendMsg], unsigned: Accept}}`},
		"callbacks from anybody, asked for":          {tencent, `source: {tencentIM: {tokenRefs: null, unsigned: Accept}}`},
		"a url":                                      {`target: {type: URL, service: null, url: "https://chat.example.com:8443/events?team=im"}`},
		"a url of an IPv6 address":                   {`target: {type: URL, service: null, url: "http://[2001:db8::1]/"}`},
		"every field of a url target":                {`target: {type: URL, service: null, url: "https://c", timeout: 100ms, headers: [{name: X-Team, value: a b}], bearerTokenRef: {name: t, key: k}, caBundleRef: {name: t, key: ca}, signingSecretRef: {name: t, key: s}}`},
		"the longest timeout":                        {`target: {timeout: 5m}`},
		"every field of delivery":                    {`delivery: {ordering: None, maxInFlight: 1, suspend: true, retry: {initialInterval: 10ms, maxInterval: 10ms, maxAge: 1s}}`},
		"the upper bounds of delivery":               {`delivery: {maxInFlight: 1024, retry: {initialInterval: 1h, maxInterval: 24h, maxAge: 336h}}`},
		"no buffer":                                  {`buffer: {type: None}`},
		"every field of a disk buffer":               {`buffer: {type: Disk, disk: {size: 128Mi, storageClassName: fast.local, whenDeleted: Delete}, deduplicationWindow: 1m, retention: 0s}`},
		"the upper bounds of a buffer":               {`buffer: {deduplicationWindow: 168h, retention: 720h}`},
		"a size without unit":                        {`buffer: {disk: {size: 1073741824}}`},
		"a size with a fraction":                     {`buffer: {disk: {size: 1.5Gi}}`},
		"a limit for all":                            {`rateLimit: {requestsPerSecond: 500}`},
		"a limit for each tenant":                    {`rateLimit: {perTenant: {requestsPerSecond: 1, burst: 1}}`},
		"every field of a rate limit":                {`rateLimit: {requestsPerSecond: 1000000, burst: 2000000, perTenant: {requestsPerSecond: 1000000, burst: 2000000}}`},
		"a host and no way to it":                    {`exposure: {host: hooks.example.com}`},
		"a path without a host":                      {`exposure: {path: "/shop/~im@v1"}`},
		"an Ingress of the default class":            {`exposure: {host: hooks.example.com, ingress: {}}`},
		"every field of an Ingress":                  {`exposure: {host: h, ingress: {className: nginx, tlsSecretName: hooks-tls, annotations: {cert-manager.io/cluster-issuer: ca}}}`},
		"an HTTPRoute":                               {`exposure: {host: h, httpRoute: {parentRefs: [{name: web}]}}`},
		"both an Ingress and an HTTPRoute":           {`exposure: {host: h, ingress: {}, httpRoute: {parentRefs: [{name: web}]}}`},
		"two listeners, and a namesake elsewhere":    {`exposure: {host: h, httpRoute: {parentRefs: [{name: a, sectionName: x}, {name: a, sectionName: z}, {name: a, namespace: edge}]}}`},
		"one replica":                                {`receiver: {replicas: 1}`},
		"the most replicas":                          {`receiver: {replicas: 32}`},
		"autoscaling without volumes":                {`{buffer: {type: None}, receiver: {autoscaling: {maxReplicas: 2}}}`},
		"every field of autoscaling":                 {`{buffer: {type: None}, receiver: {autoscaling: {minReplicas: 256, maxReplicas: 256, targetCPUUtilizationPercentage: 100}}}`},
		"resources":                                  {`receiver: {resources: {requests: {cpu: 1, memory: 1Gi, ephemeral-storage: 1Gi}, limits: {memory: 1Gi}}}`},
		"where to run":                               {`receiver: {nodeSelector: {disk: ssd}, tolerations: [{key: dedicated, operator: Exists}], priorityClassName: high, affinity: {podAntiAffinity: {}}, topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]}`},
		"how to pull":                                {`receiver: {imagePullSecrets: [{name: registry}]}`},
		"labels and annotations of one's own":        {`receiver: {podLabels: {team: im, app: x}, podAnnotations: {example.com/scrape: "true"}}`},
		"a name of 52 characters":                    {`metadata: {name: a234567890123456789012345678901234567890123456789012}`},
		"nothing but names of one letter everywhere": {`metadata: {name: a}`, `target: {service: {name: b, port: 1}}`},
	}
	for name, changes := range tests {
		t.Run(name, func(t *testing.T) {
			if err := strict().Create(t.Context(), endpoint(t, namespace, changes...), client.DryRunAll); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAccepted_samples applies the samples as a user does: one folder, or all of them.
func TestAccepted_samples(t *testing.T) {
	endpoints, err := filepath.Glob("../samples*/*/endpoint.yaml")
	if err != nil || len(endpoints) < 4 {
		t.Fatalf("found the samples %v, %v", endpoints, err)
	}
	if _, stderr, err := api.Kubectl(t, "", "create", "namespace", "shop"); err != nil {
		t.Fatal(stderr)
	}
	ways := [][]string{{"-k", "../samples"}, {"-k", "../samples-brokers"}}
	for _, endpoint := range endpoints {
		ways = append(ways, []string{"-f", filepath.Dir(endpoint)})
	}
	for _, way := range ways {
		stdout, stderr, err := api.Kubectl(t, "", append([]string{"apply"}, way...)...)
		if err != nil || stderr != "" {
			t.Errorf("kubectl apply %v: %v\n%s%s", way, err, stdout, stderr)
		}
	}
}
