// Command bench measures how fast the receiver acknowledges, side by side with the least that any Go server does: a bare net/http handler that
// reads the body and answers 200.
//
//	go run ./hack/bench [-connections 64] [-duration 3s] [-rounds 5]
//
// Each variant runs in a process of its own and is loaded by this one, closed loop: each connection sends the next callback when the
// last is answered. Variants take turns, round by round, so that a machine whose speed drifts does not favour one; a ratio is
// the median of the rounds' own ratios. All figures are of one machine that also carries the load: compare them within one report.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"
)

// variant is one kind of server under load.
type variant struct {
	name string
	// serve is what -serve takes.
	serve string
}

var variants = []variant{
	{"bare net/http handler", serveBare},
	{"durable, delivery suspended", serveSuspended},
	{"durable, target draining", serveDraining},
}

// options are what the flags say.
type options struct {
	connections int
	duration    time.Duration
	rounds      int
	data        string
	profile     string
}

func main() {
	var o options
	var serve, target string
	flag.IntVar(&o.connections, "connections", 64, "how many connections send at once")
	flag.DurationVar(&o.duration, "duration", 3*time.Second, "how long each run lasts")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each variant runs")
	flag.StringVar(&o.data, "data", "bin", "the `directory` below which events are stored, on the disk to be measured")
	flag.StringVar(&o.profile, "profile", "", "write CPU profiles of the servers to this `directory`")
	flag.StringVar(&serve, "serve", "", "be a server under load: bare, suspended or draining (used by bench itself)")
	flag.StringVar(&target, "target", "", "where the server under load delivers to")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if serve != "" {
		err = runServer(ctx, serve, o.data, target, o.profile)
	} else {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) // what stop would release goes with the process
	}
}

func run(ctx context.Context, o options) error {
	if err := os.MkdirAll(o.data, 0o750); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.data, "bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // scratch space
	sync, err := syncLatency(dir)
	if err != nil {
		return err
	}
	fmt.Printf("%d connections, %d rounds of %v, fsync of 512 appended bytes: median %v\n", o.connections, o.rounds, o.duration, sync)

	results := map[string][]result{}
	for round := range o.rounds {
		for i, v := range variants {
			o.data = filepath.Join(dir, fmt.Sprint(round, "-", i))
			r, err := measure(ctx, v.serve, o)
			if err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
			results[v.name] = append(results[v.name], r)
			fmt.Fprintf(os.Stderr, "round %d/%d  %-28s %8.0f/s  p99 %v\n", round+1, o.rounds, v.name, r.rate, r.p99)
		}
	}
	report(results)
	return nil
}

// measure runs one variant once.
func measure(ctx context.Context, serve string, o options) (result, error) {
	args := []string{"-serve", serve, "-data", o.data, "-profile", o.profile}
	if serve == serveDraining {
		sink, err := start(ctx, "-serve", serveBare)
		if err != nil {
			return result{}, err
		}
		defer func() { _, _ = sink.stop() }() // its figures are not asked for
		args = append(args, "-target", sink.url)
	}
	server, err := start(ctx, args...)
	if err != nil {
		return result{}, err
	}
	r, loadErr := load(ctx, server.addr, o.connections, o.duration)
	cpu, err := server.stop()
	if loadErr != nil || err != nil {
		return result{}, fmt.Errorf("under load: %w; at stop: %w", loadErr, err)
	}
	r.cpu = cpu / time.Duration(max(r.acked, 1))
	return r, nil
}

// report prints the medians, each beside its ratio to the bare handler of the same rounds.
func report(results map[string][]result) {
	base := results[variants[0].name]
	fmt.Printf("\n| variant | acknowledged/s | ratio (least to most) | p50 | p99 | CPU a callback |\n|---|---|---|---|---|---|\n")
	for _, v := range variants {
		rs := results[v.name]
		ratios := make([]float64, len(rs))
		for i := range rs {
			ratios[i] = rs[i].rate / base[i].rate
		}
		slices.Sort(ratios)
		fmt.Printf("| %s | %.0f | %.2f (%.2f to %.2f) | %v | %v | %v |\n", v.name,
			median(rs, func(r result) float64 { return r.rate }), ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1],
			medianTime(rs, func(r result) time.Duration { return r.p50 }),
			medianTime(rs, func(r result) time.Duration { return r.p99 }),
			medianTime(rs, func(r result) time.Duration { return r.cpu }))
	}
}

func median(rs []result, of func(result) float64) float64 {
	values := make([]float64, len(rs))
	for i, r := range rs {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func medianTime(rs []result, of func(result) time.Duration) time.Duration {
	return time.Duration(median(rs, func(r result) float64 { return float64(of(r)) })).Round(100 * time.Nanosecond)
}

// syncLatency is what every single acknowledgement would cost at least.
func syncLatency(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, "fsync-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // scratch
	times := make([]time.Duration, 200)
	for i := range times {
		began := time.Now()
		if _, err := f.Write(make([]byte, 512)); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		times[i] = time.Since(began)
	}
	slices.Sort(times)
	return times[len(times)/2].Round(time.Microsecond), nil
}
