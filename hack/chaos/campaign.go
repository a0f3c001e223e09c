package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// storyLimit is how long a story may take in all before its process is ended.
const storyLimit = 30 * time.Minute

// endedByPebble tells how Pebble ends the process where it cannot change to a new log or manifest, in goroutines of its own. No story survives
// that, but ending is right.
var endedByPebble = regexp.MustCompile(`(?s)panic: (input/output error|.*withstack).*pebble|\(\*DB\)\.rotateWAL`)

// leftByPebble tells of the goroutines that Pebble leaves behind when it fails to open on an I/O error, after it has flushed its log: those of a
// compaction and of statistics. It closes the cache of open files below them, and they panic. The process ends then anyway; but a story goes on.
var leftByPebble = regexp.MustCompile(`(?s)strikes life \d+ as it starts.*\npanic: .*pebble/v2\.\(\*DB\)\.(compact|collectTableStats)\b`)

// campaign is many stories, each in a process of its own: what a crashed life leaves in memory goes with it, and a story that ends its process
// fails alone.
type campaign struct {
	from     uint64
	runs     int
	parallel int
	limit    time.Duration
	classes  []string
	logs     string // where the logs of stories that fail are kept; empty: nowhere

	mu      sync.Mutex
	totals  map[string]*total
	results int
	failed  []uint64
	sum     result
}

// total is a class or an effect over all stories.
type total struct{ planned, hit, count int }

// run runs the campaign, prints its table and returns the exit code.
func (c *campaign) run() int {
	start := time.Now()
	c.totals = map[string]*total{}
	seeds := make(chan uint64)
	var workers sync.WaitGroup
	for range c.parallel {
		workers.Go(func() {
			for seed := range seeds {
				c.take(c.tell(seed))
			}
		})
	}
	for i := range c.runs {
		if c.limit > 0 && time.Since(start) > c.limit {
			break
		}
		seeds <- c.from + uint64(i)
	}
	close(seeds)
	workers.Wait()
	code := c.report(time.Since(start))
	return code
}

// tell runs one story in a process of its own.
func (c *campaign) tell(seed uint64) *result {
	ctx, cancel := context.WithTimeout(context.Background(), storyLimit)
	defer cancel()
	args := []string{"-child", "-seed", fmt.Sprint(seed)}
	if len(c.classes) > 0 {
		args = append(args, "-classes", strings.Join(c.classes, ","))
	}
	cmd := exec.CommandContext(ctx, os.Args[0], args...) //nolint:gosec // this program
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(os.Environ(), "GOMAXPROCS=2")
	err := cmd.Run()
	var r result
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &r)
	}
	if err != nil {
		r = result{Seed: seed, Classes: newWorld(seed, nil).choose(c.classes)}
		if text := errs.Bytes(); endedByPebble.Match(text) || leftByPebble.Match(text) {
			r.Counts = map[string]int{effectExit: 1, effectCutOff: 1}
		} else {
			r.Problems = []string{fmt.Sprintf("the process ended: %v", err)}
		}
	}
	if r.log = errs.String(); c.logs != "" && len(r.Problems)+r.Counts[effectCutOff] > 0 {
		if err := os.WriteFile(filepath.Join(c.logs, fmt.Sprint(seed)), errs.Bytes(), 0o600); err != nil {
			r.Problems = append(r.Problems, err.Error())
		}
	}
	return &r
}

// take adds a story's result.
func (c *campaign) take(r *result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.results++; c.results%100 == 0 {
		fmt.Fprintf(os.Stderr, "%d stories told, %d failed\n", c.results, len(c.failed))
	}
	for name, n := range r.Counts {
		t := c.total(name)
		t.hit++
		t.count += n
	}
	for _, class := range r.Classes {
		c.total(class).planned++
	}
	c.sum.Lives += r.Lives
	c.sum.Acked += r.Acked
	c.sum.Delivered += r.Delivered
	c.sum.Repeats += r.Repeats
	c.sum.Dead += r.Dead
	c.sum.Lost += r.Lost
	if r.Counts[effectCutOff] > 0 {
		fmt.Printf("seed %d was cut off: Pebble ended its process\n", r.Seed)
	}
	if len(r.Problems) == 0 {
		return
	}
	c.failed = append(c.failed, r.Seed)
	fmt.Printf("seed %d FAILED (%s):\n  %s\n", r.Seed, strings.Join(r.Classes, ", "), strings.Join(r.Problems, "\n  "))
	// Up to the first goroutine, if it panicked.
	lines := strings.Split(regexp.MustCompile(`(?s)(\npanic: .*?\n\n.*?)\n\n.*`).ReplaceAllString(r.log, "$1"), "\n")
	fmt.Printf("  the end of its log:\n    %s\n", strings.Join(lines[max(0, len(lines)-40):], "\n    "))
	fmt.Printf("  again: make chaos CHAOS_FLAGS='-seed %d -v'\n", r.Seed)
}

func (c *campaign) total(name string) *total {
	t := c.totals[name]
	if t == nil {
		t = &total{}
		c.totals[name] = t
	}
	return t
}

// report prints the table. A campaign fails if a story does, or if a class was planned and never struck.
func (c *campaign) report(took time.Duration) int {
	fmt.Printf("\n| class | stories | struck in | injections |\n|---|---:|---:|---:|\n")
	code := 0
	for _, class := range append(slices.Clone(allClasses), classTarget) {
		t := c.total(class)
		if class == classTarget {
			t.planned = c.results
		}
		if t.planned == 0 {
			continue
		}
		fmt.Printf("| %s | %d | %d | %d |\n", class, t.planned, t.hit, t.count)
		if t.count == 0 {
			fmt.Printf("FAILED: %s was planned and never struck\n", class)
			code = 1
		}
	}
	fmt.Printf("\n| seen | stories | times |\n|---|---:|---:|\n")
	for _, effect := range []string{effect503, effectNoAnswer, effectRefused, effectExit, effectDamage, effectRefuse, effectCopy, effectCutOff} {
		t := c.total(effect)
		fmt.Printf("| %s | %d | %d |\n", effect, t.hit, t.count)
	}
	fmt.Printf("\n%d stories, %d lives of the receiver, %d callbacks acknowledged, %d sent again, %d delivered, %d dead letters, "+
		"%d lost to damage that was reported, in %s\n", c.results, c.sum.Lives, c.sum.Acked, c.sum.Repeats, c.sum.Delivered, c.sum.Dead,
		c.sum.Lost, took.Round(time.Second))
	if cut := c.total(effectCutOff).count; 10*cut > c.results {
		fmt.Printf("FAILED: %d stories were cut off: too many to trust the rest\n", cut)
		code = 1
	}
	if len(c.failed) > 0 {
		fmt.Printf("FAILED: %d stories: %v\n", len(c.failed), c.failed)
		code = 1
	}
	return code
}
