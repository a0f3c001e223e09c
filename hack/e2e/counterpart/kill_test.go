package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMainProcess(t *testing.T) {
	const (
		id    = "4f0c7a6d1be24c3fb5a09d1e2c8f7b6a5d4c3b2a19080706f5e4d3c2b1a09f8e"
		pause = "aaaaaaaa1be24c3fb5a09d1e2c8f7b6a5d4c3b2a19080706f5e4d3c2b1a09f8e"
	)
	tests := map[string]struct {
		group string // of the container with the ID
		want  int
	}{
		"version 1, by files":           {group: "11:memory:/kubepods/burstable/pod9d1e2c8f/" + id + "\n10:cpu:/kubepods/burstable/pod9d1e2c8f/" + id, want: 200},
		"version 2, by systemd":         {group: "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod9d1e.slice/cri-containerd-" + id + ".scope", want: 200},
		"version 2, seen from a group":  {group: "0::/../../kubepods-pod9d1e.slice/crio-" + id + ".scope", want: 200},
		"no process has the ID in view": {group: "0::/"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			proc := t.TempDir()
			process := func(pid, group, namespaces string) {
				dir := filepath.Join(proc, pid)
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				for file, text := range map[string]string{"cgroup": group + "\n", "status": "Name:\tx\nPid:\t" + pid + "\nNSpid:\t" + namespaces + "\nUid:\t0\n"} {
					if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			process("1", "0::/init.scope", "1")
			process("100", strings.ReplaceAll(test.group, id, pause), "100\t1") // of the same pod
			process("150", test.group, "150\t7")                                // a child of the container's
			process("200", test.group, "200\t1")
			got, err := mainProcess(proc, id)
			if got != test.want || (err == nil) != (test.want != 0) {
				t.Errorf("got %d (%v), want %d", got, err, test.want)
			}
		})
	}
	if _, err := mainProcess(t.TempDir(), ""); err == nil {
		t.Error("an empty ID is taken, which is a part of any path")
	}
}
