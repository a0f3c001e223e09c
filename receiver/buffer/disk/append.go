package disk

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
)

const (
	// maxGroupBytes bounds one commit: a batch over half a memtable would be flushed on its own.
	maxGroupBytes = 256 << 10
	// largestKept and mostKept bound the memory of requests that are kept to be used again: bytes of records, and events.
	largestKept = 64 << 10
	mostKept    = 16
)

// request is one call of Append.
type request struct {
	queue    *queue
	items    []item
	bytes    int
	appended buffer.Appended
	err      error
	done     chan struct{}
}

// item is one event of a request.
type item struct {
	id     event.ID
	record []byte
	seq    uint64 // 0: a repeat
}

// appender turns all Appends that wait at one moment into one commit.
//
//	Append ─▶ waiting ─▶ committer: deduplicate, number, apply, sync ─▶ Append returns
//
// What arrives while a group is being synced is the next group: the slower the disk, the larger the groups.
type appender struct {
	b *Buffer

	mu        sync.Mutex
	waiting   []*request
	late      []*request // whose callers have given up
	lateBytes int
	failed    error // sticky: a sync that failed leaves nothing to trust

	unused  sync.Pool // of *request
	wake    chan struct{}
	quit    chan struct{}
	running sync.WaitGroup

	sequence uint64 // owned by the committer
	fresh    map[identity]struct{}
	groups   gathering
}

// identity is an event's ID in its queue.
type identity struct {
	queue uint32
	id    event.ID
}

func newAppender(b *Buffer, sequence uint64) *appender {
	return &appender{
		b: b, sequence: sequence,
		wake: make(chan struct{}, 1), quit: make(chan struct{}),
		fresh: map[identity]struct{}{},
	}
}

func (a *appender) start() {
	a.running.Go(a.runCommitter)
}

// stop lets what waits be committed, then ends the committer.
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
	a := q.b.appender
	r, ok := a.unused.Get().(*request)
	if !ok {
		r = &request{done: make(chan struct{}, 1)}
	}
	r.encode(q, events)
	if err := a.enqueue(r); err != nil {
		return buffer.Appended{}, err
	}
	select {
	case <-r.done:
		appended, err := r.appended, r.err
		if r.bytes <= largestKept && len(r.items) <= mostKept {
			a.unused.Put(r)
		}
		return appended, err
	case <-ctx.Done():
		a.giveUp(r) // the committer may have it still: it is not used again
		return buffer.Appended{}, fmt.Errorf("wait for the disk: %w", context.Cause(ctx))
	}
}

// encode makes a request, new or used before, one of these events.
func (r *request) encode(q *queue, events []event.Event) {
	r.queue, r.bytes = q, 0
	r.items = slices.Grow(r.items[:0], len(events))[:len(events)]
	for i := range events {
		it := &r.items[i]
		it.id, it.record = events[i].ID, appendRecord(it.record[:0], &events[i])
		r.bytes += len(it.record)
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
	defer a.b.guard()
	for last := false; !last; {
		select {
		case <-a.wake:
			a.gather()
		case <-a.quit:
			last = true // nothing is enqueued after this
		}
		for {
			requests := a.take()
			if a.groups.last = len(requests); len(requests) == 0 {
				break
			}
			a.commit(requests)
			a.gather()
		}
	}
}

// gather waits until the group is worth a commit.
func (a *appender) gather() {
	crowd := a.groups.crowd(a.length())
	yield(a.length)
	awaitHalf(crowd, a.length)
}

func (a *appender) length() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.waiting)
}

// commit makes a group durable and lets its callers go.
func (a *appender) commit(requests []*request) {
	err := a.b.space.room()
	if err != nil {
		a.b.sweeper.hurry()
	} else if err = a.failure(); err == nil {
		err = a.write(requests)
	}
	for _, r := range requests {
		if r.err = err; err != nil {
			r.appended = buffer.Appended{}
		}
		r.announce()
		r.done <- struct{}{} // from here on it is its caller's
	}
}

