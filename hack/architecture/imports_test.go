package architecture

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// importRule says what the packages below a folder may import.
type importRule struct {
	// under is the folder the rule is about.
	under string
	// only, if given, are the trees that may be imported beside the standard library; never are trees that may not.
	only, never []string
	// testsToo, if given, may be imported by tests as well.
	testsToo []string
	why      string
}

var importRules = []importRule{{
	under: "receiver",
	never: []string{"k8s.io", "sigs.k8s.io", module + "/api", module + "/controllers"},
	why:   "the data plane knows nothing of Kubernetes: what it needs comes in receiver/config",
}, {
	under:    "receiver/event",
	only:     []string{},
	testsToo: []string{"github.com/google/go-cmp"},
	why:      "the type that all stages share depends on none of them",
}, {
	under: "receiver/config",
	never: []string{module + "/receiver/app", module + "/receiver/ingest", module + "/receiver/delivery", module + "/receiver/buffer", module + "/receiver/sources"},
	why:   "the contract with the control plane depends on no stage",
}, {
	under: "receiver/sources/",
	only: []string{
		module + "/receiver/source", module + "/receiver/event", module + "/receiver/config",
		"github.com/tidwall/gjson",
	},
	never:    []string{"net/http"},
	testsToo: []string{"github.com/google/go-cmp", "net/http"},
	why:      "a source knows one platform and nothing of servers, storage or delivery; those are the stages around it",
}, {
	under: "receiver/buffer",
	never: []string{
		module + "/receiver/ingest", module + "/receiver/delivery", module + "/receiver/sources", module + "/receiver/source",
		module + "/receiver/app", module + "/receiver/admin", "net/http",
	},
	why: "a buffer keeps events; where they come from and go to is not its business",
}, {
	under: "receiver/ingest",
	never: []string{module + "/receiver/delivery", module + "/receiver/buffer/", module + "/receiver/sources/", module + "/receiver/app"},
	why:   "ingest works with the contracts of sources and buffers, not with any one of them",
}, {
	under: "receiver/delivery",
	never: []string{module + "/receiver/ingest", module + "/receiver/buffer/", module + "/receiver/sources", module + "/receiver/source", module + "/receiver/app"},
	why:   "delivery works with the buffer's contract and knows no platform",
}, {
	under: "api",
	only:  []string{"k8s.io/api", "k8s.io/apimachinery"},
	testsToo: []string{
		"github.com/google/go-cmp", "k8s.io/apiextensions-apiserver", "k8s.io/apiserver", "sigs.k8s.io/yaml", "sigs.k8s.io/randfill",
	},
	why: "other programs import the API types: they must not get our dependencies with them",
}, {
	under: "controllers/manifests",
	never: []string{"sigs.k8s.io/controller-runtime/pkg/client", "k8s.io/client-go", module + "/controllers/apply"},
	why:   "children are pure functions of the spec: no client, no clock, no context",
}, {
	under:    "controllers",
	never:    []string{module + "/controllers/apitest"},
	testsToo: []string{module + "/controllers/apitest"},
	why:      "it is for tests only: no program links an API server's test environment",
}}

func TestImports(t *testing.T) {
	for _, f := range files(t) {
		for _, rule := range importRules {
			if matches(f.dir, rule.under) {
				for _, p := range f.imports() {
					if !rule.allows(p, f) {
						t.Errorf("%s imports %q: %s", f.path, p, rule.why)
					}
				}
			}
		}
	}
}

func (r importRule) allows(p string, f file) bool {
	if f.test {
		for _, tree := range append([]string{module + "/" + f.dir}, r.testsToo...) {
			if matches(p, tree) {
				return true
			}
		}
		// A contract's tests may run its engines: the outside test package is no part of what others link.
		if strings.HasSuffix(f.ast.Name.Name, "_test") && !strings.Contains(p, "k8s.io") {
			return true
		}
	}
	for _, tree := range r.never {
		if matches(p, tree) {
			return false
		}
	}
	if r.only == nil || !strings.Contains(strings.SplitN(p, "/", 2)[0], ".") {
		return true
	}
	for _, tree := range r.only {
		if matches(p, tree) {
			return true
		}
	}
	return within(p, module+"/"+f.dir)
}

// matches is within, except that a tree that ends in a slash does not hold its own root.
func matches(p, tree string) bool {
	if strings.HasSuffix(tree, "/") {
		return strings.HasPrefix(p, tree)
	}
	return within(p, tree)
}

// TestReceiverLinksNoKubernetes looks through all dependencies of the receiver binary, not only the direct ones.
func TestReceiverLinksNoKubernetes(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "./receiver/...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	for p := range strings.FieldsSeq(string(out)) {
		for _, tree := range []string{"k8s.io", "sigs.k8s.io", module + "/api", module + "/controllers"} {
			if within(p, tree) {
				t.Errorf("a package of the receiver links %s; find out which with: go mod why -m, or go list -deps on each package", p)
			}
		}
	}
}
