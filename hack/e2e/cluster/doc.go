// Package cluster tests Hookbay in a real cluster of two or more nodes: the chart, the images, and what the README promises while pods, nodes and
// managers come and go under a steady load. hack/e2e/run.sh builds what it needs and runs it; see docs/testing.md.
//
// A counterpart in the cluster (hack/e2e/counterpart) plays the platforms and the target, and keeps account of each callback. No verdict hangs on
// the clock: tests wait for conditions, with deadlines that only a hang exceeds. Times that are worth knowing are printed.
//
// What is tested is in the order of TestHookbay. Each feature makes what it needs and leaves both endpoints well, so that
// -args -feature 'drained' runs one alone.
package cluster
