package architecture

import (
	"go/ast"
	"slices"
	"testing"
)

// withRoots are what is checked against the system's roots, unless it has others.
var withRoots = map[string]bool{"tls.Config": true, "http.DefaultTransport": true, "http.DefaultClient": true}

// TestWhoSpeaksTLSHasRoots: a receiver's image holds no certificates, so that a package of the data plane that begins TLS has to provide them.
func TestWhoSpeaksTLSHasRoots(t *testing.T) {
	provided, begins := map[string]bool{}, map[string]string{}
	for _, f := range files(t) {
		if f.test || !within(f.dir, "receiver") {
			continue
		}
		if slices.Contains(f.imports(), module+"/receiver/publicroots") {
			provided[f.dir] = true
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := s.X.(*ast.Ident); ok && withRoots[pkg.Name+"."+s.Sel.Name] {
					begins[f.path] = f.dir
				}
			}
			return true
		})
	}
	if len(begins) == 0 {
		t.Error("nobody begins TLS: this test looks for the wrong thing")
	}
	for path, dir := range begins {
		if !provided[dir] {
			t.Errorf("%s begins TLS, but its package does not use receiver/publicroots: in an image without certificates no public one would be trusted", path)
		}
	}
}
