//go:build unix

package config

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Where a file should be there may be anything. Nothing may make Load wait, or read without end.
func TestFiles_Load_specialFiles(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(syscall.Mkfifo(at("pipe"), 0o600), os.Symlink("/dev/zero", at("endless")), os.Symlink("pipe", at("to-pipe")),
		os.Symlink("loop", at("loop"))); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir) // the names of sockets are short
	socket, err := net.Listen("unix", "listens")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close() //nolint:errcheck // Nothing is lost.
	if err := os.Symlink("listens", at("socket")); err != nil {
		t.Fatal(err)
	}
	// A file of a terabyte, of which nothing is on the disk.
	huge, err := os.Create(at("huge"))
	if err == nil {
		err = errors.Join(huge.Truncate(1<<40), huge.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	good := newVolume(t, map[string]string{"config.json": naming("secret"), "secret": "x"})

	for _, name := range []string{"pipe", "endless", "to-pipe", "loop", "socket", "huge"} {
		want := "is not a regular file"
		switch name {
		case "loop":
			want = "too many"
		case "huge":
			want = "arger than "
		}
		t.Run("config: "+name, func(t *testing.T) {
			if _, err := (Files{Config: at(name), SecretsDir: good.dir}).Load(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error is %v, want %q", err, want)
			}
		})
		t.Run("revision: "+name, func(t *testing.T) {
			want := want
			if name == "huge" {
				want = "write one line of at most 256 bytes"
			}
			f := Files{Config: filepath.Join(good.dir, "config.json"), SecretsDir: good.dir, Revision: at(name)}
			if _, err := f.Load(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error is %v, want %q", err, want)
			}
		})
		t.Run("secret: "+name, func(t *testing.T) {
			document := filepath.Join(t.TempDir(), "config.json")
			if err := os.WriteFile(document, []byte(naming(name)), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := Files{Config: document, SecretsDir: dir}.Load()
			if err != nil {
				t.Fatal(err)
			}
			why := got.Unreadable[SecretFile(name)]
			if name == "endless" || name == "loop" { // links out of the directory, or nowhere
				want = "secret file "
			}
			if !strings.Contains(why, want) || len(got.Secrets) > 0 {
				t.Errorf("%q is wrong with it, want %q", why, want)
			}
		})
	}
	t.Run("secrets directory: pipe", func(t *testing.T) {
		got, err := Files{Config: filepath.Join(good.dir, "config.json"), SecretsDir: at("pipe")}.Load()
		if why := got.Unreadable["secret"]; err != nil || !strings.Contains(why, "is not a directory") {
			t.Errorf("%q is wrong with it, error %v, want that it is no directory", why, err)
		}
	})
}

// swapped gives a pipe its name between the look at it and its opening.
type swapped struct {
	anywhere
	to string
}

func (s swapped) OpenFile(_ string, flag int, perm os.FileMode) (*os.File, error) {
	return s.anywhere.OpenFile(s.to, flag, perm)
}

func TestReadFile_swapped(t *testing.T) {
	file, pipe := filepath.Join(t.TempDir(), "file"), filepath.Join(t.TempDir(), "pipe")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := readFile(swapped{to: pipe}, file, 1); !errors.Is(err, ErrNotRegular) {
		t.Errorf("error is %v, want %v", err, ErrNotRegular)
	}
}
