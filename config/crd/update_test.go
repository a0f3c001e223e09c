package crd_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// TestUpdates changes endpoints that exist: what would leave stored events behind is refused.
func TestUpdates(t *testing.T) {
	const typeKept = `spec.buffer.type: Invalid value: buffer.type can't be changed, because stored events would be left behind: write the type that status.bufferType shows, and make another WebhookEndpoint with the new one`
	const classKept = `spec.buffer: Invalid value: buffer.disk.storageClassName can't be changed, because volumes can't: write the old one back, or make another WebhookEndpoint; if it was a mistake, delete this one and its claims (NAME-0, NAME-1, ...), which are kept, and make it anew`
	const sizeKept = `spec.buffer.disk.size: Invalid value: buffer.disk.size (default 10Gi) can grow, but not shrink, because volumes can't: write at least the size that status.diskSize shows`
	const streamKept = `spec.buffer: Invalid value: buffer.jetStream.stream can't be changed, because stored events would be left behind: write the old one back (or remove it, if there was none), or make another WebhookEndpoint; if nothing is stored yet, delete this one and make it anew`
	const storageKept = `spec.buffer: Invalid value: buffer.jetStream.storage (default File) can't be changed, because streams can't: write the old one back, or make another WebhookEndpoint`
	type status = hookbayv1alpha1.WebhookEndpointStatus
	none, disk := status{}, status{BufferType: hookbayv1alpha1.BufferDisk}
	volumes := func(size string) status { return status{BufferType: hookbayv1alpha1.BufferDisk, DiskSize: size} }
	tests := map[string]struct {
		before, after string // what spec has beside the least that an endpoint needs
		runs          status // what the controller has seen
		want          []string
	}{
		"from Disk to None":                         {before: `buffer: {type: Disk}`, after: `buffer: {type: None}`, runs: disk, want: []string{typeKept}},
		"from None to Disk":                         {before: `buffer: {type: None}`, after: `buffer: {type: Disk}`, runs: status{BufferType: hookbayv1alpha1.BufferNone}, want: []string{typeKept}},
		"from the default to another":               {after: `buffer: {type: None}`, runs: disk, want: []string{typeKept}},
		"from what does not run back to what does":  {before: `buffer: {type: None}`, after: `buffer: {type: Disk}`, runs: disk},
		"before anything runs":                      {before: `buffer: {type: None}`, after: `buffer: {type: Disk}`, runs: none},
		"from Disk to nothing said":                 {before: `buffer: {type: Disk}`, runs: disk},
		"from nothing said to what is the default":  {after: `buffer: {type: Disk}`, runs: disk},
		"the class of the volumes":                  {before: `buffer: {disk: {storageClassName: a}}`, after: `buffer: {disk: {storageClassName: b}}`, want: []string{classKept}},
		"the class of the volumes, removed":         {before: `buffer: {disk: {storageClassName: a}}`, after: `buffer: {disk: {}}`, want: []string{classKept}},
		"the class with all of disk":                {before: `buffer: {disk: {storageClassName: a}}`, want: []string{classKept}},
		"a class where volumes wait for one":        {after: `buffer: {disk: {storageClassName: a}}`},
		"a smaller size":                            {before: `buffer: {disk: {size: 20Gi}}`, after: `buffer: {disk: {size: 19.9Gi}}`, runs: volumes("20Gi"), want: []string{sizeKept}},
		"a size smaller than the default":           {after: `buffer: {disk: {size: 9Gi}}`, runs: volumes("10Gi"), want: []string{sizeKept}},
		"a size above the default, removed":         {before: `buffer: {disk: {size: 20Gi}}`, runs: volumes("20Gi"), want: []string{sizeKept}},
		"a size below the default, removed: growth": {before: `buffer: {disk: {size: 5Gi}}`, runs: volumes("5Gi")},
		"a size that could not be had, taken back":  {before: `buffer: {disk: {size: 20Gi}}`, after: `buffer: {disk: {size: 5Gi}}`, runs: volumes("5Gi")},
		"a smaller size, of volumes to come":        {before: `buffer: {disk: {size: 20Gi}}`, after: `buffer: {disk: {size: 5Gi}}`},
		"a larger size":                             {before: `buffer: {disk: {size: 1Gi}}`, after: `buffer: {disk: {size: 1.5Gi}}`, runs: volumes("1Gi")},
		"a larger size than the default":            {after: `buffer: {disk: {size: 11Gi}}`, runs: volumes("10Gi")},
		"the same size in other words":              {before: `buffer: {disk: {size: 1Gi}}`, after: `buffer: {disk: {size: 1024Mi}}`, runs: volumes("1Gi")},
		"anything beside a size that is too small":  {before: `buffer: {disk: {size: 1Gi}}`, after: "buffer: {disk: {size: 1Gi}}\nreceiver: {replicas: 1}", runs: volumes("5Gi")},
		"what happens to the volumes":               {before: `buffer: {disk: {whenDeleted: Retain}}`, after: `buffer: {disk: {whenDeleted: Delete}}`},
		"from Disk to JetStream":                    {before: `buffer: {type: Disk}`, after: `buffer: {type: JetStream}`, runs: disk, want: []string{typeKept}},
		"the stream":                                {before: stream(`stream: A`), after: stream(`stream: B`), want: []string{streamKept}},
		"the stream, removed":                       {before: stream(`stream: A`), after: stream(`urls: ["nats://n"]`), want: []string{streamKept}},
		"the stream with all of jetStream":          {before: stream(`stream: A`), after: `buffer: {type: JetStream}`, want: []string{streamKept}},
		"a stream where one was made":               {before: `buffer: {type: JetStream}`, after: stream(`stream: A`), want: []string{streamKept}},
		"from File to Memory":                       {before: stream(`replicas: 1`), after: stream(`storage: Memory`), want: []string{storageKept}},
		"the storage, removed":                      {before: stream(`storage: Memory`), after: `buffer: {type: JetStream}`, want: []string{storageKept}},
		"the storage that was the default, named":   {before: `buffer: {type: JetStream}`, after: stream(`storage: File`)},
		"the rest of a stream":                      {before: stream(`urls: ["nats://n"], replicas: 3`), after: stream(`urls: ["nats://m"], replicas: 1, maxBytes: 1Gi, maxAge: 48h, tokenRef: {name: a, key: b}`)},
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
			seen := &hookbayv1alpha1.WebhookEndpoint{}
			if err := api.Client.Get(t.Context(), client.ObjectKeyFromObject(before), seen); err != nil {
				t.Fatal(err)
			}
			seen.Status.BufferType, seen.Status.DiskSize = tt.runs.BufferType, tt.runs.DiskSize
			if err := api.Client.Status().Update(t.Context(), seen); err != nil {
				t.Fatalf("the controller can't say what it has seen: %v", err)
			}
			after := endpoint(t, before.GetNamespace(), tt.after)
			after.SetResourceVersion(seen.GetResourceVersion())
			err := strict().Update(t.Context(), after, client.DryRunAll)
			if diff := cmp.Diff(tt.want, refusals(t, err)); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
}
