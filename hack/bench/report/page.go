package report

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// chapter is how a section appears on the page.
type chapter struct {
	name, title, text string
	write             func(io.Writer, *Section)
	plots             func(*Section) []figure
}

// chapters are all, in order.
var chapters = []chapter{
	{"answers", "Answers", `Callbacks are acknowledged as fast as the server can, by callers that each send the next one when the last is answered. Hookbay verifies the
signature, reads the event, stores it and has it on the disk before it answers; delivery is suspended. The bare handlers read the body and answer 200. Each turn
has a fresh process and an empty disk; all callbacks are different events, of 5,000 sessions or conversations. That each was stored is checked.

**Large bodies over many connections are mostly refused with 503, and that is wanted.** What limits them is the store, in MB/s: each body is written to its log, made
durable, and written again to its tables. When it can't store a callback within half of the platform's time limit, a receiver says so at once, rather than have it wait for an answer that
comes too late: see [overload.md](overload.md). Callers here send the next one as soon as they are refused, with no pause, which platforms don't: each round of that
is one more refusal. Columns of rates and waits are of accepted callbacks only.

**p50 of one connection may be below the durable write** that it is compared with: that write is measured by itself, 300 times in each round, on a disk whose speed changes from second
to second. Above all large records that are appended are slow, as the file system has to find space for each; Hookbay's log has its space already.`,
		Answers, answerPlots},
	{"end-to-end", "End to end", `The same callers, and a target that takes what comes (fasthttp, counting). Hookbay stores and delivers; the time runs until the last event has reached the
target, which counts different ids. The baseline is ` + "`httputil.ReverseProxy`" + ` with connections that are kept and reused buffers: it checks and stores nothing.`,
		EndToEnd, endToEndPlots},
	{"latency", "Latency at half load", `An open loop, in turns twice as long as the setting: callbacks are due at a fixed rate, which is half of what the receiver takes at most, measured in the same round; latency counts from the moment that
each was due, so that a stall is charged to all who would have called in it. All variants have the same rate. Servers and load have one half of the
processors each, so that neither takes the other's.`,
		Latency, latencyPlots},
	{"buffers", "Buffers and targets", buffersText, Buffers, nil},
	{"overload", "Overload", `An open loop at twice what the receiver takes at most, while it delivers, on many connections; then at half of it: **at once**, while what has piled up
is still being delivered, and again when all is delivered. Processors are divided as above, the target
is on the load's side. Callbacks that find no free connection wait for one, and their latency since they were due runs. **Never sent** are those that were due and
had found none when the time was over: it is the load that did not offer them. At the end all that was acknowledged must have
reached the target, or wait to: different ids are counted.

**Each source has limits of its own**: a receiver refuses what it expects to take longer than half of the platform's time limit, 250 ms for Lazada and 1 s for Tencent IM. So four times
as many callbacks of Tencent IM may wait in the receiver before it refuses the first, each on a connection. Where half of the connections that it may have are taken by those for as long as that, it refuses the others, too; what comes
until then waits in the load for a free connection, and shows in "since due".`,
		Overloads, overloadPlots},
	{"start", "Start and memory", `How long it takes from the start of the program until ` + "`/readyz`" + ` says that callbacks can be stored, with events waiting on its disk that came in by HTTP before: after
a stop in good order, and after SIGKILL in the middle of a load. Each start is followed by a count: all that was acknowledged must be there. Memory
is resident memory as the kernel counts it.`,
		Starts, startPlots},
	{"soak", "Soak", `Both sources at an even pace, an open loop, with delivery. Delivered events are kept for two minutes and identities for five, so that the disk can come to
rest. Looked at every ten seconds.`,
		SoakOf, soakPlots},
	{"manager", "The manager", `` + "`hookbay manager`" + ` with a real API server and etcd on the same machine, which take most of it.`,
		Managers, nil},
}

// Page makes the page of the files in a directory, and the plots beside these files.
func Page(file, dir string) error {
	sections := map[string]*Section{}
	for _, c := range chapters {
		s, err := Read(dir, c.name)
		if err != nil {
			return err
		}
		if s != nil {
			sections[c.name] = s
		}
	}
	relative, err := filepath.Rel(filepath.Dir(file), dir)
	if err != nil {
		return err
	}
	relative = filepath.ToSlash(relative)
	var b bytes.Buffer
	fmt.Fprintf(&b, intro, filepath.Base(dir), relative)
	head(&b, sections)
	if len(sections) > 0 {
		goals(&b, sections)
	}
	made, err := chaptersOf(&b, sections, dir, relative)
	if err != nil {
		return err
	}
	if err := removePlots(dir, made); err != nil {
		return err
	}
	if len(sections) > 0 {
		b.WriteString(tried)
	}
	text := append(bytes.TrimRight(b.Bytes(), "\n"), '\n')
	return os.WriteFile(file, text, 0o644) //nolint:gosec // for everybody to read
}

