package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"io"
	"maps"
	"net/url"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// program is one that was built, and what the linker noted in it.
type program struct {
	name   string
	sha256 string
	info   *debug.BuildInfo
}

func readProgram(name, path string) (program, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return program{}, err
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return program{}, err
	}
	sum := sha256.Sum256(content)
	return program{name: name, sha256: hex.EncodeToString(sum[:]), info: info}, nil
}

func (p program) platform() string { return p.setting("GOOS") + "/" + p.setting("GOARCH") }

func (p program) setting(key string) string {
	for _, s := range p.info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// modules are those that code was linked from, by "path@version"; Go's own library is not among them.
func (p program) modules() map[string]*debug.Module {
	all := map[string]*debug.Module{}
	for _, m := range p.info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		all[m.Path+"@"+m.Version] = m
	}
	return all
}

// writeSBOM writes a CycloneDX document of the programs. It names no license of a module, since nothing tells it for certain; their texts are in
// the archive. It has no serial number: that would be another in each build.
func writeSBOM(w io.Writer, s stamp, programs []program) error {
	bom := cdx.NewBOM()
	self := ownComponent("hookbay", s)
	self.BOMRef = "hookbay"
	bom.Metadata = &cdx.Metadata{
		Timestamp:  s.date.Format(time.RFC3339),
		Lifecycles: &[]cdx.Lifecycle{{Phase: cdx.LifecyclePhaseBuild}},
		Component:  &self,
	}
	components := map[string]cdx.Component{} // by reference
	dependencies := []cdx.Dependency{{Ref: self.BOMRef, Dependencies: &[]string{}}}
	for _, p := range programs {
		c := programComponent(p, s)
		components[c.BOMRef] = c
		*dependencies[0].Dependencies = append(*dependencies[0].Dependencies, c.BOMRef)
		standard := standardLibrary(p.info.GoVersion)
		components[standard.BOMRef] = standard
		refs := []string{standard.BOMRef}
		for _, m := range p.modules() {
			c := moduleComponent(m)
			components[c.BOMRef] = c
			refs = append(refs, c.BOMRef)
		}
		slices.Sort(refs)
		dependencies = append(dependencies, cdx.Dependency{Ref: c.BOMRef, Dependencies: &refs})
	}
	sorted := make([]cdx.Component, 0, len(components))
	for _, ref := range slices.Sorted(maps.Keys(components)) {
		sorted = append(sorted, components[ref])
	}
	bom.Components, bom.Dependencies = &sorted, &dependencies
	return cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6)
}

func ownComponent(name string, s stamp) cdx.Component {
	return cdx.Component{
		Type: cdx.ComponentTypeApplication, Name: name, Version: s.version,
		Licenses: &cdx.Licenses{{License: &cdx.License{ID: license}}},
		ExternalReferences: &[]cdx.ExternalReference{
			{Type: cdx.ERTypeVCS, URL: repository, Comment: "commit " + s.commit},
		},
	}
}

func programComponent(p program, s stamp) cdx.Component {
	c := ownComponent(p.name, s)
	main := packageURL(p.info.Main.Path, s.version)
	if subpath := strings.TrimPrefix(p.info.Path, p.info.Main.Path); subpath != "" {
		main += "#" + strings.TrimPrefix(subpath, "/")
	}
	c.BOMRef, c.PackageURL = "program:"+p.name, main
	c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: p.sha256}}
	c.Properties = &[]cdx.Property{}
	for _, s := range p.info.Settings {
		*c.Properties = append(*c.Properties, cdx.Property{Name: "go:build:" + s.Key, Value: s.Value})
	}
	return c
}

// moduleComponent has the sum in a property: it is one over the names and sums of the module's files, not that of any one file.
func moduleComponent(m *debug.Module) cdx.Component {
	ref := packageURL(m.Path, m.Version)
	return cdx.Component{
		BOMRef: ref, PackageURL: ref, Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version,
		Properties: &[]cdx.Property{{Name: "go:sum", Value: m.Sum}},
	}
}

// standardLibrary is named as the databases of vulnerabilities name it.
func standardLibrary(goVersion string) cdx.Component {
	version, _, _ := strings.Cut(strings.TrimPrefix(goVersion, "go"), " ") // after a space are experiments
	ref := packageURL("stdlib", version)
	return cdx.Component{BOMRef: ref, PackageURL: ref, Type: cdx.ComponentTypeLibrary, Name: "stdlib", Version: version}
}

func packageURL(path, version string) string {
	return "pkg:golang/" + path + "@" + url.QueryEscape(version)
}
