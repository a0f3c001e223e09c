//go:build unix

package local

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Among the manifests of a directory there may be anything. Nothing of it may make Load wait, or read without end.
func TestLoad_specialFiles(t *testing.T) {
	tests := map[string]struct {
		make func(name string) error
		want string
	}{
		"a pipe":            {make: func(name string) error { return syscall.Mkfifo(name, 0o600) }, want: "x.yaml is not a regular file: remove it"},
		"an endless device": {make: func(name string) error { return os.Symlink("/dev/zero", name) }, want: "x.yaml is not a regular file: remove it"},
		"a terabyte": {
			make: func(name string) error {
				return errors.Join(os.WriteFile(name, nil, 0o600), os.Truncate(name, 1<<40))
			},
			want: "x.yaml holds more than 16 MiB: name a file of manifests",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "good.yaml"), lazadaYAML)
			if err := tt.make(filepath.Join(dir, "x.yaml")); err != nil {
				t.Fatal(err)
			}
			l, err := NewLoader([]string{dir}, nil, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			_, err = l.Load(t.Context())
			if _, ok := errors.AsType[*InvalidError](err); !ok || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
}

// A pipe that the user names is read, once.
func TestLoad_namedPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := NewLoader([]string{pipe}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(pipe, []byte(lazadaYAML), 0o600) }()
	for range 3 {
		got, err := l.Load(t.Context())
		if err != nil || len(got.Endpoints) != 1 {
			t.Fatalf("got %+v, error %v, want one endpoint", got, err)
		}
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

// What never comes to an end is refused when it is too large, and given up when the program is to stop.
func TestLoad_endlessStreams(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	silent, end := io.Pipe()
	t.Cleanup(func() { _ = end.Close() })
	stopped, stop := context.WithCancel(t.Context())
	stop()
	tests := map[string]struct {
		ctx   context.Context
		path  string
		stdin io.Reader
		want  string
	}{
		"an endless device, named":      {ctx: t.Context(), path: "/dev/zero", want: "/dev/zero holds more than 16 MiB"},
		"standard input without an end": {ctx: t.Context(), path: "-", stdin: zeros{}, want: "standard input holds more than 16 MiB"},
		"a pipe nobody writes into":     {ctx: stopped, path: pipe, want: "stopped while reading " + pipe},
		"standard input that is silent": {ctx: stopped, path: "-", stdin: silent, want: "stopped while reading standard input"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l, err := NewLoader([]string{tt.path}, tt.stdin, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			_, err = l.Load(tt.ctx)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
			if _, invalid := errors.AsType[*InvalidError](err); invalid == errors.Is(err, context.Canceled) {
				t.Errorf("error is %T: a stop is no mistake in the manifests", err)
			}
		})
	}
	// Whoever waits in the opening of the pipe is let go.
	if err := os.WriteFile(pipe, nil, 0o600); err != nil {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
