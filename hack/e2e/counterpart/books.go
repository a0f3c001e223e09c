package main

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hookbay/hookbay/hack/e2e/control"
)

// maxListed bounds the lists of a report: a test reads the first lines, and counts the rest.
const maxListed = 500

// mark names a callback: the n-th of a subject of a load. It is in the body, so it comes back with the delivery.
type mark struct {
	load       string
	subject, n int
}

func (m mark) String() string { return fmt.Sprintf("%s.%d.%d", m.load, m.subject, m.n) }

// parseMark is the inverse of String.
func parseMark(s string) (m mark, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return mark{}, false
	}
	subject, err1 := strconv.Atoi(parts[1])
	n, err2 := strconv.Atoi(parts[2])
	return mark{load: parts[0], subject: subject, n: n}, err1 == nil && err2 == nil && subject >= 0 && n >= 0
}

// books keep account of what was acknowledged and of what was delivered.
type books struct {
	mu    sync.Mutex
	loads map[string]*account
}

// account is one load's.
type account struct {
	report   control.Report // but for what is counted when it is asked for
	subjects []history
}

// history is one subject's: by the number of the callback, and by replica the last that it delivered.
type history struct {
	acknowledged, delivered []bool
	last                    map[string]int
}

func newBooks() *books { return &books{loads: map[string]*account{}} }

// open begins a load's account. It fails if there is one of that name.
func (b *books) open(load string, subjects int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.loads[load] != nil {
		return fmt.Errorf("there is a load %q already: choose another name", load)
	}
	b.loads[load] = &account{subjects: make([]history, subjects), report: control.Report{Replicas: map[string]int{}}}
	return nil
}

// acknowledged books a callback that was answered as the platform wants, in time or not.
func (b *books) acknowledged(m mark, took, limit time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.loads[m.load]
	a.report.Sent++
	a.report.Acknowledged++
	a.report.Slowest = max(a.report.Slowest, took)
	if took > limit {
		a.report.Late++
	}
	set(&a.subjects[m.subject].acknowledged, m.n)
}

// slow books a callback that could not be stored in time.
func (b *books) slow(m mark) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.loads[m.load]
	a.report.Sent++
	a.report.Slow++
}

// failed books a callback that the platform would call failed.
func (b *books) failed(m mark, f control.Failure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.loads[m.load]
	a.report.Sent++
	a.report.Failed++
	if len(a.report.Failures) < maxListed {
		a.report.Failures = append(a.report.Failures, f)
	}
}

// delivered books an event that the target takes, from a replica. Order is judged by what is delivered for the first time: an event comes
// again if the replica could not know that it had arrived. And only by what was acknowledged: the subject's next callback is sent when the one before
// is answered, and what was refused for being slow may be stored all the same, after the next.
func (b *books) delivered(m mark, replica string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.loads[m.load]
	if a == nil || m.subject >= len(a.subjects) {
		return // of a counterpart before this one
	}
	h := &a.subjects[m.subject]
	if !set(&h.delivered, m.n) {
		a.report.Repeated++
		return
	}
	a.report.Delivered++
	a.report.Replicas[replica]++
	if h.last == nil {
		h.last = map[string]int{}
	}
	if last, ok := h.last[replica]; ok && m.n < last {
		acknowledged := m.n < len(h.acknowledged) && h.acknowledged[m.n]
		if acknowledged && len(a.report.Disordered) < maxListed {
			a.report.Disordered = append(a.report.Disordered, fmt.Sprintf("%s came after number %d, by %s", m, last, replica))
		}
		return
	}
	h.last[replica] = m.n
}

// set makes number n true, and says whether it was not.
func set(list *[]bool, n int) bool {
	for len(*list) <= n {
		*list = append(*list, false)
	}
	was := (*list)[n]
	(*list)[n] = true
	return !was
}

// report is a load's, as of now.
func (b *books) report(load string) (control.Report, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.loads[load]
	if a == nil {
		return control.Report{}, false
	}
	r := a.report
	r.Now = time.Now()
	r.Failures = append([]control.Failure(nil), r.Failures...)
	r.Disordered = append([]string(nil), r.Disordered...)
	r.Replicas = maps.Clone(r.Replicas)
	for i := range a.subjects {
		h := &a.subjects[i]
		for n, acknowledged := range h.acknowledged {
			if acknowledged && (n >= len(h.delivered) || !h.delivered[n]) {
				r.Missing++
			}
		}
	}
	return r, true
}
