package architecture

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const (
	module = "github.com/hookbay/hookbay"
	root   = "../.."
)

// file is one Go file of the module.
type file struct {
	path      string // from the module's root, with slashes
	dir       string
	test      bool
	generated bool
	lines     int
	fset      *token.FileSet
	ast       *ast.File
}

// imports lists the import paths of the file.
func (f *file) imports() []string {
	paths := make([]string, 0, len(f.ast.Imports))
	for _, s := range f.ast.Imports {
		paths = append(paths, strings.Trim(s.Path.Value, `"`))
	}
	return paths
}

// line is where a node begins.
func (f *file) line(n ast.Node) int { return f.fset.Position(n.Pos()).Line }

// length is how many lines a node takes.
func (f *file) length(n ast.Node) int { return f.fset.Position(n.End()).Line - f.line(n) + 1 }

// files parses every Go file of the main module.
func files(t *testing.T) []file {
	t.Helper()
	var found []file
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || rel == "bin") {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		f, err := parse(name, filepath.ToSlash(rel))
		found = append(found, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func parse(name, rel string) (file, error) {
	src, err := os.ReadFile(name)
	if err != nil {
		return file{}, err
	}
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, rel, src, parser.ParseComments)
	if err != nil {
		return file{}, err
	}
	return file{
		path:      rel,
		dir:       path.Dir(rel),
		test:      strings.HasSuffix(rel, "_test.go"),
		generated: ast.IsGenerated(tree),
		lines:     bytes.Count(src, []byte("\n")),
		fset:      fset,
		ast:       tree,
	}, nil
}

// within reports whether an import path or folder is tree or below it.
func within(name, tree string) bool {
	return name == tree || strings.HasPrefix(name, tree+"/")
}

// below lists the folders directly below a folder of the module; none if it does not exist.
func below(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(root, filepath.FromSlash(dir)))
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != "testdata" {
			dirs = append(dirs, path.Join(dir, e.Name()))
		}
	}
	return dirs
}
