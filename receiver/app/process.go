package app

import (
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
)

const (
	// gcPercent lets the heap grow to five times what is live before it is collected. What is live is small and what a callback leaves behind is not:
	// with Go's default of 100 a receiver under load would collect many times a second, and callbacks would wait for it.
	gcPercent = 400
	// memoryLimit is where collecting comes before speed: below the 256 MiB that a receiver may take, with room for what Go does not count. What
	// lives in an overload, 80 to 95 MiB with 2,000 connections, must stay well below it, or the collector never rests.
	memoryLimit = 160 << 20
	// background is how many goroutines of the store may compute for a second at a stretch: a flush and a compaction. If those have all the threads that
	// there are, the scheduler looks for what has come in only every 10 ms; with one more, the system shares the processors out. On one core
	// that takes the slowest hundredth of answers from 100 ms to 5. Each thread beyond that costs a twentieth of the processors' time: those that
	// are idle look for work.
	background = 2
)

// SetUpProcess sets what a receiver's process has only one of: how it trades memory for speed and how many threads compute (GOGC, GOMEMLIMIT and
// GOMAXPROCS, where they are set, have the last word), and the default logger, which is silenced. net/http writes to it what targets send unasked, which can be the credentials that
// were sent to them. What the receiver itself has to say goes to Options.Log. Call it once, first.
func SetUpProcess() {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // that of package log, too
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(threads(runtime.GOMAXPROCS(0)))
	}
}

// threads is how many goroutines may compute at a time on so many processors: one more than those, and at least the store's and one for callbacks.
func threads(processors int) int { return max(processors, background) + 1 }
