package disk

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
)

const (
	// maxGroupBytes bounds one commit: a batch over half a memtable would be flushed on its own.
	maxGroupBytes = 256 << 10
	// gatherRounds is how often the committer lets others run while the group still grows. On a fast disk a sync is shorter than it takes the
	// woken callers to come back; without this, groups stay at a handful of events.
	gatherRounds = 8
)

// request is one call of Append.
type request struct {
	queue    *queue
	ids      []event.ID
	records  [][]byte
	bytes    int
	appended buffer.Appended
	last     uint64 // the last sequence number given to it
	err      error
	done     chan struct{}
}

// appender turns all Appends that wait at one moment into one commit.
//
//	Append ─▶ waiting ─▶ committer: deduplicate, number, apply ─▶ syncer: wait for the sync ─▶ Append returns
//
// While one group waits for its sync the committer prepares the next. Groups are synced in the order they were applied.
type appender struct {
	b *Buffer

	mu      sync.Mutex
	waiting []*request
	failed  error // sticky: a sync that failed leaves nothing to trust

	wake    chan struct{}
	quit    chan struct{}
	applied chan group
	running sync.WaitGroup

	sequence uint64 // owned by the committer
	fresh    map[identity]struct{}
}

// identity is an event's ID in its queue.
type identity struct {
	queue uint32
	id    event.ID
}

// group is what is committed at once. A nil batch has nothing new; it waits for the groups before it.
type group struct {
	requests []*request
	batch    *pebble.Batch
}

func newAppender(b *Buffer, sequence uint64) *appender {
	return &appender{
		b: b, sequence: sequence,
		wake: make(chan struct{}, 1), quit: make(chan struct{}), applied: make(chan group),
		fresh: map[identity]struct{}{},
	}
}

func (a *appender) start() {
	a.running.Add(2)
	go func() { defer a.running.Done(); a.runCommitter() }()
	go func() { defer a.running.Done(); a.runSyncer() }()
}

// stop lets what waits be committed, then ends both goroutines.
func (a *appender) stop() {
	close(a.quit)
	a.running.Wait()
}

func (a *appender) failure() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}

// Append implements buffer.Queue.
func (q *queue) Append(ctx context.Context, events []event.Event) (buffer.Appended, error) {
	if len(events) == 0 {
		return buffer.Appended{}, nil
	}
	r := &request{queue: q, ids: make([]event.ID, len(events)), records: make([][]byte, len(events)), done: make(chan struct{})}
	for i := range events {
		e := &events[i]
		// One allocation: the fixed parts and the varints take less than 128 bytes.
		record := make([]byte, 0, 128+len(e.Type)+len(e.Source)+len(e.Subject)+len(e.ContentType)+32*len(e.Extensions)+len(e.Body))
		r.records[i] = appendRecord(record, e)
		r.bytes += len(r.records[i])
		r.ids[i] = e.ID
	}
	if err := q.b.appender.enqueue(r); err != nil {
		return buffer.Appended{}, err
	}
	select {
	case <-r.done:
		return r.appended, r.err
	case <-ctx.Done():
		return buffer.Appended{}, fmt.Errorf("wait for the disk: %w", context.Cause(ctx))
	}
}

func (a *appender) enqueue(r *request) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.b.closed:
		return buffer.ErrClosed
	default:
	}
	if a.failed != nil {
		return a.failed
	}
	a.waiting = append(a.waiting, r)
	select {
	case a.wake <- struct{}{}:
	default:
	}
	return nil
}

// runCommitter owns the sequence and the deduplication.
func (a *appender) runCommitter() {
	defer close(a.applied)
	for {
		select {
		case <-a.wake:
			a.gather()
		case <-a.quit:
		}
		for {
			requests := a.take()
			if len(requests) == 0 {
				break
			}
			a.commit(requests)
		}
		select {
		case <-a.quit:
			return
		default:
		}
	}
}

// gather lets others run for as long as that makes the group grow.
func (a *appender) gather() {
	n := 0
	for range gatherRounds {
		a.mu.Lock()
		now := len(a.waiting)
		a.mu.Unlock()
		if now == n {
			return
		}
		n = now
		runtime.Gosched()
	}
}

