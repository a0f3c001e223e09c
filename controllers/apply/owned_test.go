package apply

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/yaml"
)

func TestDiffers(t *testing.T) {
	const (
		ports      = `{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{},"f:name":{}}}}`
		finalizers = `{"f:finalizers":{"v:\"a\"":{}}}`
	)
	for name, test := range map[string]struct {
		owned, live, want string
		wantAt            string
		wantSame          bool
	}{
		"a value that is wanted":                    {owned: `{"f:a":{}}`, live: `{a: 1}`, want: `{a: 1}`, wantSame: true},
		"another value":                             {owned: `{"f:a":{}}`, live: `{a: 1}`, want: `{a: 2}`, wantAt: ".a"},
		"a value of another type":                   {owned: `{"f:a":{}}`, live: `{a: 1}`, want: `{a: "1"}`, wantAt: ".a"},
		"a whole number written as a fraction":      {owned: `{"f:a":{}}`, live: `{a: 1}`, want: `{a: 1.0}`, wantSame: true},
		"the wanted value, but somebody else's":     {owned: `{}`, live: `{a: 1}`, want: `{a: 1}`, wantAt: ".a"},
		"nothing is wanted of a field that is ours": {owned: `{"f:a":{}}`, live: `{a: 1}`, want: `{}`, wantAt: ".a"},
		"nothing is wanted of a map that is ours":   {owned: `{"f:a":{"f:b":{}}}`, live: `{a: {b: 1}}`, want: `{}`, wantAt: ".a"},
		"a field of somebody else":                  {owned: `{"f:a":{}}`, live: `{a: 1, b: 2}`, want: `{a: 1}`, wantSame: true},
		"a field within, of somebody else":          {owned: `{"f:a":{"f:b":{}}}`, live: `{a: {b: 1, c: 2}}`, want: `{a: {b: 1}}`, wantSame: true},
		"a field within, no longer wanted":          {owned: `{"f:a":{"f:b":{},"f:c":{}}}`, live: `{a: {b: 1, c: 2}}`, want: `{a: {b: 1}}`, wantAt: ".a.c"},
		"a map that is one value":                   {owned: `{"f:a":{}}`, live: `{a: {b: 1}}`, want: `{a: {b: 1}}`, wantSame: true},
		"a map that is one value, with more in it":  {owned: `{"f:a":{}}`, live: `{a: {b: 1, c: 2}}`, want: `{a: {b: 1}}`, wantAt: ".a"},
		"a map that is one value, with less in it":  {owned: `{"f:a":{}}`, live: `{a: {}}`, want: `{a: {b: 1}}`, wantAt: ".a"},
		"a null in a map that is one value":         {owned: `{"f:a":{}}`, live: `{a: {b: 1, c: null}}`, want: `{a: {b: 1}}`, wantSame: true},
		"a list that is one value":                  {owned: `{"f:a":{}}`, live: `{a: [1, {b: 2}]}`, want: `{a: [1, {b: 2}]}`, wantSame: true},
		"a list that is one value, in other order":  {owned: `{"f:a":{}}`, live: `{a: [2, 1]}`, want: `{a: [1, 2]}`, wantAt: ".a"},
		"a list that is one value, longer":          {owned: `{"f:a":{}}`, live: `{a: [1, 2]}`, want: `{a: [1]}`, wantAt: ".a"},
		"an item":                                   {owned: ports, live: `{ports: [{port: 80, protocol: TCP, name: x, nodePort: 1}]}`, want: `{ports: [{port: 80, name: x}]}`, wantSame: true},
		"an item beside one of somebody else":       {owned: ports, live: `{ports: [{port: 81, protocol: TCP, name: y}, {port: 80, protocol: TCP, name: x}]}`, want: `{ports: [{port: 80, name: x}]}`, wantSame: true},
		"an item that differs":                      {owned: ports, live: `{ports: [{port: 80, protocol: TCP, name: y}]}`, want: `{ports: [{port: 80, name: x}]}`, wantAt: `.ports[port=80,protocol="TCP"].name`},
		"an item with another key":                  {owned: ports, live: `{ports: [{port: 80, protocol: TCP, name: x}]}`, want: `{ports: [{port: 81, name: x}]}`, wantAt: `.ports[port=80,protocol="TCP"]`},
		"an item with another key that is left out": {owned: ports, live: `{ports: [{port: 80, protocol: TCP, name: x}]}`, want: `{ports: [{port: 80, protocol: UDP, name: x}]}`, wantAt: `.ports[port=80,protocol="TCP"]`},
		"one item more":                             {owned: ports, live: `{ports: [{port: 80, protocol: TCP, name: x}]}`, want: `{ports: [{port: 80, name: x}, {port: 81, name: y}]}`, wantAt: ".ports"},
		"the item is gone":                          {owned: ports, live: `{ports: []}`, want: `{ports: [{port: 80, name: x}]}`, wantAt: `.ports[port=80,protocol="TCP"]`},
		"the list is gone":                          {owned: ports, live: `{}`, want: `{ports: [{port: 80, name: x}]}`, wantAt: `.ports`},
		"a value of a set":                          {owned: finalizers, live: `{finalizers: [b, a]}`, want: `{finalizers: [a]}`, wantSame: true},
		"another value of a set":                    {owned: finalizers, live: `{finalizers: [a]}`, want: `{finalizers: [b]}`, wantAt: `.finalizers[="a"]`},
		"one value of a set more":                   {owned: finalizers, live: `{finalizers: [a]}`, want: `{finalizers: [a, b]}`, wantAt: ".finalizers"},
		"a map where a value was":                   {owned: `{"f:a":{"f:b":{}}}`, live: `{a: {b: 1}}`, want: `{a: 1}`, wantAt: ".a"},
	} {
		t.Run(name, func(t *testing.T) {
			owned := &fieldpath.Set{}
			if err := owned.FromJSON(strings.NewReader(test.owned)); err != nil {
				t.Fatal(err)
			}
			at, differ := differs(owned, tree(t, test.live), tree(t, test.want))
			if differ == test.wantSame || at != test.wantAt {
				t.Errorf("differs %v at %q, want %v at %q", differ, at, !test.wantSame, test.wantAt)
			}
		})
	}
}

