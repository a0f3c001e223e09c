package local

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/config/crd"
)

// definition does with a WebhookEndpoint what the API server does with the CustomResourceDefinition: it is the same code.
type definition struct {
	structural *schema.Structural
	schema     validation.SchemaValidator
	rules      *cel.Validator
}

func newDefinition() (*definition, error) {
	var def apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(crd.WebhookEndpoints(), &def); err != nil {
		return nil, fmt.Errorf("read the definition: %w", err)
	}
	at := slices.IndexFunc(def.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
		return v.Name == hookbayv1alpha1.GroupVersion.Version
	})
	if at < 0 {
		return nil, fmt.Errorf("the definition has no version %s", hookbayv1alpha1.GroupVersion.Version)
	}
	var props apiextensions.JSONSchemaProps
	v1 := def.Spec.Versions[at].Schema.OpenAPIV3Schema
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v1, &props, nil); err != nil {
		return nil, fmt.Errorf("convert the definition's schema: %w", err)
	}
	structural, err := schema.NewStructural(&props)
	if err != nil {
		return nil, fmt.Errorf("read the definition's schema: %w", err)
	}
	validator, _, err := validation.NewSchemaValidator(&props)
	if err != nil {
		return nil, fmt.Errorf("compile the definition's schema: %w", err)
	}
	return &definition{
		structural: structural,
		schema:     validator,
		rules:      cel.NewValidator(structural, true, celconfig.PerCallLimit),
	}, nil
}

// apply sets the defaults in obj and returns what is wrong with it, each with the field's path and what to write;
// unruled says that the rules were not evaluated for it.
func (d *definition) apply(ctx context.Context, obj map[string]any) (problems []string, unruled bool) {
	unknown := pruning.PruneWithOptions(obj, d.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range unknown {
		if what := d.explainUnknown(path); what != "" {
			problems = append(problems, path+": "+what)
		}
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(obj, d.structural)
	defaulting.Default(obj, d.structural)

	errs := validation.ValidateCustomResource(nil, obj, d.schema)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, d.structural, obj)...)
	unruled = slices.ContainsFunc(errs, stopsRules)
	if !unruled {
		more, _ := d.rules.Validate(ctx, nil, d.structural, obj, nil, celconfig.RuntimeCELCostBudget)
		errs = append(errs, more...)
	}
	for _, err := range errs {
		if p := d.explain(err, errs); p != "" {
			problems = append(problems, p)
		}
	}
	return problems, unruled
}

// stopsRules says whether the API server does not evaluate the rules of an object with this error: they would
// fail for reasons that say nothing.
func stopsRules(err *field.Error) bool {
	switch err.Type {
	case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
		return true
	default:
		return false
	}
}
