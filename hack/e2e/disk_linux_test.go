package e2e

import (
	"context"
	"errors"
	"net/http"
	"syscall"
	"testing"
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
	rounds := fill(t, s)
	s.each = rounds
	t.Logf("the disk is full after %d callbacks of %d KiB", s.total(), s.padding>>10)
	status, _, err := r.get(t, "/healthz")
	if err != nil || status != http.StatusOK {
		t.Errorf("/healthz answered %d (%v) with a full disk, want 200: a restart would not help", status, err)
	}

	tgt.set(answerWith(http.StatusOK))
	tgt.up(t)
	tgt.waitTaken(t, s.total())

	// As many again fit only if the room came back.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for n := range rounds {
		for subject := range s.subjects {
			if err := s.insist(ctx, callback{subject, rounds + n}); err != nil {
				t.Fatalf("after room was made: %v", err)
			}
		}
	}
	s.each = 2 * rounds
	tgt.waitTaken(t, s.total())
	r.stop(t)
	tgt.nextLifetime(t)
	judge(t, s, tgt.log())
}

// fill sends callbacks until one round of subjects finds no room, and returns how many rounds were acknowledged.
func fill(t *testing.T, s *sender) int {
	t.Helper()
	for n := range s.each {
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