// tree reads YAML as the converter of objects does: whole numbers are int64.
func tree(t *testing.T, text string) any {
	t.Helper()
	var out any
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return withInts(out, strings.Contains(text, ".0"))
}

func withInts(v any, fractions bool) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = withInts(v[name], fractions)
		}
	case []any:
		for i := range v {
			v[i] = withInts(v[i], fractions)
		}
	case float64:
		if !fractions {
			return int64(v)
		}
	}
	return v
}

func TestOwnedFields(t *testing.T) {
	ours := metav1.ManagedFieldsEntry{
		Manager: FieldManager, Operation: metav1.ManagedFieldsOperationApply, APIVersion: "v1",
		FieldsV1: metav1.NewFieldsV1(`{"f:data":{"f:a":{}}}`),
	}
	for name, test := range map[string]struct {
		change   func(*metav1.ManagedFieldsEntry)
		wantNone bool
	}{
		"our apply":                        {change: func(*metav1.ManagedFieldsEntry) {}},
		"our update":                       {change: func(e *metav1.ManagedFieldsEntry) { e.Operation = metav1.ManagedFieldsOperationUpdate }, wantNone: true},
		"our apply of the status":          {change: func(e *metav1.ManagedFieldsEntry) { e.Subresource = "status" }, wantNone: true},
		"somebody else's apply":            {change: func(e *metav1.ManagedFieldsEntry) { e.Manager = "kubectl" }, wantNone: true},
		"our apply in another version":     {change: func(e *metav1.ManagedFieldsEntry) { e.APIVersion = "v1beta1" }, wantNone: true},
		"our apply that nothing is in now": {change: func(e *metav1.ManagedFieldsEntry) { e.FieldsV1 = nil }, wantNone: true},
	} {
		t.Run(name, func(t *testing.T) {
			entry := *ours.DeepCopy()
			test.change(&entry)
			owned, err := ownedFields(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{entry}}}, "v1")
			if err != nil {
				t.Fatal(err)
			}
			if got := owned.Empty(); got != test.wantNone {
				t.Errorf("nothing is owned: %v, want %v", got, test.wantNone)
			}
		})
	}
}