// chaptersOf writes a chapter for each section that was measured, and its plots, whose names it returns.
func chaptersOf(w io.Writer, sections map[string]*Section, dir, relative string) (made []string, err error) {
	for _, c := range chapters {
		s := sections[c.name]
		if s == nil {
			continue
		}
		fmt.Fprintf(w, "## %s\n\n%s\n\n", c.title, c.text)
		if c.plots != nil {
			for _, f := range c.plots(s) {
				name := c.name + "-" + f.name + ".svg"
				if err := f.save(filepath.Join(dir, name)); err != nil {
					return nil, fmt.Errorf("plot %s: %w", name, err)
				}
				made = append(made, name)
				fmt.Fprintf(w, "![%s](%s/%s)\n\n", f.title, relative, name)
			}
		}
		c.write(w, s)
	}
	return made, nil
}

// removePlots removes those of earlier results, which the page shows no more.
func removePlots(dir string, but []string) error {
	for _, c := range chapters {
		files, err := filepath.Glob(filepath.Join(dir, c.name+"-*.svg"))
		if err != nil {
			return err
		}
		for _, file := range files {
			if slices.Contains(but, filepath.Base(file)) {
				continue
			}
			if err := os.Remove(file); err != nil {
				return err
			}
		}
	}
	return nil
}

// head says what was measured, where and how.
func head(w io.Writer, sections map[string]*Section) {
	var first *Section
	var rows [][]string
	for _, c := range chapters {
		s := sections[c.name]
		if s == nil {
			rows = append(rows, []string{c.title, "not run", "", "", ""})
			continue
		}
		if first == nil {
			first = s
		}
		commit := s.Machine.Commit[:min(12, len(s.Machine.Commit))]
		if s.Machine.Dirty {
			commit += " and changes"
		}
		rows = append(rows, []string{c.title, s.Began.UTC().Format("2006-01-02 15:04"), s.Took.Round(time.Second).String(), commit, settings(s)})
	}
	if first == nil {
		fmt.Fprint(w, "Nothing was measured yet.\n")
		return
	}
	m := first.Machine
	fmt.Fprintf(w, "- Machine: %s, %d cores, %.0f GiB of memory, %s, %s.\n- Programs: %s; baselines and load built with %s.\n",
		m.CPU, m.Cores, float64(m.Memory)/(1<<30), m.Kernel, m.FileSystem, m.Receiver, m.Go)
	if s := sections["answers"]; s != nil {
		for _, c := range s.Cells {
			if c.Connections == 1 && c.Size == usualSize {
				a, p := syncs(c)
				fmt.Fprintf(w, "- The disk: a durable write of 1 KiB takes %s (%s to %s) appended to a file, %s (%s to %s) in space that a file has already.\n",
					micros(a.Median), micros(a.Least), micros(a.Most), micros(p.Median), micros(p.Least), micros(p.Most))
				break
			}
		}
	}
	fmt.Fprint(w, "\n")
	table(w, []string{"section", "began (UTC)", "took", "commit", "settings"}, rows)
	surroundings(w, sections)
	fmt.Fprint(w, howToRead)
}

// settings are those that matter to a section, and which of all are not the usual ones.
func settings(s *Section) string {
	of := map[string][]string{
		"answers": {"connections", "sizes", "rounds", "duration", "warm-up"}, "end-to-end": {"rounds", "duration"}, "latency": {"latency-rounds", "duration"},
		"buffers":  {"rounds", "duration"},
		"overload": {"rounds", "overload", "crowd"}, "start": {"waiting", "settle"}, "soak": {"soak"}, "manager": {"endpoints"},
	}[s.Name]
	var all []string
	for name, value := range s.Settings {
		if slices.Contains(of, name) {
			all = append(all, name+" "+strings.ReplaceAll(value, ",", ", "))
		}
	}
	slices.Sort(all)
	text := strings.Join(all, "; ")
	if len(s.Differing) > 0 {
		text += " (**not the usual: " + strings.Join(s.Differing, ", ") + "**)"
	}
	return text
}

// What the goals are about.
const (
	usualSize        = 1 << 10
	usualConnections = 64
)
