package disk

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// A damaged database is not worked with: the process ends when damage shows, and at the next start everything that can be read goes into a new
// one. What counts are the records of pending events, which stand for themselves: lanes, timers and the cursor are made anew from them,
// in the order of their numbers, so that every subject stays in order. Attempts begin at 1 again.
const (
	// damageMark is the file that tells the next start of damage; it holds the damaged file's name.
	damageMark = "damaged"
	// rescuedName is the new database when it is whole, before it takes the old one's place.
	rescuedName = "buffer.rescued"
	// keptName is the old one, for people to look at. The next rescue replaces it.
	keptName = "buffer.damaged"
	// rescueBatch bounds one batch of the copy, in bytes.
	rescueBatch = 256 << 10
	// unnamedMaxAge is how long events wait whose endpoint's name is lost with the damage, before they become dead letters.
	unnamedMaxAge = 24 * time.Hour
)

// isDamage says whether an error is about bytes that are not what was written.
func isDamage(err error) bool { return errors.Is(err, errCorrupt) || pebble.IsCorruptionError(err) }

// markDamage has the next start rescue what can be read.
func markDamage(o Options, file string) error {
	f, err := o.FS.Create(o.FS.PathJoin(o.Dir, damageMark), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(file))
	return errors.Join(err, f.Sync(), f.Close(), syncDir(o.FS, o.Dir))
}

// marked returns what markDamage wrote, empty if nothing is marked.
func marked(o Options) (string, error) {
	data, err := readFile(o.FS, o.FS.PathJoin(o.Dir, damageMark))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(append(data, ' ')), err
}

// rescue makes a new database of what can be read of the one in dir, and puts it in its place.
func (b *Buffer) rescue(o Options, dir, cause string) error {
	b.log.Warn("Buffer is damaged: what can be read is being saved", "cause", cause)
	draft, mended := o.FS.PathJoin(o.Dir, "buffer.new"), o.FS.PathJoin(o.Dir, mendedDir)
	if err := o.FS.RemoveAll(draft); err != nil {
		return err
	}
	c := &copier{names: b.readNames(o), seen: map[uint32]*rescued{}}
	defer func() { _ = o.FS.RemoveAll(mended) }() // else the next rescue does it
	if err := c.copyAll(b.log, rescueOptions(o, b.space), dir, mended, draft); err != nil {
		return err
	}
	done := o.FS.PathJoin(o.Dir, rescuedName)
	if err := errors.Join(o.FS.RemoveAll(done), o.FS.Rename(draft, done), syncDir(o.FS, o.Dir)); err != nil {
		return err
	}
	if err := finishRescue(o); err != nil {
		return err
	}
	saved, lost := c.tally()
	said := []any{"cause", cause, "saved", saved, "lost", lost, "old", o.FS.PathJoin(o.Dir, keptName)}
	if saved == 0 && lost > 0 {
		b.log.Error("Buffer was damaged and no event could be read: keep the old files, which are all that is left of them, and look for a copy of the damaged file", said...)
		return nil
	}
	b.log.Error("Buffer was damaged: what could be read is saved, the rest is lost; the old files can be removed when nothing that is lost is missed", said...)
	return nil
}

// finishRescue puts a rescued database in the damaged one's place, in steps of which a crash may cut off any.
func finishRescue(o Options) error {
	at := func(name string) string { return o.FS.PathJoin(o.Dir, name) }
	if _, err := o.FS.Stat(at(rescuedName)); err != nil {
		return nil //nolint:nilerr // there is none
	}
	if _, err := o.FS.Stat(at("buffer")); err == nil {
		if err := errors.Join(o.FS.RemoveAll(at(keptName)), o.FS.Rename(at("buffer"), at(keptName)), syncDir(o.FS, o.Dir)); err != nil {
			return err
		}
	}
	if err := errors.Join(o.FS.Rename(at(rescuedName), at("buffer")), syncDir(o.FS, o.Dir)); err != nil {
		return err
	}
	if err := o.FS.Remove(at(damageMark)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(o.FS, o.Dir)
}

// rescueOptions are those of the databases on both ends of a rescue: Pebble's own tests of the tables would refuse what is to be saved.
func rescueOptions(o Options, s *space) *pebble.Options {
	opts := pebbleOptions(o, s)
	opts.ErrorIfNotExists = false
	opts.DisableConsistencyCheck = true
	opts.EventListener = &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}}
	return opts
}

// rescued is what was found of one queue.
type rescued struct{ pending, dead, appended, settled uint64 }

// copier copies what can be read.
type copier struct {
	to    *pebble.DB
	batch *pebble.Batch
	names map[uint32]string // that are known, or found
	metas map[uint32]bool   // that were found
	seen  map[uint32]*rescued
	seq   uint64
}

