package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

const (
	// user owns nothing and has no name: files in volumes are the group's, by fsGroup.
	user       = "65532:65532"
	repository = "https://github.com/hookbay/hookbay"
	license    = "Apache-2.0"
)

// image holds one program and nothing else. The Dockerfile makes the same; a test compares them.
type image struct {
	name, program string
}

// write writes the archive that docker load, ctr images import and kind load image-archive take.
func (i image) write(path string, o options) error {
	img, err := i.build(o.stamp)
	if err != nil {
		return err
	}
	tag, err := name.NewTag(o.registry + "/" + i.name + ":" + o.version)
	if err != nil {
		return err
	}
	return writeFile(path, func(f *os.File) error { return tarball.Write(tag, img, f) })
}

func (i image) build(s stamp) (v1.Image, error) {
	platform, err := platformOf(i.program)
	if err != nil {
		return nil, err
	}
	layer, err := i.layer(s)
	if err != nil {
		return nil, err
	}
	img, err := mutate.Append(empty.Image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: s.date}, CreatedBy: "COPY " + i.name + " " + i.path()},
	})
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = platform.OS, platform.Architecture
	file.Created = v1.Time{Time: s.date}
	file.Config = i.config(s)
	return mutate.ConfigFile(img, file)
}

func (i image) path() string { return "/" + i.name }

// config is how the program is started and what it says of itself.
func (i image) config(s stamp) v1.Config {
	return v1.Config{
		User:       user,
		Entrypoint: []string{i.path()},
		WorkingDir: "/",
		Labels: map[string]string{
			"org.opencontainers.image.title":    i.name,
			"org.opencontainers.image.source":   repository,
			"org.opencontainers.image.version":  s.version,
			"org.opencontainers.image.revision": s.commit,
			"org.opencontainers.image.created":  s.date.Format("2006-01-02T15:04:05Z07:00"),
			"org.opencontainers.image.licenses": license,
		},
	}
}

// layer holds the program, whatever its file is called and whoever owns it.
func (i image) layer(s stamp) (v1.Layer, error) {
	program, err := os.ReadFile(i.program)
	if err != nil {
		return nil, err
	}
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	header := &tar.Header{Name: i.name, Mode: 0o755, Size: int64(len(program)), ModTime: s.date, Format: tar.FormatUSTAR}
	if err := w.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buffer.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithCompressionLevel(gzip.DefaultCompression), tarball.WithCompressedCaching)
}

// platformOf tells what a program was built for, and refuses one that cannot start in an image of its own.
func platformOf(program string) (v1.Platform, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return v1.Platform{}, err
	}
	var platform v1.Platform
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS":
			platform.OS = s.Value
		case "GOARCH":
			platform.Architecture = s.Value
		}
	}
	if platform.OS != "linux" {
		return platform, fmt.Errorf("%s is for %s: build it with GOOS=linux", program, platform.OS)
	}
	f, err := elf.Open(program)
	if err != nil {
		return platform, err
	}
	defer func() { _ = f.Close() }() // only read
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			loader, _ := io.ReadAll(p.Open())
			return platform, fmt.Errorf("%s needs %s, which the image does not hold: build it with CGO_ENABLED=0", program, strings.Trim(string(loader), "\x00"))
		}
	}
	return platform, nil
}
