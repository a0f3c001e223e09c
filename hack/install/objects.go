package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// objects are manifests by what makes them one object in a cluster: kind, group, namespace and name.
type objects map[string]*unstructured.Unstructured

// parse reads a stream of YAML documents.
func parse(data []byte) (objects, error) {
	found := objects{}
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		var o unstructured.Unstructured
		switch err := decoder.Decode(&o.Object); {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return nil, fmt.Errorf("read the manifests: %w", err)
		case len(o.Object) == 0:
			continue // nothing but comments
		}
		if err := found.add(&o); err != nil {
			return nil, err
		}
	}
}

func (all objects) add(o *unstructured.Unstructured) error {
	name := o.GetName()
	if ns := o.GetNamespace(); ns != "" {
		name = ns + "/" + name
	}
	key := fmt.Sprintf("%s %s", o.GroupVersionKind().GroupKind(), name)
	if all[key] != nil {
		return fmt.Errorf("%s is there twice: only the last one would be installed", key)
	}
	all[key] = o
	return nil
}

// onlyHelms are what Helm adds to objects of its own: see dropHelms.
var (
	onlyHelmsLabels      = []string{"helm.sh/chart", "app.kubernetes.io/version", "app.kubernetes.io/managed-by"}
	onlyHelmsAnnotations = []string{"helm.sh/resource-policy"}
)

// dropHelms removes the labels and annotations of the objects that only a release of Helm's has. On pod templates and in selectors they
// have no place: what they say changes with the chart, which must not restart pods.
func (all objects) dropHelms() {
	for _, o := range all {
		o.SetLabels(without(o.GetLabels(), onlyHelmsLabels))
		o.SetAnnotations(without(o.GetAnnotations(), onlyHelmsAnnotations))
	}
}

// without returns nil rather than an empty map, which unstructured.Unstructured takes for "remove the field".
func without(m map[string]string, keys []string) map[string]string {
	for _, k := range keys {
		delete(m, k)
	}
	if len(m) == 0 {
		return nil
	}
	return m
}

// dropKind removes all objects of a kind.
func (all objects) dropKind(kind string) {
	maps.DeleteFunc(all, func(_ string, o *unstructured.Unstructured) bool { return o.GetKind() == kind })
}

// compare says where two installations differ, object by object, in the order of their names.
func compare(kustomize, chart objects) []string {
	var differences []string
	for _, key := range slices.Sorted(maps.Keys(kustomize)) {
		if chart[key] == nil {
			differences = append(differences, key+" is made by the kustomize folders, but not by the chart")
		} else if diff := cmp.Diff(lines(kustomize[key]), lines(chart[key])); diff != "" {
			differences = append(differences, key+" is not the same (-kustomize +chart):\n"+diff)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(chart)) {
		if kustomize[key] == nil {
			differences = append(differences, key+" is made by the chart, but not by the kustomize folders")
		}
	}
	return differences
}

// line is a line of YAML; that it says itself what is equal keeps cmp from taking it apart.
type line string

// Equal compares lines as a whole.
func (l line) Equal(other line) bool { return l == other }

// lines are the object in the one way that the library writes YAML, sorted: what differs in it differs in the object, and is easily read.
func lines(o *unstructured.Unstructured) []line {
	data, err := yaml.Marshal(o.Object)
	if err != nil {
		return []line{line(err.Error())} // it came from YAML
	}
	var all []line
	for text := range strings.Lines(string(data)) {
		all = append(all, line(strings.TrimSuffix(text, "\n")))
	}
	return all
}