func (c *copier) copyAll(log *slog.Logger, opts *pebble.Options, from, mended, to string) (err error) {
	reading := *opts
	reading.ReadOnly, reading.ErrorIfNotExists = true, true
	if err := mendTables(log, &reading, from, mended); err != nil {
		return err
	}
	source, err := openPebble(from, &reading)
	if err != nil {
		return fmt.Errorf("read what is damaged: %w", err)
	}
	defer func() { err = errors.Join(err, ignoreDamage(source.Close())) }()
	writing := *opts
	writing.DisableWAL = true
	if c.to, err = openPebble(to, &writing); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.to.Close()) }()
	c.batch, c.metas = c.to.NewBatch(), map[uint32]bool{}
	if err := c.walk(source); err != nil {
		return err
	}
	if err := c.finish(); err != nil {
		return err
	}
	return c.to.Flush()
}

func ignoreDamage(err error) error {
	if isDamage(err) {
		return nil
	}
	return err
}

// walk visits all entries.
func (c *copier) walk(source *pebble.DB) error {
	it, err := source.NewIter(nil)
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if err := c.visit(it.Key(), it.Value()); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return it.Close()
}

// visit copies an entry that stands for itself, and notes what is needed for the rest.
func (c *copier) visit(key, value []byte) error {
	if key[0] == kindMeta {
		return c.meta(key, value)
	}
	if len(key) < 5 {
		return nil
	}
	q := c.queue(binary.BigEndian.Uint32(key[1:]))
	switch key[0] {
	case kindPending:
		seq, _ := keyPart(key, 0)
		c.seq = max(c.seq, seq)
		q.pending++
	case kindDead:
		q.dead++
		fallthrough
	case kindDelivered:
		seq, _ := keyPart(key, 1)
		c.seq = max(c.seq, seq)
	case kindIdentity:
	case kindAppended, kindSettled:
		if len(value) >= 8 && key[0] == kindAppended {
			q.appended = binary.BigEndian.Uint64(value)
		} else if len(value) >= 8 {
			q.settled = binary.BigEndian.Uint64(value)
		}
		return nil
	default:
		return nil // made anew
	}
	return c.put(key, value)
}

func (c *copier) meta(key, value []byte) error {
	switch {
	case slices.Equal(key, keySequence) && len(value) >= 8:
		c.seq = max(c.seq, binary.BigEndian.Uint64(value))
	case slices.Equal(key, keyFormat) && len(value) >= 8 && binary.BigEndian.Uint64(value) != formatVersion:
		return fmt.Errorf("the buffer has format version %d", binary.BigEndian.Uint64(value))
	case len(key) > len(prefixQueue) && slices.Equal(key[:len(prefixQueue)], prefixQueue):
		var m queueMeta
		if json.Unmarshal(value, &m) == nil {
			c.queue(m.Number)
			c.metas[m.Number] = true
			return c.put(key, value)
		}
	}
	return nil
}

func (c *copier) queue(number uint32) *rescued {
	if c.seen[number] == nil {
		c.seen[number] = &rescued{}
	}
	return c.seen[number]
}

func (c *copier) put(key, value []byte) error {
	must(c.batch.Set(key, value, nil))
	if c.batch.Len() < rescueBatch {
		return nil
	}
	return c.commit()
}

func (c *copier) commit() error {
	if err := c.to.Apply(c.batch, pebble.NoSync); err != nil {
		return err
	}
	if err := c.batch.Close(); err != nil {
		return err
	}
	c.batch = c.to.NewBatch()
	return nil
}

// finish writes what follows from what was found: counters, and names for queues that have lost theirs.
func (c *copier) finish() error {
	must(c.batch.Set(keyFormat, uint64Value(formatVersion), nil))
	must(c.batch.Set(keySequence, uint64Value(c.seq), nil))
	for number, q := range c.seen {
		must(c.batch.Set(prefix(kindAppended, number), uint64Value(q.pending), nil))
		must(c.batch.Set(prefix(kindSettled, number), binary.BigEndian.AppendUint64(uint64Value(0), q.dead), nil))
		if c.metas[number] {
			continue
		}
		name := c.names[number]
		if name == "" {
			name = fmt.Sprintf("damaged/%d", number)
		}
		value, err := json.Marshal(queueMeta{Number: number, Settings: buffer.Settings{DeadRetention: 14 * unnamedMaxAge, MaxAge: unnamedMaxAge}})
		if err != nil {
			return err
		}
		must(c.batch.Set(append(slices.Clone(prefixQueue), name...), value, nil))
	}
	return c.commit()
}

// tally counts the pending events that were saved, and those that were not as far as the counters tell.
func (c *copier) tally() (saved, lost uint64) {
	for _, q := range c.seen {
		saved += q.pending
		if before := q.appended - q.settled; q.appended >= q.settled && before > q.pending {
			lost += before - q.pending
		}
	}
	return saved, lost
}
