//go:build linux

package server

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process takes from the machine.
type Usage struct {
	// CPU is since its start, in steps of 10 ms.
	CPU time.Duration
	// Resident and Peak are memory now and at most so far, in bytes.
	Resident, Peak int64
	// Files are open file descriptors.
	Files int
}

// userHz is how the kernel counts CPU time for user space, on every architecture that Go knows.
const userHz = 100

// Usage asks the kernel.
func (p *Process) Usage() (Usage, error) { return UsageOf(p.Pid()) }

// UsageOf asks the kernel about any process.
func UsageOf(pid int) (Usage, error) {
	var u Usage
	dir := fmt.Sprintf("/proc/%d/", pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return u, err
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])) // the name may have blanks; what follows begins with the third
	for _, i := range []int{14, 15} {                                                   // user and system
		ticks, err := strconv.ParseInt(fields[i-3], 10, 64)
		if err != nil {
			return u, fmt.Errorf("read %sstat: %w", dir, err)
		}
		u.CPU += time.Duration(ticks) * time.Second / userHz
	}
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		var into *int64
		switch key, _, _ := strings.Cut(line, ":"); key {
		case "VmRSS":
			into = &u.Resident
		case "VmHWM":
			into = &u.Peak
		default:
			continue
		}
		kib, err := strconv.ParseInt(strings.Fields(line)[1], 10, 64)
		if err != nil {
			return u, fmt.Errorf("read %sstatus: %w", dir, err)
		}
		*into = kib << 10
	}
	files, err := os.ReadDir(dir + "fd")
	u.Files = len(files)
	return u, err
}
