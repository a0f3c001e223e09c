package crd_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hookbay/hookbay/controllers/apitest"
)

var api apitest.Server

// TestMain installs the definition, so every test here shows as well that the API server takes it: its schema is structural, its
// defaults are valid, and its rules compile and stay inside their cost budget.
func TestMain(m *testing.M) { api.Main(m) }

// lazada is the least that an endpoint needs.
const lazada = `
source:
  type: Lazada
  lazada: {appKey: "100132", appSecretRefs: [{name: lazada-app, key: app-secret}]}
target: {type: Service, service: {name: chat, port: 8080}}
`

// tencent turns lazada into an endpoint of the other platform.
const tencent = `
source: {type: TencentIM, lazada: null, tencentIM: {sdkAppID: 1400000001, tokenRefs: [{name: tencent-im, key: token}]}}
`

// endpoint is the endpoint lazada, changed by YAML texts one after another: what they hold is added or replaced, and what they hold
// null for is removed. A text that begins with "metadata:" or "spec:" is about the whole object, any other about spec.
func endpoint(t *testing.T, namespace string, changes ...string) *unstructured.Unstructured {
	t.Helper()
	object := map[string]any{
		"apiVersion": "hookbay.dev/v1alpha1", "kind": "WebhookEndpoint",
		"metadata": map[string]any{"name": "lazada-im", "namespace": namespace},
	}
	for _, text := range append([]string{lazada}, changes...) {
		var change map[string]any
		if err := yaml.UnmarshalStrict([]byte(text), &change); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if _, whole := change["spec"]; !whole && change["metadata"] == nil {
			change = map[string]any{"spec": change}
		}
		merge(object, change)
	}
	return &unstructured.Unstructured{Object: object}
}

func merge(into, change map[string]any) {
	for key, value := range change {
		from, isMap := value.(map[string]any)
		to, wasMap := into[key].(map[string]any)
		switch {
		case value == nil:
			delete(into, key)
		case isMap && wasMap:
			merge(to, from)
		case isMap:
			fresh := map[string]any{}
			merge(fresh, from)
			into[key] = fresh
		default:
			into[key] = value
		}
	}
}

// strict is a client that refuses unknown fields, as kubectl does, rather than dropping them.
func strict() client.Client {
	return client.WithFieldValidation(api.Client, metav1.FieldValidationStrict)
}

// refusals are the API server's reasons to refuse an object, sorted, each as "field: message"; none for nil.
func refusals(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok {
		t.Fatal(err)
	}
	if status.Status().Details == nil || len(status.Status().Details.Causes) == 0 {
		return []string{status.Status().Message}
	}
	found := map[string]bool{}
	for _, c := range status.Status().Details.Causes {
		// With other errors around, rules are not evaluated, and the API server says so.
		if !strings.HasPrefix(c.Message, "Invalid value: null: some validation rules were not checked") {
			found[c.Field+": "+c.Message] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