// write applies a group as one batch and waits for its sync.
func (a *appender) write(requests []*request) error {
	batch := a.b.db.NewBatch()
	defer func() { _ = batch.Close() }() // by then it is applied, or worth nothing
	now, before := a.b.now(), a.sequence
	if err := a.number(requests, now); err != nil {
		a.sequence = before
		return fmt.Errorf("read the deduplication window: %w", err)
	}
	if a.sequence == before {
		return nil // nothing but repeats of what was synced before
	}
	a.fill(batch, requests, now)
	must(batch.Set(keySequence, uint64Value(a.sequence), nil))
	a.count(batch, requests)
	a.b.space.add(batch.Len())
	if err := a.b.db.Apply(batch, pebble.Sync); err != nil {
		return a.fail(err)
	}
	return nil
}

// number tells repeats from new events and numbers these.
func (a *appender) number(requests []*request, now time.Time) error {
	clear(a.fresh)
	for _, r := range requests {
		r.appended = buffer.Appended{}
		window := r.queue.settings().DeduplicationWindow
		for i := range r.items {
			it := &r.items[i]
			seen, err := a.seen(r.queue, it.id, now, window)
			if err != nil {
				return err
			}
			if it.seq = 0; seen {
				r.appended.Duplicates++
				continue
			}
			a.sequence++
			it.seq = a.sequence
			r.appended.Stored++
		}
	}
	return nil
}

// seen says whether an identity is known, in this group or from the window; then it is known.
func (a *appender) seen(q *queue, id event.ID, now time.Time, window time.Duration) (bool, error) {
	if window <= 0 {
		return false, nil
	}
	key := identity{q.number, id}
	if _, seen := a.fresh[key]; seen {
		return true, nil
	}
	a.fresh[key] = struct{}{}
	return q.window.seen(a.b.db, id, now, window)
}

// fill puts the new events into the batch: first the records, whose keys rise, then the identities, whose keys are all over the place. Mixed, each
// would have to be searched for from the top.
func (a *appender) fill(batch *pebble.Batch, requests []*request, now time.Time) {
	key := make([]byte, 0, 32)
	for _, r := range requests {
		for _, it := range r.items {
			if it.seq > 0 {
				key = appendSeqKey(key[:0], kindPending, r.queue.number, it.seq)
				must(batch.Set(key, seal(it.record, it.seq), nil))
			}
		}
	}
	at := uint64Value(stamp(now))
	for _, r := range requests {
		length := r.queue.settings().DeduplicationWindow
		if length <= 0 {
			continue
		}
		for _, it := range r.items {
			if it.seq > 0 {
				key = appendIdentityKey(key[:0], r.queue.number, r.queue.window.add(it.id, now, length), it.id)
				must(batch.Set(key, at, nil))
			}
		}
	}
}

// announce tells the queue what can be delivered now.
func (r *request) announce() {
	if r.appended.Stored == 0 {
		return
	}
	last := uint64(0)
	for _, it := range r.items {
		last = max(last, it.seq)
	}
	r.queue.durable(last, uint64(r.appended.Stored)) //nolint:gosec // not negative
}

// count adds the stored events to their queues' counters.
func (a *appender) count(batch *pebble.Batch, requests []*request) {
	touched := map[*queue]int{}
	for _, r := range requests {
		touched[r.queue] += r.appended.Stored
	}
	for q, n := range touched {
		if n > 0 {
			q.appendedTotal += uint64(n) // positive
			must(batch.Set(prefix(kindAppended, q.number), uint64Value(q.appendedTotal), nil))
		}
	}
}

// fail ends the process after a failed sync: what the file system has kept of it, nobody can tell but the next start.
func (a *appender) fail(err error) error {
	a.mu.Lock()
	first := a.failed == nil
	if first {
		a.failed = fmt.Errorf("the disk failed and the receiver must be restarted: %w", err)
	}
	failed := a.failed
	a.mu.Unlock()
	if first {
		a.b.log.Error("Buffer cannot write any more and stops the process: check the disk", "error", err)
		a.b.options.Fatal(failed.Error())
	}
	return failed
}

// must panics on an error of a batch in memory, which Pebble only returns for a batch that is closed or applied: a mistake in this package.
func must(err error) {
	if err != nil {
		panic(err) //nolint:forbidigo // nobody could act on it as an error
	}
}

func closeWith(it *pebble.Iterator, err error) error {
	_ = it.Close() // err is the first and the better
	return err
}