// take cuts off the next group.
func (a *appender) take() []*request {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, bytes := 0, 0
	for n < len(a.waiting) && (n == 0 || bytes+a.waiting[n].bytes <= maxGroupBytes) {
		bytes += a.waiting[n].bytes
		n++
	}
	requests := a.waiting[:n:n]
	if a.waiting = a.waiting[n:]; len(a.waiting) == 0 {
		a.waiting = nil
	}
	return requests
}

// commit applies a group and hands it to the syncer.
func (a *appender) commit(requests []*request) {
	if err := a.b.space.room(); err != nil {
		a.b.sweeper.hurry()
		a.finish(group{requests: requests}, err)
		return
	}
	batch := a.b.db.NewBatch()
	clear(a.fresh)
	now, before := a.b.now(), a.sequence
	for i, r := range requests {
		if err := a.add(batch, r, now); err != nil {
			// The sequence numbers used so far are given up, never used again.
			_ = batch.Close() // it was not applied: nothing to save
			a.finish(group{requests: requests[i : i+1]}, fmt.Errorf("read the deduplication window: %w", err))
			rest := append(requests[:i:i], requests[i+1:]...)
			if len(rest) > 0 {
				a.commit(rest)
			}
			return
		}
	}
	if a.sequence == before {
		_ = batch.Close() // empty
		a.applied <- group{requests: requests}
		return
	}
	must(batch.Set(keySequence, uint64Value(a.sequence), nil))
	a.count(batch, requests)
	a.b.space.add(batch.Len())
	if err := a.b.db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
		a.finish(group{requests: requests}, fmt.Errorf("write to the buffer: %w", err))
		return
	}
	a.applied <- group{requests: requests, batch: batch}
}

// add puts a request's new events into the batch.
func (a *appender) add(batch *pebble.Batch, r *request, now time.Time) error {
	q := r.queue
	r.appended, r.last = buffer.Appended{}, 0
	window := q.settings().DeduplicationWindow
	key := make([]byte, 0, 32)
	for i, id := range r.ids {
		if window > 0 {
			known := identity{q.number, id}
			_, seen := a.fresh[known]
			if !seen {
				var err error
				if seen, err = q.window.seen(a.b.db, id, now, window); err != nil {
					return err
				}
			}
			if seen {
				r.appended.Duplicates++
				continue
			}
			a.fresh[known] = struct{}{}
			key = appendIdentityKey(key[:0], q.number, q.window.add(id, now), id)
			must(batch.Set(key, uint64Value(stamp(now)), nil))
		}
		a.sequence++
		r.last = a.sequence
		r.appended.Stored++
		key = appendSeqKey(key[:0], kindPending, q.number, a.sequence)
		must(batch.Set(key, seal(r.records[i], a.sequence), nil))
	}
	return nil
}

// count adds the stored events to their queues' counters.
func (a *appender) count(batch *pebble.Batch, requests []*request) {
	touched := map[*queue]int{}
	for _, r := range requests {
		touched[r.queue] += r.appended.Stored
	}
	for q, n := range touched {
		if n > 0 {
			q.appendedTotal += uint64(n) //nolint:gosec // positive
			must(batch.Set(prefix(kindAppended, q.number), uint64Value(q.appendedTotal), nil))
		}
	}
}

// runSyncer waits for each group's sync, in order, and lets its callers go.
func (a *appender) runSyncer() {
	for g := range a.applied {
		var err error
		if g.batch != nil {
			if err = g.batch.SyncWait(); err != nil {
				err = a.fail(err)
			}
			_ = g.batch.Close() // it was applied: nothing to save
		} else {
			err = a.failure()
		}
		a.finish(g, err)
	}
}

// fail remembers a failed sync: what the file system has kept of it, nobody can tell.
func (a *appender) fail(err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed == nil {
		a.failed = fmt.Errorf("the disk failed and the receiver must be restarted: %w", err)
		a.b.log.Error("Buffer cannot write any more", "error", err)
	}
	return a.failed
}

// finish tells the callers, and the queues what can be delivered now.
func (a *appender) finish(g group, err error) {
	for _, r := range g.requests {
		if r.err = err; err != nil {
			r.appended = buffer.Appended{}
		} else if r.last > 0 {
			r.queue.durable(r.last, uint64(r.appended.Stored)) //nolint:gosec // not negative
		}
		close(r.done)
	}
}

// must panics on an error of a batch in memory, which Pebble only returns for a batch that is closed or applied: a mistake in this package.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func closeWith(it *pebble.Iterator, err error) error {
	_ = it.Close() // err is the first and the better
	return err
}
