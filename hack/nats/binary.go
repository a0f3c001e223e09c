package nats

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

const (
	project = "github.com/hookbay/hookbay"
	module  = "github.com/nats-io/nats-server/v2"
)

// Binary is the path of nats-server: HOOKBAY_NATS_SERVER if that is set, else the program of the version that go.mod names, which is built if it is not there yet.
func Binary(ctx context.Context) (string, error) {
	if path := os.Getenv("HOOKBAY_NATS_SERVER"); path != "" {
		return path, nil
	}
	root, err := goList(ctx, "", "{{.Dir}}", project)
	if err != nil {
		return "", err
	}
	version, err := goList(ctx, root, "{{.Version}}", module)
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", "tools", "nats-server-"+version)
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, build(ctx, root, path)
}

// build makes the program in a place of its own and moves it then: tests of several packages may want it at the same time.
func build(ctx context.Context, root, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), "build-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // temporary anyway
	made := filepath.Join(dir, "nats-server")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", made, module) //nolint:gosec // constants and paths of our own
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build nats-server: %w\n%s", err, output)
	}
	return os.Rename(made, path)
}

// Version is what the program says it is, such as "v2.15.2".
func Version(ctx context.Context, binary string) (string, error) {
	output, err := exec.CommandContext(ctx, binary, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", binary, err)
	}
	return strings.TrimPrefix(strings.TrimSpace(string(output)), "nats-server: "), nil
}

// goList asks go about a module, from a folder of the module that needs it; empty: the current one.
func goList(ctx context.Context, dir, format, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", format, module) //nolint:gosec // constants
	cmd.Dir = dir
	output, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", fmt.Errorf("go list -m %s: %w\n%s", module, err, exit.Stderr)
	}
	return strings.TrimSpace(string(output)), err
}
