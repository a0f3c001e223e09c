//go:build linux

package server

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// pinThread binds this goroutine's thread to processors. Programs that it starts are bound to them as well, with all of their threads, and count only
// these: a Go program has as many threads at work.
func pinThread(cpus []int) (release func() error, err error) {
	runtime.LockOSThread() // for good: see start
	if len(cpus) == 0 {
		return func() error { return nil }, nil
	}
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("ask which processors may be used: %w", err)
	}
	set := setOf(cpus)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("use processors %v: %w", cpus, err)
	}
	return func() error { return unix.SchedSetaffinity(0, &before) }, nil
}

// PinSelf binds all threads of this program to processors, until release is called.
func PinSelf(cpus []int) (release func() error, err error) {
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("ask which processors may be used: %w", err)
	}
	return func() error { return pinAll(before) }, pinAll(setOf(cpus))
}

// pinAll binds each thread. New ones take after those that start them.
func pinAll(set unix.CPUSet) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil {
			return fmt.Errorf("bind a thread to processors: %w", err)
		}
	}
	return nil
}

// Halves divides the processors that this program may use.
func Halves() (servers, generator []int, err error) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return nil, nil, fmt.Errorf("ask which processors may be used: %w", err)
	}
	var cpus []int
	for i := range 8 * len(all) * strconv.IntSize / 8 {
		if all.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	if len(cpus) < 2 {
		return nil, nil, fmt.Errorf("%d processor is too few: server and load need one each", len(cpus))
	}
	return cpus[:len(cpus)/2], cpus[len(cpus)/2:], nil
}

func setOf(cpus []int) unix.CPUSet {
	var set unix.CPUSet
	for _, c := range cpus {
		set.Set(c)
	}
	return set
}
