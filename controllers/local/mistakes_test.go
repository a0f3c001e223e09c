package local

import (
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestLoad_mistakes loads the manifests that config/crd has the API server refuse: what hookbay run says of them stands beside what kubectl says.
func TestLoad_mistakes(t *testing.T) {
	t.Chdir("../../config/crd/testdata/mistakes")
	inputs, err := filepath.Glob("*.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no input in config/crd/testdata/mistakes: %v", err)
	}
	d, err := sharedDefinition()
	if err != nil {
		t.Fatal(err)
	}
	for _, input := range inputs {
		t.Run(input, func(t *testing.T) {
			_, err := newLoader([]string{input}, strings.NewReader(""), slog.New(slog.DiscardHandler), d).Load(t.Context())
			if err == nil {
				t.Fatal("it is no mistake")
			}
			got := err.Error() + "\n"
			golden := strings.TrimSuffix(input, ".yaml") + ".run"
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
