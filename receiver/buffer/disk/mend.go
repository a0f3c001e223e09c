package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"regexp"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// mendedDir holds tables without what is damaged, while a rescue reads them.
const mendedDir = "buffer.mended"

// unfit finds the tables that are missing or do not have the size that the manifest says, in the error that Pebble refuses to open with.
var unfit = regexp.MustCompile(`L\d: (\d+): (?:object size mismatch|file \d+ \(type )`)

// unfitTables returns the names of the tables that an error of opening is about.
func unfitTables(err error) (names []string) {
	if err == nil {
		return nil
	}
	for _, m := range unfit.FindAllStringSubmatch(err.Error(), -1) {
		names = append(names, m[1]+".sst")
	}
	return names
}

// mender makes sound tables of those of a damaged database, each on its own: else a block that is damaged in one would hide what others have.
type mender struct {
	log  *slog.Logger
	opts *pebble.Options // to read with: its file system becomes that of the mended database
	fs   *mendedFS
	to   string // a directory for the tables
}

// mendTables looks at all tables of the database and mends those that need it. Opts reads what is mended from then on.
func mendTables(log *slog.Logger, opts *pebble.Options, dir, to string) error {
	m := &mender{log: log, opts: opts, fs: &mendedFS{FS: opts.FS, dir: dir, mended: map[string]string{}}, to: to}
	if err := errors.Join(m.fs.RemoveAll(to), m.fs.MkdirAll(to, 0o700)); err != nil {
		return err
	}
	opts.FS = m.fs
	tables, err := m.tables()
	if errors.Is(err, fs.ErrNotExist) {
		if err := m.standIn(); err != nil {
			return err
		}
		tables, err = m.tables()
	}
	if err != nil {
		return fmt.Errorf("read what is damaged: %w", err)
	}
	for _, name := range tables {
		if err := m.look(name); err != nil {
			return fmt.Errorf("mend %s: %w", name, err)
		}
	}
	return nil
}

// tables returns the names of the files that the manifest says the database has.
func (m *mender) tables() ([]string, error) {
	db, err := openPebble(m.fs.dir, m.opts)
	if err != nil {
		return nil, err
	}
	levels, err := db.SSTables()
	if err := errors.Join(err, ignoreDamage(db.Close())); err != nil {
		return nil, err
	}
	var names []string
	seen := map[string]bool{}
	for _, level := range levels {
		for i := range level {
			if name := fmt.Sprintf("%06d.sst", uint64(level[i].BackingSSTNum)); !seen[name] {
				seen[name], names = true, append(names, name)
			}
		}
	}
	return names, nil
}

// standIn puts empty tables in the place of those that are missing.
func (m *mender) standIn() error {
	strict := *m.opts
	strict.DisableConsistencyCheck = false
	db, err := openPebble(m.fs.dir, &strict)
	if err == nil {
		return db.Close()
	}
	for _, name := range unfitTables(err) {
		if _, err := m.fs.Stat(m.fs.PathJoin(m.fs.dir, name)); err == nil {
			continue
		}
		if err := m.write(name, func(sstable.RawWriter) error { return nil }); err != nil {
			return err
		}
		m.log.Error("Buffer file is missing: what it held is lost", "file", name)
	}
	return nil
}

// write makes a table that takes another's place.
func (m *mender) write(name string, fill func(sstable.RawWriter) error) error {
	path := m.fs.PathJoin(m.to, name)
	file, err := m.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	opts := *m.opts
	opts.EnsureDefaults()
	w := sstable.NewRawWriter(objstorageprovider.NewFileWritable(file), opts.MakeWriterOptions(0, pebble.FormatNewest.MaxTableFormat()))
	if err := errors.Join(fill(w), w.Close()); err != nil {
		return err
	}
	m.fs.mended[name] = path
	return nil
}

