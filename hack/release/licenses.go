package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// licenseFile is what modules call the files that say under which terms they are given.
var licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|copyright)`)

// licensesOf collects the license texts of all that is linked into the programs: nearly every one asks that it goes with the program.
func licensesOf(ctx context.Context, programs []program) ([]byte, error) {
	linked := map[string]bool{}
	for _, p := range programs {
		for id := range p.modules() {
			linked[id] = true
		}
	}
	ids := slices.Sorted(maps.Keys(linked))
	dirs, err := moduleDirs(ctx, ids)
	if err != nil {
		return nil, err
	}
	goroot, err := goCommand(ctx, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString("Hookbay's programs hold code of these modules. Each is followed by its license, and by those of what it holds itself.\n")
	if err := appendTexts(&out, "Go's standard library", strings.TrimSpace(string(goroot)), false); err != nil {
		return nil, err
	}
	for _, id := range ids {
		if err := appendTexts(&out, id, dirs[id], true); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// appendTexts writes the license files of a folder, and of the folders below it if deep.
func appendTexts(out *bytes.Buffer, title, dir string, deep bool) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", title, err)
	}
	defer func() { _ = root.Close() }() // only read
	found := false
	err = fs.WalkDir(root.FS(), ".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != "." && (!deep || e.Name() == "testdata"):
			return fs.SkipDir
		case !e.Type().IsRegular() || !licenseFile.MatchString(e.Name()) || strings.HasSuffix(path, ".go"):
			return nil
		}
		text, err := root.ReadFile(path)
		found = true
		fmt.Fprintf(out, "\n%[1]s\n%[2]s, %[3]s\n%[1]s\n\n%[4]s\n", strings.Repeat("=", 100), title, path, bytes.TrimSpace(text))
		return err
	})
	if err == nil && !found {
		err = errors.New("there is no license in it: it may not be given to others; ask its authors, or do without it")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", title, err)
	}
	return nil
}

// moduleDirs tells where the modules' sources are on this machine, each of which the go command compares with its sum in go.sum.
func moduleDirs(ctx context.Context, ids []string) (map[string]string, error) {
	out, err := goCommand(ctx, append([]string{"mod", "download", "-json"}, ids...)...)
	if err != nil {
		return nil, err
	}
	dirs := map[string]string{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var m struct{ Path, Version, Dir string }
		switch err := decoder.Decode(&m); {
		case errors.Is(err, io.EOF):
			return dirs, nil
		case err != nil:
			return nil, fmt.Errorf("read what go mod download says: %w", err)
		}
		dirs[m.Path+"@"+m.Version] = m.Dir
	}
}

func goCommand(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the arguments are modules that were built already
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w", args[0], err)
	}
	return out, nil
}
