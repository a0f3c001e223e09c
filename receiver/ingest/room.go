package ingest

import "sync/atomic"

// room bounds the memory of bodies. Connections that have not proven themselves share half of it, so that however many of them send slowly, those
// that have find room. For their first buffers, which hold a usual callback as a whole, there is another quarter: strangers that send
// large bodies don't keep out those that are just about to prove themselves.
type room struct {
	most            int64
	held, strangers atomic.Int64
	callbacks       atomic.Int64
}

// enter takes room for the callback's first buffer. A callback that entered must leave.
func (r *room) enter(c *callback) bool {
	if !r.take(c, int64(cap(c.buf)), r.most/4*3) {
		return false
	}
	r.callbacks.Add(1)
	return true
}

// widen takes room for more bytes of the callback's body.
func (r *room) widen(c *callback, n int64) bool { return r.take(c, n, r.most/2) }

// take takes room for n bytes, if that leaves strangers together no more than their share.
func (r *room) take(c *callback, n, share int64) bool {
	if c.stranger && r.strangers.Add(n) > share {
		r.strangers.Add(-n)
		return false
	}
	if r.held.Add(n) <= r.most {
		return true
	}
	r.held.Add(-n)
	if c.stranger {
		r.strangers.Add(-n)
	}
	return false
}

func (r *room) leave(c *callback) {
	n := int64(cap(c.buf))
	r.callbacks.Add(-1)
	r.held.Add(-n)
	if c.stranger {
		r.strangers.Add(-n)
	}
}
