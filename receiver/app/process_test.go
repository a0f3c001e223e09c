package app

import (
	"log/slog"
	"testing"
)

// TestSetUpProcess checks that what net/http says of targets goes nowhere: it quotes them, and they may quote the credentials that they were
// sent. It speaks through package log, which slog.SetDefault takes along.
func TestSetUpProcess(t *testing.T) {
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	SetUpProcess()
	if slog.Default().Enabled(t.Context(), slog.LevelError) {
		t.Error("the default logger still writes")
	}
}

func TestThreads(t *testing.T) {
	for processors, want := range map[int]int{1: 3, 2: 3, 3: 4, 8: 9} {
		if got := threads(processors); got != want {
			t.Errorf("%d processors: %d threads, want %d", processors, got, want)
		}
	}
}
