package local

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// memory reads a figure of /proc/PID/status, such as VmRSS (now) or VmHWM (the most so far), in bytes.
func (r *receiver) memory(t *testing.T, figure string) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, figure+":"); ok {
			var kib int64
			if _, err := fmt.Sscan(value, &kib); err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("no %s in /proc/PID/status", figure)
	return 0
}
