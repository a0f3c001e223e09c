package report

import (
	"fmt"
	"io"
)

// What section buffers measures.
const (
	StoredOnly      = "stored"
	WhileDelivering = "delivering"
)

// buffersText explains the section.
const buffersText = `Callbacks are acknowledged as fast as each kind of buffer takes them, and without one (` + "`None`" + `), as fast as each kind of target does. Each turn has a fresh receiver, an
empty disk or an empty stream; the NATS servers stay the same. All run on this machine, and the load with them: R3 is three servers, three times the work, that share two processors
with the receiver. On machines of their own the rates are other ones; what a callback costs in processor time and bytes is much the same.

What an acknowledgement promises differs, see [buffers.md](buffers.md): on Disk, and in R1 synced, the event is on a disk that was told to sync; in R1 it is in one server's memory and its file system's cache; in R3 in those
of two servers at least.`

// Buffers writes the tables of section buffers.
func Buffers(w io.Writer, s *Section) {
	if s.Servers != "" {
		fmt.Fprintf(w, "Servers: %s.\n\n", s.Servers)
	}
	for _, c := range s.Cells {
		what := "nothing is delivered"
		if c.What == WhileDelivering {
			what = "events are delivered meanwhile"
		}
		fmt.Fprintf(w, "### %s, %s, %d connection%s, %s\n\n", c.Source, size(c.Size), c.Connections, plural(c.Connections), what)
		rows := make([][]string, 0, len(c.Variants))
		for _, v := range c.Variants {
			rows = append(rows, []string{
				v.Name, ranged(v.of(rate), number), ratio(Ratios(v.Runs, c.Variants[0].Runs, rate)), ranged(v.of(p50), micros), ranged(v.of(p99), micros),
				micros(v.of(cpu).Median), orNone(v.of(servers).Median, micros), orNone(v.of(stored).Median, number), mebibytes(v.of(peak).Most),
			})
		}
		table(w, []string{
			"", "acknowledged/s", "ratio", "p50", "p99", "receiver's CPU each", "servers' CPU each", "bytes on the servers' disks each", "receiver's memory, peak",
		}, rows)
		refusals(w, c.Variants)
	}
}

func servers(r Run) float64 { return float64(r.Servers) }
func stored(r Run) float64  { return r.Stored }

// ranged is a median with its range.
func ranged(s Spread, write func(float64) string) string {
	return fmt.Sprintf("%s (%s to %s)", write(s.Median), write(s.Least), write(s.Most))
}

// orNone writes a dash for what was not measured.
func orNone(v float64, write func(float64) string) string {
	if v == 0 {
		return "–"
	}
	return write(v)
}
