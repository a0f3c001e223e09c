package architecture

import (
	"fmt"
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// topLevel is the architecture page of the repository; dot-files and what .gitignore names come on top.
var topLevel = []string{
	"api", "controllers", "receiver", "config", "charts", "hack", "docs",
	"main.go", "go.mod", "go.sum", "Makefile", "Dockerfile", "PROJECT",
	"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE",
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || name == "bin" || name == "dist" || slices.Contains(topLevel, name) {
			continue
		}
		t.Errorf("%s at the top level: the folders there are the architecture; put it below one of %v", name, topLevel[:7])
	}
}

// TestPackages checks the name, the depth and the doc comment of each package.
func TestPackages(t *testing.T) {
	docs := map[string][]string{}
	packages := map[string]string{}
	for _, f := range files(t) {
		name := f.ast.Name.Name
		if strings.HasSuffix(name, "_test") && f.test {
			continue
		}
		packages[f.dir] = name
		if f.ast.Doc != nil && strings.TrimSpace(f.ast.Doc.Text()) != "" {
			docs[f.dir] = append(docs[f.dir], f.path)
		}
	}
	forbidden := []string{"util", "utils", "common", "helper", "helpers", "types", "base", "misc"}
	for dir, name := range packages {
		switch n := len(docs[dir]); {
		case n == 0:
			t.Errorf("package %s has no doc comment: say in one file what it is for", dir)
		case n > 1:
			t.Errorf("package %s has %d doc comments (%s): keep one", dir, n, strings.Join(docs[dir], ", "))
		}
		if slices.Contains(forbidden, name) || slices.Contains(forbidden, path.Base(dir)) {
			t.Errorf("package %s: the name says nothing; name it after what it provides", dir)
		}
		if strings.Count(dir, "/") > 2 {
			t.Errorf("package %s is more than three folders deep: move it up", dir)
		}
	}
}

// TestSources checks that each source is a whole: documented, recorded, simulated, fuzzed, conformant and listed.
func TestSources(t *testing.T) {
	list, err := os.ReadFile(filepath.Join(root, "receiver", "sources", "sources.go"))
	if err != nil {
		t.Fatal(err)
	}
	all := files(t)
	for _, dir := range below(t, "receiver/sources") {
		for name, why := range map[string]string{
			"README.md":    "says how the platform signs, what it sends and what it wants to hear, with sources",
			"testdata":     "holds recorded callbacks",
			"simulator.go": "plays the platform for hookbay send and for the tests",
		} {
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(dir), name)); err != nil {
				t.Errorf("%s has no %s, which %s", dir, name, why)
			}
		}
		if !strings.Contains(string(list), fmt.Sprintf("%q", module+"/"+dir)) {
			t.Errorf("%s is not in the list in receiver/sources/sources.go", dir)
		}
		if !hasTest(all, dir, func(f file) bool { return imports(f, module+"/receiver/source/sourcetest") }) {
			t.Errorf("%s does not run the conformance suite: call receiver/source/sourcetest in a test", dir)
		}
		if !hasTest(all, dir, declaresFuzz) {
			t.Errorf("%s has no fuzz target: its input comes from the internet", dir)
		}
	}
}

// TestEngines checks that each buffer engine runs the suite that states the contract.
func TestEngines(t *testing.T) {
	all := files(t)
	for _, dir := range below(t, "receiver/buffer") {
		if path.Base(dir) == "buffertest" {
			continue
		}
		if !hasTest(all, dir, func(f file) bool { return imports(f, module+"/receiver/buffer/buffertest") }) {
			t.Errorf("%s does not run the conformance suite: call receiver/buffer/buffertest in a test", dir)
		}
	}
}

func hasTest(all []file, dir string, is func(file) bool) bool {
	return slices.ContainsFunc(all, func(f file) bool { return f.test && f.dir == dir && is(f) })
}

func imports(f file, p string) bool { return slices.Contains(f.imports(), p) }

func declaresFuzz(f file) bool {
	return slices.ContainsFunc(f.ast.Decls, func(d ast.Decl) bool {
		fn, ok := d.(*ast.FuncDecl)
		return ok && strings.HasPrefix(fn.Name.Name, "Fuzz")
	})
}
