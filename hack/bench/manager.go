//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hookbay/hookbay/hack/bench/report"
)

// manager measures the control plane, with a program of its own.
func manager(ctx context.Context, o *options, s *report.Section) error {
	file := filepath.Join(o.scratch, "manager.json")
	cmd := exec.CommandContext(ctx, o.managerBench, "-endpoints", o.endpoints, "-manager", o.manager, "-json", file) //nolint:gosec // our own program
	cmd.Stderr = os.Stderr
	// It has an API server to stop, too.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s: %w", o.managerBench, err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &s.Managers)
}

// findAssets has KUBEBUILDER_ASSETS name an API server and etcd. To build these may take minutes.
func findAssets(ctx context.Context) error {
	if os.Getenv("KUBEBUILDER_ASSETS") != "" {
		return nil
	}
	cmd := exec.CommandContext(ctx, "sh", "hack/envtest/assets.sh")
	cmd.Stderr = os.Stderr
	dir, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("find an API server for section manager, from the root of the repository; leave it out of -sections, or set KUBEBUILDER_ASSETS: %w", err)
	}
	return os.Setenv("KUBEBUILDER_ASSETS", strings.TrimSpace(string(dir)))
}
