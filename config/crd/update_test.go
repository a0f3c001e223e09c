package crd_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestUpdates changes endpoints that exist: what would leave stored events behind is refused.
func TestUpdates(t *testing.T) {
	const field = `spec.buffer: Invalid value: buffer.`
	const typeKept = field + `type can't be changed, because stored events would be left behind: write the old type back, and make another WebhookEndpoint with the new one`
	const classKept = field + `disk.storageClassName can't be changed, because volumes can't: write the old one back`
	const sizeKept = field + `disk.size (default 10Gi) can grow, but not shrink, because volumes can't: write the old size back, or a larger one`
	tests := map[string]struct {
		before, after string // what spec has beside the least that an endpoint needs
		want          []string
	}{
		"from Disk to None":                         {before: `buffer: {type: Disk}`, after: `buffer: {type: None}`, want: []string{typeKept}},
		"from None to Disk":                         {before: `buffer: {type: None}`, after: `buffer: {type: Disk}`, want: []string{typeKept}},
		"from Disk to nothing said":                 {before: `buffer: {type: Disk}`, want: []string{typeKept}},
		"from nothing said to what is the default":  {after: `buffer: {type: Disk}`},
		"the class of the volumes":                  {before: `buffer: {disk: {storageClassName: a}}`, after: `buffer: {disk: {storageClassName: b}}`, want: []string{classKept}},
		"the class of the volumes, removed":         {before: `buffer: {disk: {storageClassName: a}}`, after: `buffer: {disk: {}}`, want: []string{classKept}},
		"the class with all of disk":                {before: `buffer: {disk: {storageClassName: a}}`, want: []string{classKept}},
		"a class where volumes wait for one":        {after: `buffer: {disk: {storageClassName: a}}`},
		"a smaller size":                            {before: `buffer: {disk: {size: 20Gi}}`, after: `buffer: {disk: {size: 19.9Gi}}`, want: []string{sizeKept}},
		"a size smaller than the default":           {after: `buffer: {disk: {size: 9Gi}}`, want: []string{sizeKept}},
		"a size above the default, removed":         {before: `buffer: {disk: {size: 20Gi}}`, want: []string{sizeKept}},
		"a size below the default, removed: growth": {before: `buffer: {disk: {size: 5Gi}}`},
		"a larger size":                             {before: `buffer: {disk: {size: 1Gi}}`, after: `buffer: {disk: {size: 1.5Gi}}`},
		"a larger size than the default":            {after: `buffer: {disk: {size: 11Gi}}`},
		"the same size in other words":              {before: `buffer: {disk: {size: 1Gi}}`, after: `buffer: {disk: {size: 1024Mi}}`},
		"what happens to the volumes":               {before: `buffer: {disk: {whenDeleted: Retain}}`, after: `buffer: {disk: {whenDeleted: Delete}}`},
		"everything else": {
			before: `exposure: {host: a, ingress: {}}`,
			after:  tencent + "exposure: {host: b, path: /c}\nreceiver: {replicas: 1}\ndelivery: {suspend: true}\nbuffer: {retention: 0s}",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before := endpoint(t, api.Namespace(t, nil), tt.before)
			if err := strict().Create(t.Context(), before); err != nil {
				t.Fatal(err)
			}
			after := endpoint(t, before.GetNamespace(), tt.after)
			after.SetResourceVersion(before.GetResourceVersion())
			err := strict().Update(t.Context(), after, client.DryRunAll)
			if diff := cmp.Diff(tt.want, refusals(t, err)); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
}
