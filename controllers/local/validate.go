package local

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/receiver/config"
)

// defaultNamespace is the namespace of objects that name none, as kubectl's is unless it is configured otherwise.
const defaultNamespace = "default"

// endpointObject is a WebhookEndpoint and where it was found.
type endpointObject struct {
	hookbayv1alpha1.WebhookEndpoint
	where string
	// valid says that the object as such is right, so that what it refers to can be looked up.
	valid bool
	// unruled says that the rules could not be evaluated, because of other problems.
	unruled bool
}

// endpoint sets the defaults of a WebhookEndpoint and checks all that can be checked without looking at other objects. The error has
// a line for each problem; the object is then returned as far as it is known.
func (d *definition) endpoint(ctx context.Context, m *manifest) (endpointObject, error) {
	e := endpointObject{where: m.where}
	problems := setNamespace(m)
	e.Namespace, e.Name = objectName(m)
	wrong, unruled := d.apply(ctx, m.content)
	e.unruled = unruled
	problems = append(problems, wrong...)

	data, err := m.encode()
	if err != nil {
		return e, fmt.Errorf("%s: %w", m.where, err)
	}
	strict, err := kjson.UnmarshalStrict(data, &e.WebhookEndpoint)
	if err != nil && len(problems) == 0 {
		problems = append(problems, explainDecode(err))
	}
	for _, err := range strict {
		problems = append(problems, explainDecode(err))
	}
	problems = append(problems, metadataProblems(&e.WebhookEndpoint)...)
	e.valid = len(problems) == 0
	return e, objectError(m, hookbayv1alpha1.Kind, problems)
}

// setNamespace writes the default namespace into an object that names none.
func setNamespace(m *manifest) (problems []string) {
	meta, ok := m.content["metadata"].(map[string]any)
	if !ok {
		return []string{"metadata: write the object's name, as in metadata: {name: lazada-im}"}
	}
	if ns, ok := meta["namespace"]; !ok || ns == nil || ns == "" {
		meta["namespace"] = defaultNamespace
	}
	return nil
}

func objectName(m *manifest) (namespace, name string) {
	meta, _ := m.content["metadata"].(map[string]any) // Missing metadata is reported by setNamespace.
	namespace, _ = meta["namespace"].(string)         // A wrong type is reported when the object is decoded.
	name, _ = meta["name"].(string)                   // Likewise.
	return namespace, name
}

// metadataProblems are those that the API server finds in the metadata of any object.
func metadataProblems(e *hookbayv1alpha1.WebhookEndpoint) []string {
	if e.Name == "" {
		return []string{"metadata.name: is missing: write a name such as lazada-im"}
	}
	var problems []string
	// The definition has its own, stricter rule for the name, and says it in words.
	anyName := func(string, bool) []string { return nil }
	for _, err := range validation.ValidateObjectMeta(&e.ObjectMeta, true, anyName, field.NewPath("metadata")) {
		problems = append(problems, err.Field+": "+err.Detail)
	}
	return problems
}

// objectError makes one line of each problem of an object; nil if there are none.
func objectError(m *manifest, kind string, problems []string) error {
	namespace, name := objectName(m)
	if name == "" {
		name = "(without a name)"
	}
	var errs []error
	for _, p := range problems {
		errs = append(errs, fmt.Errorf("%s: %s %s/%s: %s", m.where, kind, namespace, name, p))
	}
	return errors.Join(errs...)
}

// errorf is a problem of an endpoint.
func (e *endpointObject) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %s %s/%s: %s", e.where, hookbayv1alpha1.Kind, e.Namespace, e.Name, fmt.Sprintf(format, args...))
}

// unique finds objects that are there twice, and endpoints that could not be told apart.
func unique(endpoints []endpointObject, secrets []secretObject) error {
	var problems []error
	seen := map[string]string{}
	for i := range secrets {
		s := &secrets[i]
		if first, ok := seen[s.key()]; ok {
			problems = append(problems, fmt.Errorf("%s: Secret %s is in %s already: remove one of them", s.where, s.key(), first))
		}
		seen[s.key()] = s.where
	}
	seen = map[string]string{}
	routes := map[string]*endpointObject{}
	for i := range endpoints {
		e := &endpoints[i]
		key := e.Namespace + "/" + e.Name
		if first, ok := seen[key]; ok {
			problems = append(problems, e.errorf("is in %s already: remove one of them, or give it another name", first))
			continue
		}
		seen[key] = e.where
		path := manifests.EndpointPath(&e.WebhookEndpoint)
		first, ok := routes[path]
		switch {
		case !ok:
			routes[path] = e
		case first.Spec.Exposure.Host == e.Spec.Exposure.Host:
			problems = append(problems, e.errorf("spec.exposure.path: %s/%s has the same host and the path %s: choose another path",
				first.Namespace, first.Name, path))
		default:
			problems = append(problems, e.errorf("spec.exposure.path: %s/%s has the path %s too, and without a cluster hosts are ignored: "+
				"choose another path, or run the two one at a time", first.Namespace, first.Name, path))
		}
	}
	return errors.Join(problems...)
}

// namedSecrets looks up every key of a Secret that an endpoint names.
func namedSecrets(endpoints []endpointObject, known map[string]*secretObject) (config.Secrets, error) {
	named := config.Secrets{}
	var problems []error
	for i := range endpoints {
		e := &endpoints[i]
		if !e.valid {
			continue // its references may be half
		}
		for _, ref := range manifests.SecretRefs(&e.WebhookEndpoint) {
			value, problem := lookUp(known, e.Namespace, ref)
			if problem != "" {
				problems = append(problems, e.errorf("%s: %s", ref.Field, problem))
			}
			named[manifests.SecretFile(e.Namespace, ref.SecretKeyRef)] = value
		}
	}
	return named, errors.Join(problems...)
}
