//go:build linux

package main

import (
	"errors"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hookbay/hookbay/hack/bench/report"
)

// syncs is how many records are written to learn how long one takes.
const syncs = 300

// syncLatency is what an acknowledgement costs at least: the time that the disk takes to make a record durable, with nothing else going on.
func syncLatency(dir string, size int) (report.Sync, error) {
	appended, err := syncTimes(dir, size, false)
	if err != nil {
		return report.Sync{}, err
	}
	written, err := syncTimes(dir, size, true)
	return report.Sync{Append: appended, Preallocated: written}, err
}

func syncTimes(dir string, size int, preallocate bool) (_ report.Micros, err error) {
	f, err := os.CreateTemp(dir, "sync-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	record := make([]byte, size)
	for i := range record {
		record[i] = byte(i)
	}
	if preallocate { // with zeros that are written: the space that fallocate gives must still be marked as written, each time
		for range syncs {
			if _, err := f.Write(make([]byte, size)); err != nil {
				return 0, err
			}
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
	}
	times := make([]time.Duration, syncs)
	for i := range times {
		began := time.Now()
		if _, err := f.WriteAt(record, int64(i)*int64(size)); err != nil {
			return 0, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
		times[i] = time.Since(began)
	}
	slices.Sort(times)
	return report.MicrosOf(times[len(times)/2]), nil
}
