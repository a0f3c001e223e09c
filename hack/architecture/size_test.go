package architecture

import (
	"go/ast"
	"go/token"
	"testing"
)

// The limits are far above the median: a file or function that reaches one holds two things.
const (
	maxFile     = 500
	maxTestFile = 800
	maxFunction = 80
	maxEntry    = 70 // ServeHTTP and Reconcile are where a reader starts
)

func TestSizes(t *testing.T) {
	for _, f := range files(t) {
		if f.generated {
			continue
		}
		limit := maxFile
		if f.test {
			limit = maxTestFile
		}
		if f.lines > limit {
			t.Errorf("%s has %d lines, more than %d: which two things does it hold?", f.path, f.lines, limit)
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			limit := maxFunction
			if name := fn.Name.Name; name == "ServeHTTP" || name == "Reconcile" {
				limit = maxEntry
			}
			n := f.length(fn)
			if f.test {
				n -= f.table(fn)
			}
			if n > limit {
				t.Errorf("%s:%d: %s has %d lines, more than %d: split it at its steps", f.path, f.line(fn), fn.Name.Name, n, limit)
			}
		}
	}
}

// table is the length of the longest literal in a function: a test's table of cases is no logic.
func (f *file) table(fn *ast.FuncDecl) int {
	longest := 0
	ast.Inspect(fn, func(n ast.Node) bool {
		if literal, ok := n.(*ast.CompositeLit); ok {
			longest = max(longest, f.length(literal))
		}
		return true
	})
	return longest
}

// TestExportedNamesAreDocumented: what a package offers is explained where it is declared, outside of main.
func TestExportedNamesAreDocumented(t *testing.T) {
	for _, f := range files(t) {
		if f.test || f.generated || f.ast.Name.Name == "main" {
			continue
		}
		for _, d := range f.ast.Decls {
			for _, name := range undocumented(d) {
				t.Errorf("%s:%d: %s has no doc comment: say what it means, its units, default and errors", f.path, f.line(name), name.Name)
			}
		}
	}
}

// undocumented lists the exported names of a declaration that no comment explains. In a group of constants or variables the
// group's comment is enough.
func undocumented(d ast.Decl) []*ast.Ident {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && receiverIsExported(d) {
			return []*ast.Ident{d.Name}
		}
	case *ast.GenDecl:
		var names []*ast.Ident
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Doc == nil && d.Doc == nil && s.Name.IsExported() {
					names = append(names, s.Name)
				}
			case *ast.ValueSpec:
				if s.Doc == nil && s.Comment == nil && d.Doc == nil && s.Names[0].IsExported() {
					names = append(names, s.Names[0])
				}
			}
		}
		if d.Tok != token.IMPORT {
			return names
		}
	}
	return nil
}

func receiverIsExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if index, ok := t.(*ast.IndexExpr); ok {
		t = index.X
	}
	id, ok := t.(*ast.Ident)
	return ok && id.IsExported()
}
