//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hookbay/hookbay/hack/bench/report"
)

// describe says where, and what, is measured.
func describe(ctx context.Context, receiver, dir string) (report.Machine, error) {
	m := report.Machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	m.CPU = valueIn("/proc/cpuinfo", "model name")
	if kib, err := strconv.ParseInt(strings.TrimSuffix(valueIn("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		m.Memory = kib << 10
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return m, err
	}
	m.Kernel = unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return m, err
	}
	m.FileSystem = fileSystem(fs.Type)
	version, err := exec.CommandContext(ctx, receiver, "-version").Output() //nolint:gosec // the program that the user wants measured
	if err != nil {
		return m, fmt.Errorf("run %s, which make build builds: %w", receiver, err)
	}
	m.Receiver = string(bytes.TrimSpace(version))
	// Without git, or outside of a repository, the report says nothing of it.
	if commit, err := exec.CommandContext(ctx, "git", "rev-parse", "HEAD").Output(); err == nil {
		m.Commit = string(bytes.TrimSpace(commit))
		status, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--", ".", ":!docs/benchmarks", ":!docs/benchmarks.md").Output()
		m.Dirty = err != nil || len(status) > 0
	}
	return m, nil
}

// valueIn finds a line "key: value".
func valueIn(file, key string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func fileSystem(magic int64) string {
	switch magic {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs (in memory: durability costs nothing here)"
	default:
		return fmt.Sprintf("type %#x", magic)
	}
}
