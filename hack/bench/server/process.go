//go:build linux

// Package server runs the servers that the benchmark measures, each as a process of its own: the receiver as it is built to be shipped, and the
// baselines beside it.
package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a server under load.
type Process struct {
	// Addr is where it takes callbacks.
	Addr string

	cmd  *exec.Cmd
	done chan error
	log  *tail
}

// StartBaseline starts one of Baselines, as this program itself with that word as its argument. Of cpus, the processors that it may use, none means all.
func StartBaseline(ctx context.Context, name, target string, cpus ...int) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-serve", name, "-target", target) //nolint:gosec // this program itself
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p, err := start(cmd, cpus)
	if err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s did not start: %w", name, err), p.Kill())
	}
	p.Addr = strings.TrimSpace(line)
	return p, nil
}

// start starts a program on some of the processors. It ends with this one.
func start(cmd *exec.Cmd, cpus []int) (*Process, error) {
	p := &Process{cmd: cmd, done: make(chan error, 1), log: &tail{}}
	cmd.Stderr = p.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// What the kernel takes for the parent is the thread, which must therefore live as long: Pdeathsig is sent when it ends.
		release, err := pinThread(cpus)
		if err == nil {
			err = errors.Join(cmd.Start(), release())
		}
		started <- err
		if err == nil {
			p.done <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(cmd.Path), err)
	}
	return p, nil
}

// Pid is its process ID.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Alive is an error, with the end of its log, if it has ended by itself.
func (p *Process) Alive() error {
	select {
	case err := <-p.done:
		p.done <- err
		return fmt.Errorf("%s ended: %w\n%s", filepath.Base(p.cmd.Path), err, p.log)
	default:
		return nil
	}
}

// Kill ends it as a power failure would, but for what the kernel has yet to write.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	err := <-p.done
	p.done <- err
	return nil
}

// Stop ends it in good order.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-p.done:
		p.done <- err
		if err != nil {
			return fmt.Errorf("%s did not stop in good order: %w\n%s", filepath.Base(p.cmd.Path), err, p.log)
		}
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("%s did not stop within %v\n%s", filepath.Base(p.cmd.Path), stopTimeout, p.log), p.Kill())
	}
}

// stopTimeout is how long a server may take to stop.
const stopTimeout = time.Minute

// tail keeps the end of a log.
type tail struct {
	mu  sync.Mutex
	end []byte
}

var _ io.Writer = (*tail)(nil)

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, p...)
	if n := len(t.end) - 4<<10; n > 0 {
		t.end = t.end[n:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.end)
}
