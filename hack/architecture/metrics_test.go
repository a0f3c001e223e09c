package architecture

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestMetricsAreDocumented compares docs/metrics.md with the names in the code, in both directions.
func TestMetricsAreDocumented(t *testing.T) {
	const page = "docs/metrics.md"
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		if documented[row[1]] {
			t.Errorf("%s has two rows for %s", page, row[1])
		}
		documented[row[1]] = true
	}
	name := regexp.MustCompile(`^hookbay_[a-z0-9_]+$`)
	registered := map[string]string{} // to where
	for _, f := range files(t) {
		if f.test || f.dir == "controllers/receivers" { // which only reads them
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if s, err := strconv.Unquote(l.Value); err == nil && name.MatchString(s) {
					registered[s] = f.path
				}
			}
			return true
		})
	}
	if len(registered) == 0 {
		t.Fatal("no metric was found in the code")
	}
	for metric, path := range registered {
		if !documented[metric] {
			t.Errorf("%s has the metric %s, which has no row in %s", path, metric, page)
		}
	}
	for metric := range documented {
		if strings.HasPrefix(metric, "hookbay_") && registered[metric] == "" {
			t.Errorf("%s has a row for %s, which is nowhere in the code", page, metric)
		}
	}
}
