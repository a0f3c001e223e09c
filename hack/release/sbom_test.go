package main

import (
	"bytes"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
)

// readSelf reads this test, which is a program with modules in it.
func readSelf(t *testing.T) program {
	t.Helper()
	self, err := readProgram("release", os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	return self
}

func TestSBOM(t *testing.T) {
	self := readSelf(t)
	nothing, err := readProgram("nothing", linuxProgram(t))
	if err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := writeSBOM(out, testStamp, []program{self, nothing}); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != second.String() {
		t.Error("the same programs made two documents")
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(&first, cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	if got, want := bom.Metadata.Timestamp, "2026-01-31T12:00:00Z"; got != want {
		t.Errorf("the time is %s, want the commit's, %s", got, want)
	}
	components := map[string]cdx.Component{}
	for _, c := range *bom.Components {
		components[c.BOMRef] = c
	}
	uses := map[string][]string{}
	for _, d := range *bom.Dependencies {
		uses[d.Ref] = *d.Dependencies
	}
	stdlib := "pkg:golang/stdlib@" + strings.Fields(strings.TrimPrefix(runtime.Version(), "go"))[0]
	if diff := cmp.Diff([]string{stdlib}, uses["program:nothing"]); diff != "" {
		t.Errorf("what the program without modules uses (-want +got):\n%s", diff)
	}
	want := []string{stdlib}
	for _, m := range self.info.Deps {
		want = append(want, "pkg:golang/"+m.Path+"@"+strings.ReplaceAll(m.Version, "+", "%2B"))
	}
	if len(want) < 3 {
		t.Fatalf("this test is linked of %v only", want)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, uses["program:release"]); diff != "" {
		t.Errorf("what this test uses (-want +got):\n%s", diff)
	}
	refs := slices.Sorted(maps.Keys(components))
	for _, ref := range append(want, "program:release", "program:nothing") {
		if !slices.Contains(refs, ref) {
			t.Errorf("%s is no component", ref)
		}
	}
	program := components["program:nothing"]
	if program.PackageURL != "pkg:golang/example.com/nothing@v1.2.3" || (*program.Hashes)[0].Value != nothing.sha256 {
		t.Errorf("the program is %+v", program)
	}
}

func TestLicenses(t *testing.T) {
	self := readSelf(t)
	text, err := licensesOf(t.Context(), []program{self})
	if err != nil {
		t.Fatal(err)
	}
	for id := range self.modules() {
		if !strings.Contains(string(text), "\n"+id+", ") {
			t.Errorf("there is no license of %s", id)
		}
	}
	for _, want := range []string{"Go's standard library, LICENSE", "Copyright 2009 The Go Authors", "Apache License"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in it", want)
		}
	}
}

func TestLicenses_ModuleWithoutAny(t *testing.T) {
	var out bytes.Buffer
	if err := appendTexts(&out, "example.com/nothing@v1.0.0", t.TempDir(), true); err == nil {
		t.Error("a module without a license is taken")
	}
}
