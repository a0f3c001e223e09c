//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
