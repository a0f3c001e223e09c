package local

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestDiskFull fills a file system of 64 MiB while the target is down. Callbacks that find no room are refused with 503; nothing that was
// acknowledged is lost; once the target is back, deliveries make room and callbacks are taken again.
func TestDiskFull(t *testing.T) {
	disk := mountSmall(t) // before the receiver, so that it is gone when this is unmounted
	tgt := newTarget(t)
	tgt.down(t)
	r := newReceiver(t, hookbay(t), newManifest(tgt.url()))
	r.dataDir = disk
	r.start(t)

	s := newSender(r.base(), 1<<20, 16) // more than fits
	s.padding = 32 << 10
	rounds := fill(t, s, 0)
	s.each = rounds
	t.Logf("the disk is full after %d callbacks of %d KiB", s.total(), s.padding>>10)
	r.await(t, "/healthz") // a restart would not help …
	r.kill(t)
	tgt.nextLifetime(t)
	began := time.Now()
	r.launch(t) // … and does no harm
	r.await(t, "/healthz")
	t.Logf("back %v after a start with a full disk", time.Since(began).Round(time.Millisecond))

	began = time.Now()
	tgt.set(answerWith(http.StatusOK))
	tgt.up(t)
	tgt.waitTaken(t, s.total())
	t.Logf("all of it was delivered within %v", time.Since(began).Round(time.Millisecond))

	// As many again fit only if the room came back.
	insistOn(t, s, rounds, 2*rounds)
	t.Logf("as much again was taken within %v", time.Since(began).Round(time.Millisecond))
	s.each = 2 * rounds
	tgt.waitTaken(t, s.total())
	r.stop(t)
	tgt.nextLifetime(t)
	judge(t, s, tgt.log())
}

// TestDiskFilledByOthers takes the last byte of the file system from the receiver, which is not to blame for it and has nothing that it could
// clear away. It refuses callbacks, stays up, and goes on as soon as there is room.
func TestDiskFilledByOthers(t *testing.T) {
	disk := mountSmall(t)
	tgt := newTarget(t)
	r := newReceiver(t, hookbay(t), newManifest(tgt.url()))
	r.dataDir = filepath.Join(disk, "data")
	r.start(t)
	const rounds = 20
	s := newSender(r.base(), 1<<20, 16)
	s.padding = 8 << 10
	tgt.set(answerWith(http.StatusInternalServerError))
	insistOn(t, s, 0, rounds)

	others := filepath.Join(disk, "others")
	takeAllRoom(t, others)
	s.each = 1 << 20
	if full := fill(t, s, rounds); full > 2*rounds {
		t.Errorf("%d rounds of callbacks were taken without room", full-rounds)
	}
	r.await(t, "/healthz")
	tgt.set(answerWith(http.StatusOK))
	if err := os.Remove(others); err != nil {
		t.Fatal(err)
	}
	s.each = 3 * rounds
	insistOn(t, s, rounds, s.each) // those that were taken after all are repeats
	tgt.waitTaken(t, s.total())
	r.stop(t)
	tgt.nextLifetime(t)
	judge(t, s, tgt.log())
}

// insistOn sends rounds of callbacks, one to each subject, until they are acknowledged.
func insistOn(t *testing.T, s *sender, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		for subject := range s.subjects {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			err := s.insist(ctx, callback{subject, n})
			cancel()
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// takeAllRoom writes a file until the file system is full.
func takeAllRoom(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	for chunk := make([]byte, 1<<20); len(chunk) > 0; {
		if _, err := f.Write(chunk); errors.Is(err, syscall.ENOSPC) {
			chunk = chunk[:len(chunk)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// fill sends rounds of callbacks, from a number on, until one finds no room, and returns its number.
func fill(t *testing.T, s *sender, from int) int {
	t.Helper()
	for n := from; n < s.each; n++ {
		for subject := range s.subjects {
			status, err := s.once(t.Context(), callback{subject, n})
			if err != nil {
				t.Fatal(err)
			}
			switch status {
			case http.StatusOK:
			case http.StatusServiceUnavailable:
				return n
			default:
				t.Fatalf("callback %d/%d: answered %d, want 200 or 503", subject, n, status)
			}
		}
	}
	t.Fatalf("%d callbacks of %d bytes fit into the small disk", s.total(), s.padding)
	return 0
}

// mountSmall mounts a file system of 64 MiB and returns its folder.
func mountSmall(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m")
	if errors.Is(err, syscall.EPERM) {
		t.Skip("mounting a small file system takes root")
	}
	if err != nil {
		t.Fatalf("mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount the small file system: %v", err)
		}
	})
	return dir
}
