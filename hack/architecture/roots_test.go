package architecture

import (
	"go/ast"
	"slices"
	"testing"
)

// TestWhoSpeaksTLSHasRoots: a receiver's image holds no certificates, so a package of the data plane that begins TLS provides them.
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
			if literal, ok := n.(*ast.CompositeLit); ok && isTLSConfig(literal.Type) {
				begins[f.path] = f.dir
			}
			return true
		})
	}
	if len(begins) == 0 {
		t.Error("nobody makes a tls.Config: this test looks for the wrong thing")
	}
	for path, dir := range begins {
		if !provided[dir] {
			t.Errorf("%s makes a tls.Config, but nobody in its package calls publicroots.Provide: in an image without certificates no public one would be trusted", path)
		}
	}
}

func isTLSConfig(typ ast.Expr) bool {
	s, ok := typ.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := s.X.(*ast.Ident)
	return ok && pkg.Name == "tls" && s.Sel.Name == "Config"
}
