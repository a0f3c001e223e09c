package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// killContainer sends SIGKILL to the main process of a container. From inside of the container nobody can: the kernel shields the first
// process of a PID namespace from its own kind.
func killContainer(proc, id string, log *slog.Logger) error {
	pid, err := mainProcess(proc, id)
	if err != nil {
		return err
	}
	log.Info("Container is killed", "container", id, "pid", pid)
	return syscall.Kill(pid, syscall.SIGKILL)
}

// mainProcess finds the process of a container that is the first in its PID namespace. The container's ID is part of its processes' control
// group, by whatever driver and version: /kubepods/burstable/pod<uid>/<id>, …/cri-containerd-<id>.scope, …/crio-<id>.scope.
func mainProcess(proc, id string) (int, error) {
	if len(id) < 32 { // or it would be part of any path
		return 0, fmt.Errorf("%q is no container ID", id)
	}
	files, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "cgroup"))
	if err != nil {
		return 0, err
	}
	for _, name := range files {
		groups, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(groups), id) { // a process may end at any time
			continue
		}
		dir := filepath.Dir(name)
		status, err := os.ReadFile(filepath.Join(dir, "status"))
		if err != nil || !firstInNamespace(string(status)) {
			continue
		}
		return strconv.Atoi(filepath.Base(dir))
	}
	return 0, errors.New("no process of container " + id + " is to be seen: the pod needs hostPID, on the container's node")
}

// firstInNamespace reads NSpid, the process' numbers in the namespaces from the outermost in view to its own.
func firstInNamespace(status string) bool {
	for line := range strings.Lines(status) {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok {
			fields := strings.Fields(numbers)
			return len(fields) > 1 && fields[len(fields)-1] == "1"
		}
	}
	return false
}
