package manifests

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// children are all that an endpoint can have, with the folder of their golden files. Of the replicas with volumes it is the first.
var children = map[string]func(*hookbayv1alpha1.WebhookEndpoint) Object{
	"configmap":        func(e *hookbayv1alpha1.WebhookEndpoint) Object { return ConfigMap(e) },
	"serviceaccount":   func(e *hookbayv1alpha1.WebhookEndpoint) Object { return ServiceAccount(e) },
	"networkpolicy":    func(e *hookbayv1alpha1.WebhookEndpoint) Object { return NetworkPolicy(e) },
	"service":          func(e *hookbayv1alpha1.WebhookEndpoint) Object { return Service(e) },
	"disruptionbudget": func(e *hookbayv1alpha1.WebhookEndpoint) Object { return unlessNil(DisruptionBudget(e)) },
	"ingress":          func(e *hookbayv1alpha1.WebhookEndpoint) Object { return unlessNil(Ingress(e)) },
	"httproute":        func(e *hookbayv1alpha1.WebhookEndpoint) Object { return unlessNil(HTTPRoute(e)) },
	"autoscaler":       func(e *hookbayv1alpha1.WebhookEndpoint) Object { return unlessNil(Autoscaler(e)) },
	"deployment": func(e *hookbayv1alpha1.WebhookEndpoint) Object {
		if d := Deployment(e, settings); d != nil {
			return d
		}
		return unlessNil(ReplicaDeployment(e, settings, 0, TrafficServe))
	},
	"volumeclaim": func(e *hookbayv1alpha1.WebhookEndpoint) Object {
		if stateless(e) {
			return nil
		}
		return VolumeClaim(e, 0)
	},
}

// unlessNil keeps a nil pointer from becoming an Object that is not nil.
func unlessNil[T any, P interface {
	*T
	Object
}](p P) Object {
	if p == nil {
		return nil
	}
	return p
}

// Each testdata/CHILD/CASE.yaml is what the endpoint of that name gets; there is none for a child that it does not want.
func TestChildren(t *testing.T) {
	cases := endpoints(t)
	for child, render := range children {
		for name, e := range cases {
			t.Run(child+"/"+name, func(t *testing.T) {
				var got []byte
				if o := render(e); o != nil {
					got = manifest(t, o)
				}
				golden := filepath.Join("testdata", child, name+".yaml")
				if *update {
					write(t, golden, got)
				}
				want, err := os.ReadFile(golden)
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), string(got)); diff != "" {
					t.Errorf("%s differs (-want +got); if that is meant, run the test with -update:\n%s", golden, diff)
				}
			})
		}
	}
}

// A golden file that no case writes any more would be believed for ever.
func TestChildren_noStrayGoldenFiles(t *testing.T) {
	cases := endpoints(t)
	for child := range children {
		files, err := filepath.Glob(filepath.Join("testdata", child, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if name := filepath.Base(file); cases[name[:len(name)-len(filepath.Ext(name))]] == nil {
				t.Errorf("%s belongs to no endpoint of the tests: remove it", file)
			}
		}
	}
}

// Rendering twice gives the same, and never touches the endpoint, which is the cache's: also not through what both would share.
func TestChildren_arePure(t *testing.T) {
	for name, e := range endpoints(t) {
		before := e.DeepCopy()
		for child, render := range children {
			o := render(e)
			if o == nil {
				continue
			}
			first := manifest(t, o)
			scribble(o)
			if diff := cmp.Diff(before, e); diff != "" {
				t.Fatalf("%s: a change of the %s changes the endpoint (-before +after):\n%s", name, child, diff)
			}
			if second := manifest(t, render(e)); !slices.Equal(first, second) {
				t.Errorf("%s: %s is rendered differently the second time:\n%s", name, child, cmp.Diff(string(first), string(second)))
			}
		}
	}
}

// What server-side apply and garbage collection need of each child.
func TestChildren_metadata(t *testing.T) {
	for name, e := range endpoints(t) {
		for child, render := range children {
			o := render(e)
			if o == nil {
				continue
			}
			gvk := o.GetObjectKind().GroupVersionKind()
			if gvk.Kind == "" || gvk.Version == "" {
				t.Errorf("%s: %s has kind %v, server-side apply needs it", name, child, gvk)
			}
			if o.GetNamespace() != e.Namespace {
				t.Errorf("%s: %s is in namespace %q", name, child, o.GetNamespace())
			}
			for k, v := range Labels(e) {
				if o.GetLabels()[k] != v {
					t.Errorf("%s: %s has label %s=%q, want %q", name, child, k, o.GetLabels()[k], v)
				}
			}
			disk := e.Spec.Buffer.Disk
			kept := child == "volumeclaim" && (disk == nil || disk.WhenDeleted != hookbayv1alpha1.WhenDeletedDelete)
			owned := len(o.GetOwnerReferences()) == 1 && o.GetOwnerReferences()[0].UID == e.UID
			if owned == kept {
				t.Errorf("%s: %s has the owners %v", name, child, o.GetOwnerReferences())
			}
		}
	}
}

// manifest is an object as people write it: without status and what is null.
func manifest(t *testing.T, o Object) []byte {
	t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var content map[string]any
	if err := json.Unmarshal(data, &content); err != nil {
		t.Fatal(err)
	}
	delete(content, "status")
	out, err := yaml.Marshal(withoutNull(content))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func withoutNull(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if value == nil {
				delete(v, key)
			} else {
				v[key] = withoutNull(value)
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutNull(v[i])
		}
	}
	return v
}

// write makes golden hold data, or go if there is none.
func write(t *testing.T, golden string, data []byte) {
	t.Helper()
	if data == nil {
		if err := os.Remove(golden); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return
	}
	if err := os.MkdirAll(filepath.Dir(golden), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(golden, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
