// Command chaos tells seeded stories of everything that can go wrong, and holds what was acknowledged against what comes out.
//
//	chaos -runs 1000            # seeds 1 to 1000, each in a process of its own
//	chaos -seed 123 -v          # one story, told aloud
//
// A story runs the whole receiver (app.App) in one process, on a file system in memory below which writes fail, syncs lie or take their
// time, and from which a crash takes what was not synced; with simulated platforms, a target that fails, and a clock and a configuration that
// change. See docs/chaos.md.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	c := campaign{}
	seed := flag.Uint64("seed", 0, "tell only the story of this seed")
	flag.Uint64Var(&c.from, "from", 1, "the first seed of a campaign")
	flag.IntVar(&c.runs, "runs", 1000, "how many stories")
	flag.IntVar(&c.parallel, "parallel", runtime.NumCPU(), "how many at once")
	flag.DurationVar(&c.limit, "time", 0, "begin no story after this time; 0: tell all")
	classes := flag.String("classes", "", "only these classes of faults, separated by commas")
	verbose := flag.Bool("v", false, "tell the story aloud: the receiver's log and the steps")
	flag.StringVar(&c.logs, "logs", "", "an existing directory to keep the logs of stories in that fail or are cut off")
	child := flag.Bool("child", false, "for the campaign's own use: tell it aloud, and print the result as JSON")
	flag.Parse()
	if *classes != "" {
		for name := range strings.SplitSeq(*classes, ",") {
			if name = strings.TrimSpace(name); !slices.Contains(allClasses, name) {
				fmt.Fprintf(os.Stderr, "-classes: no class of faults is called %q: write some of %s\n", name, strings.Join(allClasses, ", "))
				os.Exit(2)
			}
			c.classes = append(c.classes, name)
		}
	}
	if *seed == 0 {
		os.Exit(c.run())
	}
	out := io.Writer(nil)
	if *verbose || *child {
		out = os.Stderr
	}
	start := time.Now()
	r := run(*seed, c.classes, out)
	if *child {
		if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		return
	}
	fmt.Printf("seed %d: %s: %d lives, %d acknowledged, %d delivered, %d dead letters, %d lost to damage that was reported, in %s\n",
		r.Seed, strings.Join(r.Classes, ", "), r.Lives, r.Acked, r.Delivered, r.Dead, r.Lost, time.Since(start).Round(time.Millisecond))
	fmt.Println(r.Counts)
	if len(r.Problems) > 0 {
		fmt.Println("FAILED:\n  " + strings.Join(r.Problems, "\n  "))
		os.Exit(1)
	}
}
