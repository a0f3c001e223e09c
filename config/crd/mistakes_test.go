package crd_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMistakes applies what people write wrongly on the first day. Each testdata/mistakes/NAME.yaml has one mistake; NAME.kubectl is what
// kubectl apply says of it, and NAME.run what hookbay run does, which controllers/local tests.
func TestMistakes(t *testing.T) {
	inputs, err := filepath.Glob("testdata/mistakes/*.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no input in testdata/mistakes: %v", err)
	}
	namespace := api.Namespace(t, nil)
	for _, input := range inputs {
		t.Run(filepath.Base(input), func(t *testing.T) {
			manifest, err := os.ReadFile(input)
			if err != nil {
				t.Fatal(err)
			}
			stdout, got, err := api.Kubectl(t, string(manifest), "apply", "-n", namespace, "-f", "-")
			if err == nil {
				t.Fatalf("it is no mistake: %s", stdout)
			}
			golden := strings.TrimSuffix(input, ".yaml") + ".kubectl"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s differs (-want +got); if that is meant, run the test with -update:\n%s", golden, diff)
			}
		})
	}
}
