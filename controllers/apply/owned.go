package apply

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// ownedFields returns the fields of a live object that are ours: those that our last apply set and nobody has changed since. An apply in
// another version of the API has fields of other names, so it counts for nothing: the next one converts them.
func ownedFields(live client.Object, apiVersion string) (*fieldpath.Set, error) {
	owned := &fieldpath.Set{}
	entry := ourEntry(live)
	if entry == nil || entry.APIVersion != apiVersion || entry.FieldsV1 == nil {
		return owned, nil
	}
	return owned, owned.FromJSON(entry.FieldsV1.GetRawReader())
}

func ourEntry(live client.Object) *metav1.ManagedFieldsEntry {
	entries := live.GetManagedFields()
	for i := range entries {
		e := &entries[i]
		if e.Manager == FieldManager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == "" {
			return e
		}
	}
	return nil
}

// differs compares what is owned of a live object with what is wanted: these fields, no others, with these values. It tells where the first
// difference is, for the log.
//
// How the API server merges a field shows in the owned set itself: what it merges field by field or item by item has members of
// its own there; what it replaces as a whole is one member. A null is the same as nothing, everywhere.
func differs(owned *fieldpath.Set, live, want any) (string, bool) {
	switch want := want.(type) {
	case map[string]any:
		if live, ok := live.(map[string]any); ok {
			return mapDiffers(owned, live, want)
		}
	case []any:
		if live, ok := live.([]any); ok {
			return listDiffers(owned, live, want)
		}
	}
	return "", true
}

// elementDiffers compares one field of a map, or one item of a list.
func elementDiffers(owned *fieldpath.Set, element fieldpath.PathElement, live, want any) (string, bool) {
	if within, merged := owned.Children.Get(element); merged {
		return differs(within, live, want)
	}
	return "", !owned.Members.Has(element) || !equal(live, want)
}

func mapDiffers(owned *fieldpath.Set, live, want map[string]any) (string, bool) {
	for name, w := range want {
		if where, differ := elementDiffers(owned, fieldpath.FieldNameElement(name), live[name], w); differ {
			return "." + name + where, true
		}
	}
	surplus, found := "", false
	elements(owned, func(e fieldpath.PathElement) {
		if e.FieldName == nil {
			surplus, found = e.String(), true
		} else if _, wanted := want[*e.FieldName]; !wanted {
			surplus, found = "."+*e.FieldName, true
		}
	})
	return surplus, found
}

// listDiffers compares a list whose items are merged, by their keys or values. The order of items does not count.
func listDiffers(owned *fieldpath.Set, live, want []any) (string, bool) {
	where, differ := "", false
	items := 0
	elements(owned, func(e fieldpath.PathElement) {
		items++
		if differ {
			return
		}
		l, isLive := item(live, e)
		w, isWanted := item(want, e)
		within, differs := elementDiffers(owned, e, l, w)
		if !isLive || !isWanted || differs {
			where, differ = e.String()+within, true
		}
	})
	return where, differ || items != len(want)
}

// elements calls f for each direct element of a set.
func elements(set *fieldpath.Set, f func(fieldpath.PathElement)) {
	set.Children.Iterate(f)
	set.Members.Iterate(func(e fieldpath.PathElement) {
		if _, visited := set.Children.Get(e); !visited {
			f(e)
		}
	})
}

// item finds the item of a list that an element of a set stands for.
func item(list []any, e fieldpath.PathElement) (any, bool) {
	for _, candidate := range list {
		if matches(candidate, e) {
			return candidate, true
		}
	}
	return nil, false
}

func matches(candidate any, e fieldpath.PathElement) bool {
	switch {
	case e.Key != nil:
		fields, ok := candidate.(map[string]any)
		for _, key := range *e.Key {
			// A key that is left out is defaulted by the API server, such as a port's protocol.
			if value, there := fields[key.Name]; there && !equal(value, key.Value.Unstructured()) {
				return false
			}
		}
		return ok
	case e.Value != nil:
		return equal(candidate, (*e.Value).Unstructured())
	}
	return false
}

// equal compares two JSON values.
func equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && covers(a, b) && covers(b, a)
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
		return true
	case int64:
		if b, ok := b.(float64); ok {
			return float64(a) == b
		}
	case float64:
		if b, ok := b.(int64); ok {
			return a == float64(b)
		}
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return a == b
}

func covers(a, b map[string]any) bool {
	for name, value := range b {
		if !equal(a[name], value) {
			return false
		}
	}
	return true
}
