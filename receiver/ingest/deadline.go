package ingest

import "time"

// deadline is what a connection's reads or writes have of time. To change it at the system's timer costs more than all else that is done with a
// connection but to read and to write, and the server changes it three times a callback, mostly to what it was a moment before. So it is only noted;
// a read or write that is about to begin sets it, unless the one that is set is nearly as late.
//
// It belongs to the connection's goroutine.
type deadline struct{ wanted, set time.Time }

// toleranceShare is by what part of the time that is left a deadline may come too early.
const toleranceShare = 16

// due says whether the wanted deadline must be set now. The caller then does so.
func (d *deadline) due(until func(time.Time) time.Duration) bool {
	if d.wanted.Equal(d.set) {
		return false
	}
	if !d.wanted.IsZero() && !d.set.IsZero() && d.set.Before(d.wanted) {
		if d.wanted.Sub(d.set) <= until(d.wanted)/toleranceShare {
			return false
		}
	}
	d.set = d.wanted
	return true
}
