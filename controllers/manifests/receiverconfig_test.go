package manifests

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/receiver/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Each testdata/receiverconfig/NAME.yaml is a list of WebhookEndpoints, and NAME.json what the receiver is told of them.
func TestReceiverConfig(t *testing.T) {
	inputs, err := filepath.Glob("testdata/receiverconfig/*.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no input in testdata/receiverconfig: %v", err)
	}
	for _, input := range inputs {
		t.Run(filepath.Base(input), func(t *testing.T) {
			got, err := json.MarshalIndent(ReceiverConfig(readEndpoints(t, input)), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			golden := input[:len(input)-len(".yaml")] + ".json"
			if *update {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs (-want +got); if that is meant, run the test with -update:\n%s", golden, cmp.Diff(string(want), string(got)))
			}
			if _, err := config.Parse(got); err != nil {
				t.Errorf("the receiver would refuse its configuration: %v", err)
			}
		})
	}
}

// The endpoint with everything set names each of its Secrets; the receiver must be told of exactly those files.
func TestSecretRefs_agreeWithReceiverConfig(t *testing.T) {
	endpoints := readEndpoints(t, "testdata/receiverconfig/everything.yaml")
	c := ReceiverConfig(endpoints)
	for i := range endpoints {
		var got []config.SecretFile
		for _, ref := range SecretRefs(&endpoints[i]) {
			got = append(got, SecretFile(endpoints[i].Namespace, ref.SecretKeyRef))
		}
		if diff := cmp.Diff(c.Endpoints[i].SecretFiles(), got); diff != "" {
			t.Errorf("%s: secret files (-config +refs):\n%s", endpoints[i].Name, diff)
		}
	}
}

func readEndpoints(t *testing.T, file string) []hookbayv1alpha1.WebhookEndpoint {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list hookbayv1alpha1.WebhookEndpointList
	if err := yaml.UnmarshalStrict(data, &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}
