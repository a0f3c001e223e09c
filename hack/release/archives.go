package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// programs are what every archive holds, and an image each.
var programs = []string{"hookbay", "receiver"}

// papers go with the programs, beside the licenses of what is linked into them.
var papers = []string{"LICENSE", "README.md", "CHANGELOG.md"}

func makeArchives(args []string) error {
	var o options
	flags := flag.NewFlagSet("archives", flag.ContinueOnError)
	if err := o.parse(flags, args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("say which directories of programs to make archives of")
	}
	for _, dir := range flags.Args() {
		d, err := distributionIn(dir)
		if err != nil {
			return err
		}
		if err := d.write(context.Background(), o); err != nil {
			return fmt.Errorf("make the archive of %s: %w", dir, err)
		}
	}
	return nil
}

// distribution is what is handed out for one platform.
type distribution struct {
	v1.Platform
	// dir holds the programs.
	dir string
}

func distributionIn(dir string) (distribution, error) {
	goos, goarch, ok := strings.Cut(filepath.Base(dir), "_")
	if !ok {
		return distribution{}, fmt.Errorf("%s must be called OS_ARCH, as linux_amd64", dir)
	}
	return distribution{dir: dir, Platform: v1.Platform{OS: goos, Architecture: goarch}}, nil
}

func (d distribution) write(ctx context.Context, o options) error {
	linked, err := d.linked()
	if err != nil {
		return err
	}
	licenses, err := licensesOf(ctx, linked)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("hookbay_%s_%s_%s", o.version, d.OS, d.Architecture)
	extension, archive := ".tar.gz", func(w io.Writer, date time.Time, e []entry) error { return writeTar(w, date, e) }
	if d.OS == "windows" {
		extension, archive = ".zip", writeZip
	}
	entries := d.entries(name, licenses)
	if err := writeFile(filepath.Join(o.out, name+extension), func(f *os.File) error { return archive(f, o.date, entries) }); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(o.out, name+".cdx.json"), func(f *os.File) error { return writeSBOM(f, o.stamp, linked) }); err != nil {
		return err
	}
	if d.OS != "linux" {
		return nil
	}
	for _, program := range programs {
		path := filepath.Join(o.out, fmt.Sprintf("%s-image_%s_%s_%s.tar", program, o.version, d.OS, d.Architecture))
		if err := (image{name: program, program: d.path(program)}).write(path, o); err != nil {
			return err
		}
	}
	return nil
}

// file is what a program is called on the platform.
func (d distribution) file(program string) string {
	if d.OS == "windows" {
		return program + ".exe"
	}
	return program
}

func (d distribution) path(program string) string { return filepath.Join(d.dir, d.file(program)) }

// entries are in a folder of their own, so that unpacking overwrites nothing.
func (d distribution) entries(folder string, licenses []byte) []entry {
	var all []entry
	for _, p := range programs {
		all = append(all, entry{name: folder + "/" + d.file(p), path: d.path(p), program: true})
	}
	for _, p := range papers {
		all = append(all, entry{name: folder + "/" + p, path: p})
	}
	return append(all, entry{name: folder + "/THIRD_PARTY_LICENSES", content: licenses})
}

// linked reads what each program was built from, out of the program.
func (d distribution) linked() ([]program, error) {
	var all []program
	for _, name := range programs {
		p, err := readProgram(name, d.path(name))
		if err != nil {
			return nil, err
		}
		if p.platform() != d.OS+"/"+d.Architecture {
			return nil, fmt.Errorf("%s was built for %s", d.path(name), p.platform())
		}
		all = append(all, p)
	}
	return all, nil
}