// look mends a table if it must be.
func (m *mender) look(name string) error {
	if m.fs.mended[name] != "" {
		return nil
	}
	path := m.fs.PathJoin(m.fs.dir, name)
	file, err := m.fs.FS.Open(path)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f := &mendingFile{File: file, name: path, size: info.Size(), bad: map[int64]bool{}}
	r, err := m.reader(f)
	for err != nil && isDamage(err) && f.footer < footerBits && info.Size() > footerBits/8 {
		f.footer++
		f.fixed = false
		clear(f.bad) // where a wrong footer led to
		r, err = m.reader(f)
	}
	if f.fixed = f.fixed || f.footer > 0; err == nil {
		err = check(r)
	}
	switch {
	case err == nil && !f.fixed:
	case err == nil:
		m.log.Warn("Buffer file has a bit that flipped: it is put right", "file", path)
		err = m.write(name, func(w sstable.RawWriter) error { return salvage(w, r, f) })
	case r == nil:
		// Nothing tells where anything is in it.
		m.log.Error("Buffer file cannot be read: what it held is lost", "file", path, "error", err)
		err = m.write(name, func(sstable.RawWriter) error { return nil })
	default:
		m.log.Warn("Buffer file is damaged in places: the rest of it is read", "file", path, "error", err)
		err = m.write(name, func(w sstable.RawWriter) error { return salvage(w, r, f) })
	}
	if r != nil {
		_ = r.Close() // it was only read, and returns the damage once more
		return err
	}
	return errors.Join(err, file.Close())
}

// reader opens a table. Pebble panics at some kinds of nonsense.
func (m *mender) reader(f *mendingFile) (r *sstable.Reader, err error) {
	defer func() {
		if p := recover(); p != nil {
			r, err = nil, fmt.Errorf("%w: %v", errCorrupt, p)
		}
	}()
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return nil, err
	}
	opts := *m.opts
	opts.EnsureDefaults()
	return sstable.NewReader(context.Background(), readable, opts.MakeReaderOptions())
}

// check reads all blocks of a table.
func check(r *sstable.Reader) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errCorrupt, p)
		}
	}()
	return r.ValidateBlockChecksums()
}

// salvage copies what can be read of a table.
func salvage(w sstable.RawWriter, r *sstable.Reader, f *mendingFile) error {
	if err := salvageSpans(w, r); err != nil && !isDamage(err) {
		return err
	}
	it, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		return ignoreDamage(err)
	}
	defer func() { _ = it.Close() }() // returns once more what it met
	var last []byte
	kv := it.First()
	for {
		if kv == nil && it.Error() != nil {
			if !isDamage(it.Error()) {
				return it.Error()
			}
			key, ok := pass(it, f, last)
			if !ok {
				return nil
			}
			last = append(last[:0], key...)
			kv = it.SeekGE(key, 0)
			continue
		}
		if kv == nil {
			return nil
		}
		last = append(last[:0], kv.K.UserKey...)
		value, _, err := kv.Value(nil)
		if err == nil {
			err = w.Add(kv.K, value, false)
		}
		if err != nil && !isDamage(err) {
			return err
		}
		kv = it.Next()
	}
}

// salvageSpans copies the range deletions. Where they are lost, what they dropped may come again.
func salvageSpans(w sstable.RawWriter, r *sstable.Reader) error {
	spans, err := r.NewRawRangeDelIter(context.Background(), sstable.NoFragmentTransforms, sstable.NoReadEnv)
	if err != nil || spans == nil {
		return err
	}
	defer spans.Close()
	for span, err := spans.First(); span != nil || err != nil; span, err = spans.Next() {
		if err != nil {
			return err
		}
		if err := w.EncodeSpan(*span); err != nil {
			return err
		}
	}
	return nil
}

// pass moves an iterator behind the block that it has just met and that is damaged, and returns the first key behind it. False: there is
// none. Nobody but the damaged block knows its last key. So keys are taken as numbers of 24 bytes, and the first one for which that block is not
// read is found by halving. What is left of a longer key is not told apart.
func pass(it sstable.Iterator, f *mendingFile, last []byte) (key []byte, ok bool) {
	const size = 24
	here := f.last
	low := new(big.Int).SetBytes(append(append([]byte(nil), last[:min(len(last), size)]...), make([]byte, max(0, size-len(last)))...))
	high := new(big.Int).Lsh(big.NewInt(1), 8*size)
	high.Sub(high, big.NewInt(1)) // behind all keys: they begin with letters
	key = make([]byte, size)
	for {
		middle := new(big.Int).Add(low, high)
		if middle.Rsh(middle, 1); middle.Cmp(low) == 0 {
			return high.FillBytes(key), ok
		}
		if kv := it.SeekGE(middle.FillBytes(key), 0); kv != nil || it.Error() == nil || f.last != here {
			high, ok = middle, true
		} else {
			low = middle
		}
	}
}
