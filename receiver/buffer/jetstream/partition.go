package jetstream

import (
	"container/heap"
	"slices"
	"time"
)

// The functions of this file are called with queue.mu held.

// entry is an event in memory. What buffer.Delivery.Lease holds is the head of a lane.
type entry struct {
	p        *partition
	lane     *lane
	seq      uint64
	attempts uint32
	received int64  // in Unix nanoseconds
	due      int64  // likewise; of a head that waits
	record   []byte // nil: to be read
	done     bool   // as the cursor has it: settled, or kept with its lane
	kept     bool   // it is the head of what is kept of its lane
	leased   bool
	ended    bool
	behind   *entry // the next follower of its lane in memory
	index    int    // in the heap of those that wait
}

// lane is a subject of which something is pending: one head, and followers. Of the followers those that are kept, in the stream, are older.
type lane struct {
	key         key
	head        *entry
	settling    bool // the head is settled and that is being stored
	first, last *entry
	inMemory    int
	stored      kept     // count is zero if nothing is kept
	current     []uint64 // the followers of the first chunk that are left; nil: to be read
}

// follow puts a new event at the end of a lane.
func (ln *lane) follow(e *entry) {
	ln.inMemory++
	if ln.last == nil {
		ln.first, ln.last = e, e
		return
	}
	ln.last.behind, ln.last = e, e
}

// popFirst takes the first follower in memory off a lane; nil if there is none.
func (ln *lane) popFirst() *entry {
	e := ln.first
	if e == nil {
		return nil
	}
	if ln.first = e.behind; ln.first == nil {
		ln.last = nil
	}
	e.behind = nil
	ln.inMemory--
	return e
}

// needsChunk says that the next follower is not known before the first chunk is read.
func (ln *lane) needsChunk() bool {
	return ln.stored.count > 1 && len(ln.current) == 0 && len(ln.stored.chunks) > 0
}

// popKept makes the first kept follower the head of what is kept. It returns the chunk that is used up by that, if one is.
func (ln *lane) popKept() (used *chunk) {
	k := &ln.stored
	k.count--
	k.attempts, k.due = 0, 0
	switch {
	case k.count == 0:
		k.seq = 0
	case len(ln.current) > 0:
		k.seq = ln.current[0]
		if ln.current = ln.current[1:]; len(ln.current) == 0 {
			c := k.chunks[0]
			k.chunks, ln.current = k.chunks[1:], nil
			return &c
		}
	default:
		k.seq, k.inline = k.inline[0], k.inline[1:]
	}
	return nil
}

// partition is one of the parts of a stream that this receiver has.
type partition struct {
	number  int
	stored  cursor // as written last, or about to be
	seq     uint64 // of that message
	window  []*entry
	ahead   []run  // done, and not read yet
	aheadN  uint64 // how many events those are
	read    uint64 // every event up to this one was read
	lanes   map[key]*lane
	pending int64 // events that were read and are not settled, and kept ones
	unread  int64 // what was there to be read when the partition was taken
	damaged bool  // its cursor could not be read when it was taken

	leased  int
	leaving bool // nothing more is leased
	lost    bool // another receiver has it, or nobody
	dead    int64
	reader  *reader

	purged  uint64    // settled events below it are dropped; the sweeper's
	deadDue time.Time // no dead letter's time is over before; the sweeper's
	line    line

	failing time.Time // since when a write of its state fails; zero: none does
	failure error     // why
}

// floor is the sequence number below which all is done.
func (p *partition) floor() uint64 {
	if len(p.window) > 0 {
		return p.window[0].seq
	}
	if p.reader != nil {
		return max(p.read, p.reader.position) + 1
	}
	return p.read + 1
}

// trim drops from the window what is done at its beginning.
func (p *partition) trim() (dropped int) {
	n := 0
	for n < len(p.window) && p.window[n].done {
		p.window[n] = nil
		n++
	}
	p.window = p.window[n:]
	if len(p.window) == 0 {
		p.window = nil
	}
	return n
}

// snapshot is the cursor that says what is done now.
func (p *partition) snapshot() cursor {
	c := p.stored
	c.floor, c.above, c.runs = p.floor(), 0, nil
	var open bool
	for _, e := range p.window {
		switch {
		case !e.done:
			open = false
			continue
		case open:
			c.runs[len(c.runs)-1].last = e.seq
		default:
			c.runs, open = append(c.runs, run{e.seq, e.seq}), true
		}
		c.above++
	}
	for _, r := range p.ahead {
		if r.last >= c.floor {
			c.runs = append(c.runs, run{max(r.first, c.floor, p.read+1), r.last})
		}
	}
	c.above += p.aheadN
	return c
}

// doneAlready says whether the event that is read next was done before this receiver had the partition.
func (p *partition) doneAlready(seq uint64) bool {
	for len(p.ahead) > 0 && p.ahead[0].last < seq {
		p.ahead = p.ahead[1:]
	}
	if len(p.ahead) == 0 {
		p.aheadN = 0
		return false
	}
	if seq < p.ahead[0].first {
		return false
	}
	p.aheadN = max(p.aheadN, 1) - 1
	return true
}

// waiting is the heap of heads that wait for their time.
type waiting []*entry

func (w waiting) Len() int { return len(w) }

func (w waiting) Less(i, j int) bool {
	if w[i].due != w[j].due {
		return w[i].due < w[j].due
	}
	return w[i].seq < w[j].seq
}

func (w waiting) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].index, w[j].index = i, j
}

// Push implements heap.Interface.
func (w *waiting) Push(x any) {
	e, _ := x.(*entry)
	e.index = len(*w)
	*w = append(*w, e)
}

// Pop implements heap.Interface.
func (w *waiting) Pop() any {
	last := len(*w) - 1
	e := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	return e
}

// drop removes what belongs to a partition that is lost.
func (w *waiting) drop(p *partition) {
	*w = slices.DeleteFunc(*w, func(e *entry) bool { return e.p == p })
	for i, e := range *w {
		e.index = i
	}
	heap.Init(w)
}
