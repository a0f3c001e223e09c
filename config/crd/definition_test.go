package crd_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/config/crd"
)

// TestDescriptions: kubectl explain has something to say about every field.
func TestDescriptions(t *testing.T) {
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(crd.WebhookEndpoints(), &definition); err != nil {
		t.Fatal(err)
	}
	fields := 0
	var walk func(path string, s *apiextensionsv1.JSONSchemaProps)
	walk = func(path string, s *apiextensionsv1.JSONSchemaProps) {
		for name := range s.Properties {
			field := s.Properties[name]
			fields++
			// The API server itself describes metadata.
			if strings.TrimSpace(field.Description) == "" && path+name != "metadata" {
				t.Errorf("%s%s has no description", path, name)
			}
			walk(path+name+".", &field)
		}
		if s.Items != nil {
			walk(path, s.Items.Schema)
		}
		if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
			walk(path, s.AdditionalProperties.Schema)
		}
	}
	walk("", definition.Spec.Versions[0].Schema.OpenAPIV3Schema)
	if fields < 100 {
		t.Errorf("found only %d fields", fields)
	}
	data, err := json.Marshal(definition)
	if err != nil {
		t.Fatal(err)
	}
	// kubectl apply writes all of an object into an annotation of it, and annotations may have 256 KiB.
	if len(data) > 200<<10 {
		t.Errorf("the definition has %d bytes: kubectl apply refuses more than 262144", len(data))
	}
}

func TestExplain(t *testing.T) {
	for field, want := range map[string]string{
		"whe.spec.buffer.disk.size":     "size is the disk space for each replica",
		"whe.spec.source.lazada.appKey": "appKey is the App Key that the Lazada console shows",
		"whe.status.traffic.backlog":    "backlog counts the events that wait for delivery",
	} {
		stdout, stderr, err := api.Kubectl(t, "", "explain", field)
		if text := strings.Join(strings.Fields(stdout), " "); err != nil || !strings.Contains(text, want) {
			t.Errorf("kubectl explain %s: %v\n%s%s\nwant %q", field, err, stdout, stderr, want)
		}
	}
}

// TestDefaults: what kubectl get -o yaml shows of the least of an endpoint. What a cluster's administrator decides is not there.
func TestDefaults(t *testing.T) {
	object := endpoint(t, api.Namespace(t, nil))
	if err := strict().Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	want := endpoint(t, "", `
target: {timeout: 10s, service: {path: /}}
delivery: {ordering: Subject, maxInFlight: 64, retry: {initialInterval: 1s, maxInterval: 5m, maxAge: 24h}}
buffer: {deduplicationWindow: 7h, retention: 24h}
receiver: {replicas: 2}
`)
	if diff := cmp.Diff(asYAML(t, want.Object["spec"]), asYAML(t, object.Object["spec"])); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

func TestScale(t *testing.T) {
	namespace := api.Namespace(t, nil)
	object := endpoint(t, namespace, `receiver: {replicas: 3}`)
	if err := strict().Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	key := client.ObjectKeyFromObject(object)
	var e hookbayv1alpha1.WebhookEndpoint
	if err := api.Client.Get(t.Context(), key, &e); err != nil {
		t.Fatal(err)
	}
	e.Status.Replicas, e.Status.Selector = 2, "app.kubernetes.io/instance=lazada-im"
	if err := api.Client.Status().Update(t.Context(), &e); err != nil {
		t.Fatal(err)
	}
	var scale autoscalingv1.Scale
	if err := api.Client.SubResource("scale").Get(t.Context(), &e, &scale); err != nil {
		t.Fatal(err)
	}
	want := autoscalingv1.ScaleStatus{Replicas: 2, Selector: "app.kubernetes.io/instance=lazada-im"}
	if scale.Spec.Replicas != 3 || scale.Status != want {
		t.Errorf("the scale is %+v, want 3 replicas and %+v", scale, want)
	}

	if _, stderr, err := api.Kubectl(t, "", "scale", "whe/lazada-im", "-n", namespace, "--replicas=5"); err != nil {
		t.Fatal(stderr)
	}
	if err := api.Client.Get(t.Context(), key, &e); err != nil {
		t.Fatal(err)
	}
	if *e.Spec.Receiver.Replicas != 5 {
		t.Errorf("kubectl scale led to %d replicas, want 5", *e.Spec.Receiver.Replicas)
	}
	if _, stderr, err := api.Kubectl(t, "", "scale", "whe/lazada-im", "-n", namespace, "--replicas=0"); err == nil || !strings.Contains(stderr, "greater than or equal to 1") {
		t.Errorf("kubectl scale to 0: %v, %s; want that it is refused", err, stderr)
	}
}

func TestPrinterColumns(t *testing.T) {
	namespace := api.Namespace(t, nil)
	object := endpoint(t, namespace)
	if err := strict().Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	var e hookbayv1alpha1.WebhookEndpoint
	if err := api.Client.Get(t.Context(), client.ObjectKeyFromObject(object), &e); err != nil {
		t.Fatal(err)
	}
	now := metav1.Now()
	e.Status.URL = "https://hooks.example.com/shop/lazada-im"
	e.Status.Traffic = &hookbayv1alpha1.Traffic{LastAcceptedTime: &now, LastRejectedTime: &now, Backlog: 7}
	e.Status.Conditions = []metav1.Condition{{
		Type: hookbayv1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: hookbayv1alpha1.ReasonSecretMissing, LastTransitionTime: now,
	}}
	if err := api.Client.Status().Update(t.Context(), &e); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, err := api.Kubectl(t, "", "get", "hookbay", "-n", namespace, "-o", "wide")
	if err != nil {
		t.Fatal(stderr)
	}
	head, row, _ := strings.Cut(stdout, "\n")
	if diff := cmp.Diff([]string{"NAME", "SOURCE", "URL", "READY", "REASON", "BACKLOG", "DEAD", "LAST", "REJECTED", "AGE"}, strings.Fields(head)); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	// The last three are ages.
	cells := strings.Fields(row)
	want := []string{"lazada-im", "Lazada", e.Status.URL, "False", "SecretMissing", "7", "0"}
	if len(cells) != len(want)+3 || !slices.Equal(want, cells[:len(want)]) {
		t.Errorf("cells are %v, want %v and three ages", cells, want)
	}
}

func asYAML(t *testing.T, v any) string {
	t.Helper()
	data, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
