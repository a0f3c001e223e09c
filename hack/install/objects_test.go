package main

import (
	"strings"
	"testing"
)

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: hookbay-manager
  namespace: hookbay-system
  labels:
    app.kubernetes.io/name: hookbay
spec:
  replicas: 2
  template:
    metadata:
      labels:
        app.kubernetes.io/name: hookbay
`

const role = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: hookbay-manager
rules:
- apiGroups: [hookbay.dev]
  resources: [webhookendpoints]
  verbs: [get, list, watch]
`

func TestCompare(t *testing.T) {
	tests := map[string]struct {
		kustomize, chart string
		// want are what each difference must tell; none: there is no difference.
		want [][]string
	}{
		"the same, in another order": {
			kustomize: deployment + "---\n" + role,
			chart:     "# Source: hookbay/templates/role.yaml\n" + role + "---\n# only a comment\n---\n" + deployment,
		},
		"what only Helm writes": {
			kustomize: deployment,
			chart: strings.Replace(deployment, "  labels:\n", "  annotations:\n    helm.sh/resource-policy: keep\n  labels:\n"+
				"    helm.sh/chart: hookbay-0.1.0\n    app.kubernetes.io/version: v0.1.0\n    app.kubernetes.io/managed-by: Helm\n", 1),
		},
		"only Helm's labels": {
			kustomize: role,
			chart:     strings.Replace(role, "  name:", "  labels:\n    helm.sh/chart: hookbay-0.1.0\n  name:", 1),
		},
		"an annotation beside Helm's": {
			kustomize: role,
			chart:     strings.Replace(role, "  name:", "  annotations: {helm.sh/resource-policy: keep, a: b}\n  name:", 1),
			want:      [][]string{{"ClusterRole.rbac.authorization.k8s.io hookbay-manager", "annotations"}},
		},
		"a label of the chart's version that would restart pods": {
			kustomize: deployment,
			chart: strings.Replace(deployment, "      labels:\n",
				"      labels:\n        helm.sh/chart: hookbay-0.1.0\n", 1),
			want: [][]string{{"Deployment.apps hookbay-system/hookbay-manager", "helm.sh/chart"}},
		},
		"a number": {
			kustomize: deployment,
			chart:     strings.Replace(deployment, "replicas: 2", "replicas: 1", 1),
			want:      [][]string{{"Deployment.apps hookbay-system/hookbay-manager", "replicas"}},
		},
		"a number that is text": {
			kustomize: deployment,
			chart:     strings.Replace(deployment, "replicas: 2", `replicas: "2"`, 1),
			want:      [][]string{{"replicas"}},
		},
		"a right more": {
			kustomize: role,
			chart:     strings.Replace(role, "watch]", `watch, delete]`, 1),
			want:      [][]string{{"ClusterRole.rbac.authorization.k8s.io hookbay-manager", "delete"}},
		},
		"another version of the API": {
			kustomize: deployment,
			chart:     strings.Replace(deployment, "apps/v1", "apps/v1beta2", 1),
			want:      [][]string{{"apps/v1beta2"}},
		},
		"objects on one side only": {
			kustomize: deployment,
			chart:     role,
			want: [][]string{
				{"Deployment.apps hookbay-system/hookbay-manager", "but not by the chart"},
				{"ClusterRole.rbac.authorization.k8s.io hookbay-manager", "but not by the kustomize folders"},
			},
		},
		"another namespace": {
			kustomize: deployment,
			chart:     strings.Replace(deployment, "namespace: hookbay-system", "namespace: default", 1),
			want:      [][]string{{"hookbay-system/hookbay-manager"}, {"default/hookbay-manager"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			chart := mustParse(t, test.chart)
			chart.dropHelms()
			got := compare(mustParse(t, test.kustomize), chart)
			if len(got) != len(test.want) {
				t.Fatalf("got %d differences, want %d:\n%s", len(got), len(test.want), strings.Join(got, "\n"))
			}
			for i, words := range test.want {
				for _, w := range words {
					if !strings.Contains(got[i], w) {
						t.Errorf("difference %d does not tell %q:\n%s", i, w, got[i])
					}
				}
			}
		})
	}
}

func TestParse_mistakes(t *testing.T) {
	tests := map[string]struct{ data, want string }{
		"an object that is there twice": {role + "---\n" + role, "ClusterRole.rbac.authorization.k8s.io hookbay-manager is there twice"},
		"what is no YAML":               {"kind: [", "read the manifests"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := parse([]byte(test.data)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

func mustParse(t *testing.T, data string) objects {
	t.Helper()
	found, err := parse([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return found
}
