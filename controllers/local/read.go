package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// manifest is one object as it was written.
type manifest struct {
	// where is the file and the document in it, such as "shop.yaml: document 2".
	where string
	// file is the file's name.
	file string
	// content is the object; integers are int64.
	content map[string]any
}

// text returns a top-level field that should be a string.
func (m *manifest) text(field string) string {
	s, _ := m.content[field].(string) // What is no string is as good as missing.
	return s
}

// empty says whether a file holds nothing but white space: somebody is about to write it, or lost what was in it. In neither case are
// the objects in it meant to go.
func (f *file) empty() bool {
	return len(bytes.TrimSpace(bytes.TrimPrefix(f.data, byteOrderMark))) == 0
}

var byteOrderMark = []byte("\ufeff")

func emptyError(name string) error {
	if name == "-" {
		return errors.New("standard input is empty: write manifests to it, or leave out -f -")
	}
	return fmt.Errorf("%s is empty: write the manifest into it, or remove the file", name)
}

// manifestFiles returns path itself, or the manifests in it if it is a directory, in lexical order. Hidden files and directories
// are left out: they hold what tools and editors keep there, and the versions of a mounted ConfigMap.
func manifestFiles(path string) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such file or directory: name the manifests, or the directory that holds them", path)
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != path && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case strings.HasPrefix(d.Name(), "."):
			return nil
		case !d.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)):
			files = append(files, name)
		}
		return nil
	})
	return files, err
}

// documentSeparator is the line between two YAML documents, as kubectl understands it.
var documentSeparator = regexp.MustCompile(`(?m)^---([ \t].*)?\r?$`)

// parse splits a file into its documents and reads each. Every document keeps its lines, so that errors name those of the file.
func parse(f file) ([]manifest, error) {
	var all []manifest
	var problems []error
	data := bytes.TrimPrefix(f.data, byteOrderMark)
	starts := [][]int{{0, 0}}
	starts = append(starts, documentSeparator.FindAllIndex(data, -1)...)
	number := 0
	for i, start := range starts {
		end := len(data)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		document := data[start[1]:end]
		if blank(document) {
			continue
		}
		number++
		where := fmt.Sprintf("%s: document %d", f.name, number)
		lines := bytes.Repeat([]byte("\n"), bytes.Count(data[:start[1]], []byte("\n")))
		value, err := decode(append(lines, document...))
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", where, err))
			continue
		}
		if _, isObject := value.(map[string]any); !isObject && f.searched && filepath.Ext(f.name) == ".json" {
			continue // JSON of anybody's
		}
		first := len(all)
		all, err = unfold(all, where, value)
		problems = append(problems, err)
		for i := range all[first:] {
			all[first+i].file = f.name
		}
	}
	return all, errors.Join(problems...)
}

// blank says whether a document has nothing but comments and white space.
func blank(document []byte) bool {
	for line := range bytes.Lines(document) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// decode reads one YAML or JSON document as kubectl does, but takes no field twice.
func decode(document []byte) (any, error) {
	data, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return nil, errors.New(yamlProblem(err))
	}
	var value any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &value); err != nil {
		return nil, err
	}
	return value, nil
}

// quoted is what an error of the parser quotes of the document, which can be a secret that looks like an anchor or a tag.
var quoted = regexp.MustCompile("'[^']*'|`[^`]*`")

var repeatedKey = regexp.MustCompile(`line (\d+): key (".*?") already set in map`)

// yamlProblem says in one line what is wrong, without quoting the document: it may hold a secret.
func yamlProblem(err error) string {
	if m := repeatedKey.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Sprintf("line %s: field %s is given twice: keep one", m[1], m[2])
	}
	text := quoted.ReplaceAllString(strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " "), "…")
	if strings.Contains(text, "tab character") || strings.Contains(text, "cannot start any token") || strings.Contains(text, "…") {
		text += ": indent with spaces, and put values that begin with a special character in quotes"
	}
	return "not YAML: " + text
}

// unfold appends the object, or the objects of a list.
func unfold(all []manifest, where string, value any) ([]manifest, error) {
	content, ok := value.(map[string]any)
	if !ok {
		if value == nil {
			return all, nil
		}
		return all, fmt.Errorf("%s: not an object: begin it with apiVersion and kind", where)
	}
	m := manifest{where: where, content: content}
	items, isList := content["items"].([]any)
	if !isList || !strings.HasSuffix(m.text("kind"), "List") {
		return append(all, m), nil
	}
	var problems []error
	for i, item := range items {
		var err error
		all, err = unfold(all, fmt.Sprintf("%s, items[%d]", where, i), item)
		problems = append(problems, err)
	}
	return all, errors.Join(problems...)
}

// onlyLists says whether this is a kustomization that does nothing but name files beside it. What any other makes of them is lost
// here, which should be said.
func (m *manifest) onlyLists() bool {
	if m.text("kind") != "Kustomization" {
		return false
	}
	for field, value := range m.content {
		switch field {
		case "apiVersion", "kind", "metadata":
		case "resources":
			names, _ := value.([]any) // What is no list is not understood by kustomize either.
			for _, n := range names {
				if name, ok := n.(string); !ok || !filepath.IsLocal(name) {
					return false
				}
			}
		default:
			return false
		}
	}
	return true
}

// encode is the way back from content to JSON.
func (m *manifest) encode() ([]byte, error) { return json.Marshal(m.content) }
