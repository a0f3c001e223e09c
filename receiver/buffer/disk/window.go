package disk

import (
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/bits-and-blooms/bloom/v3"
	"github.com/cockroachdb/pebble/v2"

	"github.com/hookbay/hookbay/receiver/event"
)

const (
	// firstFilter is how many identities a bucket's first filter is made for, at 1.2 bytes each; each further one is made for twice as
	// many, up to largestFilter. Beyond about 8 million in a bucket the last filter fills up, and more look-ups go to the disk.
	firstFilter   = 1 << 18
	largestFilter = 1 << 22
	// falsePositives is the share of new identities that are looked up on disk for nothing, for each filter. A tenth of that would take half as much
	// memory again, which with a long window is tens of MiB, and spare hardly any time.
	falsePositives = 0.01
	// warmChunk is how many identities are read between two turns for the committer.
	warmChunk = 1000
	// A bucket takes identities in for half of the window's length, within these. Longer: fewer look-ups for each event. Shorter: less is kept beyond
	// the window.
	shortestBucket = time.Minute
	longestBucket  = 4 * time.Hour
)

// window is a queue's deduplication window. What was appended is on disk; memory holds filters that tell, for nearly every new identity, that it need
// not be looked for there.
type window struct {
	number uint32

	mu      sync.Mutex
	buckets []*bucket // ascending
}

// bucket is the identities appended from a minute on, until the next bucket begins.
type bucket struct {
	number   uint32 // the minute since 1970 in which it began
	filters  []*bloom.BloomFilter
	last     uint // how many are in the last filter
	complete bool // the filters hold all that is on disk
}

func (b *bucket) add(id event.ID) {
	size := min(uint(firstFilter)<<max(len(b.filters)-1, 0), largestFilter)
	if len(b.filters) == 0 || (b.last >= size && size < largestFilter) {
		if len(b.filters) > 0 {
			size *= 2
		}
		b.filters, b.last = append(b.filters, bloom.NewWithEstimates(size, falsePositives)), 0
	}
	b.filters[len(b.filters)-1].Add(id[:])
	b.last++
}

// mayHold is false only if the bucket certainly does not hold the identity.
func (b *bucket) mayHold(id event.ID) bool {
	if !b.complete {
		return true
	}
	for _, f := range b.filters {
		if f.Test(id[:]) {
			return true
		}
	}
	return false
}

// began is the beginning of the bucket's first minute.
func (b *bucket) began() time.Time {
	return time.Unix(int64(b.number)*60, 0)
}

// bucketLength is for how long a bucket of a window takes identities in.
func bucketLength(window time.Duration) time.Duration {
	return min(max(window/2, shortestBucket), longestBucket)
}

// bucketPrefix is the beginning of all identity keys of a bucket.
func bucketPrefix(queue, bucket uint32) []byte {
	return binary.BigEndian.AppendUint32(prefix(kindIdentity, queue), bucket)
}

// load finds the buckets, by one seek for each.
func (w *window) load(db *pebble.DB) error {
	p := prefix(kindIdentity, w.number)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: p, UpperBound: prefixEnd(p)})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; {
		key := it.Key()
		if len(key) < len(p)+4 {
			return closeWith(it, errCorrupt)
		}
		b := &bucket{number: binary.BigEndian.Uint32(key[len(p):])}
		w.buckets = append(w.buckets, b)
		ok = it.SeekGE(prefixEnd(bucketPrefix(w.number, b.number)))
	}
	return it.Close()
}

// warm fills the filters of the buckets that were there when the buffer was opened.
func (w *window) warm(db *pebble.DB, closed <-chan struct{}) error {
	w.mu.Lock()
	buckets := append([]*bucket(nil), w.buckets...)
	w.mu.Unlock()
	for _, b := range buckets {
		if b.complete { // only this goroutine completes one
			continue
		}
		if err := w.fill(db, b, closed); err != nil {
			return err
		}
	}
	return nil
}

// fill reads a bucket's identities into its filters. What is appended meanwhile is added to them by the committer.
func (w *window) fill(db *pebble.DB, b *bucket, closed <-chan struct{}) error {
	p := bucketPrefix(w.number, b.number)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: p, UpperBound: prefixEnd(p)})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; {
		select {
		case <-closed:
			return it.Close()
		default:
		}
		w.mu.Lock()
		for n := 0; ok && n < warmChunk; n++ {
			if id := it.Key()[len(p):]; len(id) == len(event.ID{}) {
				b.add(event.ID(id))
			}
			ok = it.Next()
		}
		w.mu.Unlock()
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return err
	}
	w.mu.Lock()
	b.complete = true
	w.mu.Unlock()
	return nil
}

// add notes what is appended now and returns its bucket. A clock that went back goes on with the newest bucket, so that buckets stay in order.
func (w *window) add(id event.ID, now time.Time, length time.Duration) (number uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.buckets); n == 0 || !now.Before(w.buckets[n-1].began().Add(bucketLength(length))) {
		minute := uint32(max(now.Unix()/60, 0)) //nolint:gosec // minutes fit until the year 10136
		w.buckets = append(w.buckets, &bucket{number: minute, complete: true})
	}
	b := w.buckets[len(w.buckets)-1]
	b.add(id)
	return b.number
}

// ended is a time from which on nothing was added to a bucket: the end of the minute in which the next one began.
func (w *window) ended(i int) time.Time {
	if i+1 < len(w.buckets) {
		return w.buckets[i+1].began().Add(shortestBucket)
	}
	return w.buckets[i].began().Add(longestBucket) // the window may have been longer when it began
}

// candidates returns the buckets that may hold an identity appended since then, the newest first.
func (w *window) candidates(dst []uint32, id event.ID, since time.Time) []uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.buckets) - 1; i >= 0 && w.ended(i).After(since); i-- {
		if w.buckets[i].mayHold(id) {
			dst = append(dst, w.buckets[i].number)
		}
	}
	return dst
}

// seen says whether id was appended less than length ago.
func (w *window) seen(db *pebble.DB, id event.ID, now time.Time, length time.Duration) (bool, error) {
	var few [8]uint32
	for _, number := range w.candidates(few[:0], id, now.Add(-length)) {
		value, closer, err := db.Get(appendIdentityKey(make([]byte, 0, 32), w.number, number, id))
		if errors.Is(err, pebble.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		at := time.Unix(0, 0)
		if len(value) >= 8 {
			at = time.Unix(0, int64(binary.BigEndian.Uint64(value))) //nolint:gosec // stamp made it from an int64
		}
		if err := closer.Close(); err != nil {
			return false, err
		}
		if now.Sub(at) < length {
			return true, nil
		}
	}
	return false, nil
}

// expire forgets the buckets that are wholly older than the window, and returns the first number that stays.
func (w *window) expire(now time.Time, length time.Duration) (first uint32, dropped bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for n < len(w.buckets) && !w.ended(n).After(now.Add(-length)) {
		first = w.buckets[n].number + 1
		n++
	}
	w.buckets = append([]*bucket(nil), w.buckets[n:]...)
	return first, n > 0
}
