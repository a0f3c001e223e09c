package apply

import (
	"crypto/sha256"
	"encoding/json"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// toApply turns a typed object into what is sent: without status, which is not ours, and without the nulls that Go types are written with where
// they hold nothing.
func toApply(desired client.Object, gvk schema.GroupVersionKind) (map[string]any, error) {
	tree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(desired)
	if err != nil {
		return nil, err
	}
	delete(tree, "status")
	dropNulls(tree)
	tree["apiVersion"], tree["kind"] = gvk.ToAPIVersionAndKind()
	return tree, nil
}

func dropNulls(tree any) {
	switch tree := tree.(type) {
	case map[string]any:
		for name, value := range tree {
			if value == nil {
				delete(tree, name)
				continue
			}
			dropNulls(value)
		}
	case []any:
		for _, item := range tree {
			dropNulls(item)
		}
	}
}

// managed returns what is sent of a child without what no manager can own: its kind and name.
func (c *child) managed() map[string]any {
	out := make(map[string]any, len(c.want))
	for name, value := range c.want {
		switch name {
		case "apiVersion", "kind":
		case "metadata":
			if metadata := managedMetadata(value); len(metadata) > 0 {
				out[name] = metadata
			}
		default:
			out[name] = value
		}
	}
	return out
}

func managedMetadata(metadata any) map[string]any {
	all, _ := metadata.(map[string]any)
	out := make(map[string]any, len(all))
	for name, value := range all {
		if name != "name" && name != "namespace" {
			out[name] = value
		}
	}
	return out
}

// digest stands for a wanted object.
type digest [sha256.Size]byte

func digestOf(desired client.Object) (digest, error) {
	data, err := json.Marshal(desired)
	if err != nil {
		return digest{}, err
	}
	return sha256.Sum256(data), nil
}
