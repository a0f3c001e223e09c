// Package local tests the real program, as a process of its own: every recorded callback against the answer that its platform wants to
// hear, and the promises that are broken only by a crash, a long backlog, a full disk or a change of configuration.
//
//	go test ./hack/e2e/local                                   # what CI runs
//	go test ./hack/e2e/local -args -e2e.callbacks=100000       # a longer crash test
//	go test ./hack/e2e/local -run Backlog -args -e2e.backlog=200000 -e2e.subjects=20000
//
// No verdict hangs on the clock: tests act when a number of callbacks has been acknowledged or delivered, and wait for events with
// deadlines that only a hang exceeds. Times that are worth knowing are printed.
package local
