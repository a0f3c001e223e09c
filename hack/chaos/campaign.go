package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// storyLimit is how long a story may take in all before its process is ended.
const storyLimit = 4 * time.Minute

// endedByPebble tells how Pebble ends the process where it cannot change to a new log or manifest, in goroutines of its own, and where it fails to
// open while it still reads a table. No story survives that, but ending is right.
var endedByPebble = regexp.MustCompile(`(?s)panic: (input/output error|.*withstack).*pebble|\(\*DB\)\.(rotateWAL|collectTableStats)`)

// campaign is many stories, each in a process of its own: what a crashed life leaves in memory goes with it, and a story that ends its process
// fails alone.
type campaign struct {
	from     uint64
	runs     int
	parallel int
	limit    time.Duration
	classes  []string

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
		text := errs.String()
		if endedByPebble.MatchString(text) {
			return &result{Seed: seed, Counts: map[string]int{effectExit: 1, effectCutOff: 1}}
		}
		r = result{Seed: seed, Problems: []string{fmt.Sprintf("the process ended: %v\n%.4000s", err, text)}}
	}
	return &r
}

// take adds a story's result.
func (c *campaign) take(r *result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results++
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
	if len(r.Problems) == 0 {
		return
	}
	c.failed = append(c.failed, r.Seed)
	fmt.Printf("seed %d FAILED (%s):\n  %s\n", r.Seed, strings.Join(r.Classes, ", "), strings.Join(r.Problems, "\n  "))
	fmt.Printf("  the end of its log:\n    %s\n", strings.Join(r.Log[max(0, len(r.Log)-15):], "\n    "))
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
