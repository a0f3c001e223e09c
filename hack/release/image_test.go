package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func imagesArgs(out string, more ...string) []string {
	return append([]string{
		"images", "-version", testStamp.version, "-commit", testStamp.commit, "-date", testStamp.date.Format(time.RFC3339), "-out", out,
	}, more...)
}

func TestImages(t *testing.T) {
	program, out := linuxProgram(t), t.TempDir()
	if err := run(imagesArgs(out, "-image", "receiver="+program, "-image", "e2e="+program)); err != nil {
		t.Fatal(err)
	}
	for _, image := range []string{"receiver", "e2e"} {
		t.Run(image, func(t *testing.T) {
			tag, err := name.NewTag("ghcr.io/hookbay/" + image + ":v1.2.3")
			if err != nil {
				t.Fatal(err)
			}
			img, err := tarball.ImageFromPath(filepath.Join(out, image+".tar"), &tag)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Image(img); err != nil {
				t.Error(err)
			}
			config, err := img.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := config.OS+"/"+config.Architecture, "linux/"+runtime.GOARCH; got != want {
				t.Errorf("the platform is %s, want %s", got, want)
			}
			if !config.Created.Equal(testStamp.date) {
				t.Errorf("created is %v, want %v", config.Created, testStamp.date)
			}
			if got, want := config.Config.User, "65532:65532"; got != want {
				t.Errorf("the user is %s, want %s", got, want)
			}
			if diff := cmp.Diff([]string{"/" + image}, config.Config.Entrypoint); diff != "" {
				t.Errorf("entrypoint (-want +got):\n%s", diff)
			}
			wantLabels := map[string]string{
				"org.opencontainers.image.title":    image,
				"org.opencontainers.image.source":   "https://github.com/hookbay/hookbay",
				"org.opencontainers.image.version":  "v1.2.3",
				"org.opencontainers.image.revision": "0123456789abcdef0123456789abcdef01234567",
				"org.opencontainers.image.created":  "2026-01-31T12:00:00Z",
				"org.opencontainers.image.licenses": "Apache-2.0",
			}
			if diff := cmp.Diff(wantLabels, config.Config.Labels); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
			layers, err := img.Layers()
			if err != nil || len(layers) != 1 {
				t.Fatalf("%d layers (%v), want one", len(layers), err)
			}
			layer, err := layers[0].Uncompressed()
			if err != nil {
				t.Fatal(err)
			}
			files := tar.NewReader(layer)
			header, err := files.Next()
			if err != nil {
				t.Fatal(err)
			}
			if header.Name != image || header.Mode != 0o755 || header.Uid != 0 || header.Gid != 0 || !header.ModTime.Equal(testStamp.date) {
				t.Errorf("the file is %+v, want %s, root's, 0755, of the commit's date", header, image)
			}
			if content, err := io.ReadAll(files); err != nil || !bytes.Equal(content, readFile(t, program)) {
				t.Errorf("the file's content is not the program's (%v)", err)
			}
			if header, err := files.Next(); err != io.EOF {
				t.Errorf("there is another file: %+v (%v)", header, err)
			}
		})
	}
}

// TestImages_AreReproducible: a copy of the program, with another mode, name and time, makes the same archive.
func TestImages_AreReproducible(t *testing.T) {
	program := linuxProgram(t)
	copied := filepath.Join(t.TempDir(), "copied")
	if err := os.WriteFile(copied, readFile(t, program), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(copied, time.Time{}, time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	var archives [2][]byte
	for i, path := range []string{program, copied} {
		out := t.TempDir()
		if err := run(imagesArgs(out, "-image", "receiver="+path)); err != nil {
			t.Fatal(err)
		}
		archives[i] = readFile(t, filepath.Join(out, "receiver.tar"))
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the archives differ")
	}
}

func TestImages_Refused(t *testing.T) {
	foreign := filepath.Join(t.TempDir(), "program.exe")
	buildProgram(t, foreign, "windows", runtime.GOARCH)
	text := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		args []string
		want string
	}{
		"a program of another system": {[]string{"-image", "hookbay=" + foreign}, "build it with GOOS=linux"},
		"no Go program":               {[]string{"-image", "hookbay=" + text}, "could not read Go build info"},
		"no program":                  {[]string{"-image", "hookbay"}, "write NAME=PROGRAM"},
		"no image":                    {nil, "say which images to make"},
		"no image, but arguments":     {[]string{"hookbay"}, `images takes flags only, not "hookbay"`},
		"no version":                  {[]string{"-version", ""}, "-version is empty"},
		"no date":                     {[]string{"-date", ""}, "-date must be the commit's date"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			out := t.TempDir()
			err := run(imagesArgs(out, tt.args...))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want something with %q", err, tt.want)
			}
			if files, err := os.ReadDir(out); err != nil || len(files) > 0 {
				t.Errorf("%v were left behind (%v)", files, err)
			}
		})
	}
}
