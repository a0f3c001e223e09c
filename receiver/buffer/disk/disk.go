package disk

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// formatVersion is the version of everything that doc.go says of the layout.
const formatVersion = 1

// Options say where and how a buffer is kept.
type Options struct {
	// Dir is the data directory; it is made if it is not there. One process at a time uses it.
	Dir string
	// MaxBytes bounds the space that the buffer takes. Zero: what the file system has.
	MaxBytes int64
	// Log receives what goes on in the background. Default: none of it.
	Log *slog.Logger
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// SweepInterval is how often what is no longer kept is dropped. Default: 1 minute; negative: only when Sweep is called.
	SweepInterval time.Duration
	// FS is the file system. Default: the operating system's.
	FS vfs.FS
	// Synced is told how long each sync of the write-ahead log took: what Append and Settle wait for. Default: nobody is told.
	Synced func(took time.Duration)
	// Fatal ends the process when the buffer can't go on: a restart recovers all that was acknowledged. It must not return. Default: it panics.
	Fatal func(detail string)
}

// Buffer is a buffer.Buffer on the local disk.
type Buffer struct {
	db      *pebble.DB
	log     *slog.Logger
	now     func() time.Time
	options Options

	running  atomic.Bool // Open has found no damage
	resigned bool        // there is some, and nothing could be saved

	space    *space
	appender *appender
	sweeper  *sweeper

	closing sync.RWMutex // held for reading while the database is in use outside of the goroutines that Close joins
	closed  chan struct{}

	mu         sync.Mutex
	queues     map[string]*queue
	nextNumber uint32
}

// Open opens the buffer in a directory, or makes one. It is ready when Open returns, however many events wait.
func Open(o Options) (*Buffer, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.SweepInterval == 0 {
		o.SweepInterval = time.Minute
	}
	if o.Fatal == nil {
		o.Fatal = func(detail string) { panic("buffer cannot go on: " + detail) } //nolint:forbidigo // it must not return
	}
	onDisk := o.FS == nil
	if onDisk {
		o.FS = vfs.Default
	}
	o.FS = markerFS{o.FS}
	b := &Buffer{log: o.Log, now: o.Now, options: o, closed: make(chan struct{}), queues: map[string]*queue{}}
	dir, err := create(o)
	if err != nil {
		return nil, explainDenied(o, fmt.Errorf("make the buffer in %s: %w", o.Dir, err))
	}
	if onDisk {
		// Events are people's messages. A mounted volume belongs to somebody else, who has seen to that.
		_ = os.Chmod(o.Dir, 0o700) //nolint:gosec // a directory
	}
	b.space = newSpace(o, b.closed)
	if onDisk {
		b.space.freeInterval = freeInterval
	}
	if err := b.start(o, dir); err != nil {
		return nil, explainDenied(o, err)
	}
	b.space.refresh()
	b.appender.start()
	b.sweeper = newSweeper(b, o.SweepInterval)
	b.sweeper.start()
	return b, nil
}

// load reads the format version, the sequence and the queues.
func (b *Buffer) load() error {
	version, err := b.getUint64(keyFormat)
	switch {
	case err != nil:
		return fmt.Errorf("read the buffer's format version: %w", err)
	case version == 0:
		return fmt.Errorf("the buffer has no format version: a file of it is damaged or missing: %s", withoutCopy)
	case version != formatVersion:
		return fmt.Errorf("the buffer has format version %d and this program knows version %d: run the version that wrote it until it is drained, or use a new data directory", version, formatVersion)
	}
	sequence, err := b.getUint64(keySequence)
	if err != nil {
		return fmt.Errorf("read the buffer's sequence number: %w", err)
	}
	b.appender = newAppender(b, sequence)
	return b.loadQueues(sequence)
}

// queueMeta is what is stored of a queue itself.
type queueMeta struct {
	Number   uint32          `json:"number"`
	Settings buffer.Settings `json:"settings"`
}

