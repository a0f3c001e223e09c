package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// unpacked is what an archive tells of a file.
type unpacked struct {
	Name, Content string
	Mode          int64
	Date          time.Time
}

var wantUnpacked = []unpacked{
	{"folder/program", "a program", 0o755, testStamp.date},
	{"folder/LICENSE", "a license", 0o644, testStamp.date},
	{"folder/OTHERS", "made up", 0o644, testStamp.date},
}

// entriesOf writes the files with a mode and a time that the archive must not take over.
func entriesOf(t *testing.T, mode os.FileMode, changed time.Time) []entry {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"program": "a program", "LICENSE": "a license"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, changed, changed); err != nil {
			t.Fatal(err)
		}
	}
	return []entry{
		{name: "folder/program", path: filepath.Join(dir, "program"), program: true},
		{name: "folder/LICENSE", path: filepath.Join(dir, "LICENSE")},
		{name: "folder/OTHERS", content: []byte("made up")},
	}
}

func TestArchives(t *testing.T) {
	tests := map[string]struct {
		write func(io.Writer, time.Time, []entry) error
		read  func(*testing.T, []byte) []unpacked
	}{
		"tar.gz": {writeTar, readTar},
		"zip":    {writeZip, readZip},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var first, second bytes.Buffer
			if err := tt.write(&first, testStamp.date, entriesOf(t, 0o600, time.Unix(1e9, 0))); err != nil {
				t.Fatal(err)
			}
			if err := tt.write(&second, testStamp.date, entriesOf(t, 0o755, time.Unix(2e9, 0))); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Error("another mode and time of the files make another archive")
			}
			if diff := cmp.Diff(wantUnpacked, tt.read(t, first.Bytes())); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			missing := []entry{{name: "none", path: filepath.Join(t.TempDir(), "none")}}
			if err := tt.write(io.Discard, testStamp.date, missing); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("with a file that is missing, the error is %v", err)
			}
		})
	}
}

func readTar(t *testing.T, archive []byte) (files []unpacked) {
	t.Helper()
	zipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "root" || h.Gname != "root" {
			t.Errorf("%s is %s's (%d) and %s's (%d), want root's", h.Name, h.Uname, h.Uid, h.Gname, h.Gid)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, unpacked{h.Name, string(content), h.Mode, h.ModTime.UTC()})
	}
}

func readZip(t *testing.T, archive []byte) (files []unpacked) {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.File {
		file, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(file)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, unpacked{f.Name, string(content), int64(f.Mode()), f.Modified.UTC()})
	}
	return files
}

func TestSums(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"b.tar": "hello\n", "a.tar": "", sumsFile: "of an earlier run\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := run([]string{"sums", dir}); err != nil {
		t.Fatal(err)
	}
	want := "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a.tar\n" +
		"5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03  b.tar\n"
	if diff := cmp.Diff(want, string(readFile(t, filepath.Join(dir, sumsFile)))); diff != "" {
		t.Errorf("sums (-want +got):\n%s", diff)
	}
}
