package manifests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/config/crd"
)

// settings are those of all tests.
var settings = Settings{Image: "ghcr.io/hookbay/receiver:v0.1.0"}

// endpoints are what the tests of children render: each sample of config/samples and config/samples-brokers, and each testdata/endpoints/CASE.yaml, as the API server
// would store them.
func endpoints(t *testing.T) map[string]*hookbayv1alpha1.WebhookEndpoint {
	t.Helper()
	def := readDefinition(t)
	found := map[string]*hookbayv1alpha1.WebhookEndpoint{}
	for pattern, name := range map[string]func(string) string{
		"testdata/endpoints/*.yaml":              func(file string) string { return strings.TrimSuffix(filepath.Base(file), ".yaml") },
		"../../config/samples*/*/endpoint*.yaml": func(file string) string { return "sample-" + filepath.Base(filepath.Dir(file)) },
	} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no file %s: %v", pattern, err)
		}
		for _, file := range files {
			e := def.read(t, file)
			if e.UID == "" { // a sample: the API server gives it these
				e.UID, e.Generation = "6f2c1c1e-3c0e-4f0e-9a53-0d1f5a4f8b00", 1
			}
			found[name(file)] = e
		}
	}
	return found
}

// definition is the schema of the CustomResourceDefinition.
type definition struct {
	structural *schema.Structural
	schema     validation.SchemaValidator
	rules      *cel.Validator
}

func readDefinition(t *testing.T) *definition {
	t.Helper()
	var def apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(crd.WebhookEndpoints(), &def); err != nil {
		t.Fatal(err)
	}
	var props apiextensions.JSONSchemaProps
	v1 := def.Spec.Versions[0].Schema.OpenAPIV3Schema
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v1, &props, nil); err != nil {
		t.Fatal(err)
	}
	structural, err := schema.NewStructural(&props)
	if err != nil {
		t.Fatal(err)
	}
	validator, _, err := validation.NewSchemaValidator(&props)
	if err != nil {
		t.Fatal(err)
	}
	return &definition{structural, validator, cel.NewValidator(structural, true, celconfig.PerCallLimit)}
}

// read returns the endpoint in a file with its defaults; it must be one that the API server takes.
func (d *definition) read(t *testing.T, file string) *hookbayv1alpha1.WebhookEndpoint {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if data, err = yaml.YAMLToJSONStrict(data); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var content map[string]any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &content); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	defaulting.Default(content, d.structural)
	errs := validation.ValidateCustomResource(nil, content, d.schema)
	ruled, _ := d.rules.Validate(t.Context(), nil, d.structural, content, nil, celconfig.RuntimeCELCostBudget)
	for _, err := range append(errs, ruled...) {
		t.Errorf("%s: %v", file, err)
	}
	var e hookbayv1alpha1.WebhookEndpoint
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(content, &e, true); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return &e
}