func (b *Buffer) loadQueues(sequence uint64) error {
	it, err := b.db.NewIter(&pebble.IterOptions{LowerBound: prefixQueue, UpperBound: prefixEnd(prefixQueue)})
	if err != nil {
		return fmt.Errorf("read the buffer's queues: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		name := string(it.Key()[len(prefixQueue):])
		var meta queueMeta
		if err := json.Unmarshal(it.Value(), &meta); err != nil {
			return errors.Join(fmt.Errorf("read the buffer's queue %s: %w", name, err), it.Close())
		}
		q, err := openQueue(b, name, meta, sequence)
		if err != nil {
			return errors.Join(fmt.Errorf("open the buffer's queue %s: %w", name, err), it.Close())
		}
		b.queues[name] = q
		b.nextNumber = max(b.nextNumber, meta.Number+1)
	}
	return it.Close()
}

// Queue implements buffer.Buffer.
func (b *Buffer) Queue(endpoint string, s buffer.Settings) (buffer.Queue, error) {
	release, err := b.use()
	if err != nil {
		return nil, err
	}
	defer release()
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.queues[endpoint]
	meta := queueMeta{Number: b.nextNumber, Settings: s}
	if q != nil {
		meta.Number = q.number
	}
	if q == nil || q.settings() != s {
		value, err := json.Marshal(meta)
		if err != nil {
			return nil, fmt.Errorf("write the queue's settings: %w", err)
		}
		if err := b.db.Set(append(slices.Clone(prefixQueue), endpoint...), value, pebble.Sync); err != nil {
			return nil, fmt.Errorf("write the queue's settings: %w", err)
		}
	}
	if q == nil {
		if q, err = openQueue(b, endpoint, meta, 0); err != nil {
			return nil, err
		}
		b.queues[endpoint] = q
		b.nextNumber++
		b.writeNames()
	}
	q.configure(s)
	return q, nil
}

// Queues implements buffer.Buffer.
func (b *Buffer) Queues() []string {
	var names []string
	for _, q := range b.allQueues() {
		if s := q.Stats(); s.Pending > 0 || s.Dead > 0 {
			names = append(names, q.name)
		}
	}
	return names
}

// Peek implements buffer.Buffer.
func (b *Buffer) Peek(endpoint string) (buffer.Stats, bool) {
	b.mu.Lock()
	q := b.queues[endpoint]
	b.mu.Unlock()
	if q == nil {
		return buffer.Stats{}, false
	}
	return q.Stats(), true
}

func (b *Buffer) allQueues() []*queue {
	b.mu.Lock()
	defer b.mu.Unlock()
	queues := make([]*queue, 0, len(b.queues))
	for _, q := range b.queues {
		queues = append(queues, q)
	}
	return queues
}

// Ready implements buffer.Buffer.
func (b *Buffer) Ready() error {
	select {
	case <-b.closed:
		return buffer.ErrClosed
	default:
	}
	if err := b.appender.failure(); err != nil {
		return err
	}
	return b.space.room()
}

// Bytes implements buffer.Buffer.
func (b *Buffer) Bytes() int64 {
	release, err := b.use()
	if err != nil {
		return 0
	}
	defer release()
	return int64(min(b.db.Metrics().DiskSpaceUsage(), 1<<62)) // bounded
}

// Close implements buffer.Buffer.
func (b *Buffer) Close() error {
	b.mu.Lock()
	select {
	case <-b.closed:
		b.mu.Unlock()
		return nil
	default:
		close(b.closed)
	}
	b.mu.Unlock()
	b.sweeper.stop()
	b.appender.stop()
	b.closing.Lock() // waits for whoever is in the database, and for good
	defer b.closing.Unlock()
	for _, q := range b.allQueues() {
		q.timer.Stop()
		q.leaveCursor()
	}
	if err := b.db.Close(); err != nil {
		return fmt.Errorf("close the buffer: %w", err)
	}
	return nil
}

// use keeps the database open until the returned function is called, or returns ErrClosed.
func (b *Buffer) use() (release func(), err error) {
	b.closing.RLock()
	select {
	case <-b.closed:
		b.closing.RUnlock()
		return nil, buffer.ErrClosed
	default:
		return b.leave, nil
	}
}

// leave is what use returns. Deferred, it also notices that Pebble panicked.
func (b *Buffer) leave() {
	p := recover()
	b.closing.RUnlock()
	if p != nil {
		b.exit(p)
	}
}

// exit ends the process after a panic.
func (b *Buffer) exit(p any) {
	b.log.Error("Buffer cannot go on and stops the process: check the disk", "detail", fmt.Sprint(p), "stack", string(debug.Stack()))
	b.options.Fatal(fmt.Sprint(p))
}

// getUint64 reads a value that uint64Value made; zero if there is none.
func (b *Buffer) getUint64(key []byte) (v uint64, err error) {
	value, closer, err := b.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	if len(value) < 8 {
		return 0, errCorrupt
	}
	return binary.BigEndian.Uint64(value), nil
}

func uint64Value(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

var _ buffer.Buffer = (*Buffer)(nil)
