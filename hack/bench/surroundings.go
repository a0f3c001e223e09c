//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hookbay/hookbay/hack/bench/report"
)

// look is how long the machine is looked at before a section, and how long it is given before that to forget the last one.
const look = time.Second

// moment is what the kernel has counted for the machine, and for this program with all of its children that have ended.
type moment struct {
	at       time.Time
	all      processors
	own      time.Duration
	load     float64
	pressure map[string]time.Duration // nil where the kernel has none
	// used is the share of the processors in use just before; of lookAround only.
	used float64
}

// processors is how the time of all processors was spent, in seconds.
type processors struct{ busy, stolen, total float64 }

// lookAround finds out what is going on before a section, while this program does nothing.
func lookAround(ctx context.Context) (*moment, error) {
	if err := pause(ctx, look); err != nil {
		return nil, err
	}
	before, err := now()
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, look); err != nil {
		return nil, err
	}
	m, err := now()
	if err != nil {
		return nil, err
	}
	if d := m.all.total - before.all.total; d > 0 {
		m.used = (m.all.busy - before.all.busy) / d
	}
	return m, nil
}

// since is what else happened since.
func (m *moment) since() (*report.Surroundings, error) {
	n, err := now()
	if err != nil {
		return nil, err
	}
	return m.until(n), nil
}

func (m *moment) until(n *moment) *report.Surroundings {
	s := &report.Surroundings{Before: m.used, LoadBefore: m.load, LoadAfter: n.load}
	if d := n.all.total - m.all.total; d > 0 {
		s.Others = max(0, n.all.busy-m.all.busy-(n.own-m.own).Seconds()) / d
		s.Stolen = (n.all.stolen - m.all.stolen) / d
	}
	if took := n.at.Sub(m.at); m.pressure != nil && n.pressure != nil && took > 0 {
		of := func(name string) float64 { return (n.pressure[name] - m.pressure[name]).Seconds() / took.Seconds() }
		s.Pressure = &report.Pressure{CPU: of("cpu"), Disk: of("io"), Memory: of("memory")}
	}
	return s
}

func now() (*moment, error) {
	m := &moment{at: time.Now()}
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return nil, err
	}
	if m.all, err = processorsIn(stat); err != nil {
		return nil, err
	}
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if err := unix.Getrusage(who, &u); err != nil {
			return nil, err
		}
		m.own += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return nil, err
	}
	if m.load, err = strconv.ParseFloat(strings.Fields(string(text))[0], 64); err != nil {
		return nil, fmt.Errorf("read /proc/loadavg: %w", err)
	}
	m.pressure, err = pressures()
	return m, err
}

// pressures is for how long something waited for each resource. It is nil where the kernel doesn't count that.
func pressures() (map[string]time.Duration, error) {
	all := map[string]time.Duration{}
	for _, name := range []string{"cpu", "io", "memory"} {
		text, err := os.ReadFile("/proc/pressure/" + name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EOPNOTSUPP) { // the kernel has none, or it is switched off
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if all[name], err = pressureIn(text); err != nil {
			return nil, fmt.Errorf("read /proc/pressure/%s: %w", name, err)
		}
	}
	return all, nil
}

// pressureIn reads the total of the line "some", which is in microseconds.
func pressureIn(text []byte) (time.Duration, error) {
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "some "); ok {
			if _, total, ok := strings.Cut(rest, "total="); ok {
				n, err := strconv.ParseInt(strings.TrimSpace(total), 10, 64)
				return time.Duration(n) * time.Microsecond, err
			}
		}
	}
	return 0, errors.New("it has no line \"some … total=\"")
}

// processorsIn reads the first line of /proc/stat: user, nice, system, idle, I/O wait, interrupts, soft interrupts, stolen; guests are in user already.
func processorsIn(stat []byte) (processors, error) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := strings.Fields(string(line))
	if len(fields) < 9 || fields[0] != "cpu" {
		return processors{}, fmt.Errorf("read /proc/stat: its first line is %q", line)
	}
	var p processors
	for i, text := range fields[1:9] {
		ticks, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return p, fmt.Errorf("read /proc/stat: %w", err)
		}
		seconds := float64(ticks) / userHz
		p.total += seconds
		switch i {
		case 3, 4: // nothing to do
		case 7:
			p.stolen = seconds
		default:
			p.busy += seconds
		}
	}
	return p, nil
}

// userHz is how the kernel counts processor time for user space, on every architecture that Go knows.
const userHz = 100
