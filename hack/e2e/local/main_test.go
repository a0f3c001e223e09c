package local

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var (
	callbacksFlag = flag.Int("e2e.callbacks", 10_000, "callbacks of the crash test")
	backlogFlag   = flag.Int("e2e.backlog", 20_000, "undelivered events of the backlog test")
	subjectsFlag  = flag.Int("e2e.subjects", 2_000, "subjects that these events belong to")
)

// patience is how long a test waits for something that should happen at once on an idle machine. Only a hang exceeds it.
const patience = 2 * time.Minute

// programs is where the built programs are.
var programs string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hookbay-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // temporary anyway
	programs = dir
	return m.Run()
}

// hookbay is the program as it is released.
func hookbay(t *testing.T) string {
	t.Helper()
	return built(t, released)
}

// checkedHookbay is the program with the race detector in it, if the tests have it too: a data race makes it exit with 66.
func checkedHookbay(t *testing.T) string {
	t.Helper()
	if raceDetector {
		return built(t, checked)
	}
	return built(t, released)
}

// receiverProgram is the program of the receiver's pods, as it is released.
func receiverProgram(t *testing.T) string {
	t.Helper()
	return built(t, podded)
}

// released, checked and podded build on first use, once.
var (
	released = sync.OnceValues(func() (string, error) {
		return build("hookbay", ".", []string{"CGO_ENABLED=0"}, "-trimpath", "-ldflags", "-s -w")
	})
	checked = sync.OnceValues(func() (string, error) {
		return build("hookbay-race", ".", []string{"CGO_ENABLED=1"}, "-race")
	})
	podded = sync.OnceValues(func() (string, error) {
		return build("receiver", "./receiver", []string{"CGO_ENABLED=0"}, "-trimpath", "-ldflags", "-s -w")
	})
)

func built(t *testing.T, program func() (string, error)) string {
	t.Helper()
	name, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func build(name, from string, env []string, flags ...string) (string, error) {
	out := filepath.Join(programs, name)
	args := append(append([]string{"build", "-o", out}, flags...), from)
	cmd := exec.Command("go", args...) // outlives the test that happens to be first, so has no context of one
	cmd.Dir = "../../.."
	cmd.Env = append(os.Environ(), env...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %v: %w\n%s", args, err, output)
	}
	return out, nil
}
