package disk

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// start opens the database in dir and reads what must be known at once. If a file is damaged, it saves what can be read first.
func (b *Buffer) start(o Options, dir string) error {
	if err := finishRescue(o); err != nil {
		return fmt.Errorf("finish the rescue of the buffer in %s: %w", o.Dir, err)
	}
	if err := b.checkFiles(o, dir); err != nil {
		return fmt.Errorf("open the buffer in %s: %w", o.Dir, err)
	}
	cause, err := marked(o)
	if err != nil {
		return fmt.Errorf("open the buffer in %s: %w", o.Dir, err)
	}
	if cause == "" {
		if cause, err = mendLogs(o.FS, dir, func(name string) error { return markDamage(o, name) }); err != nil {
			return fmt.Errorf("open the buffer in %s: %w", o.Dir, err)
		}
	}
	if cause == "" {
		if err := lostEnd(o.FS, dir); err != nil {
			return fmt.Errorf("open the buffer in %s: %w", o.Dir, err)
		}
		if err = b.open(o, dir); err == nil || !isDamage(err) && unfitTables(err) == nil {
			return err
		}
		cause = err.Error()
		if names := unfitTables(err); names != nil {
			cause = strings.Join(names, ", ") + ": missing, or not as long as it was"
		}
		if name, number, ok := damagedLog(o.FS, dir, err); ok {
			if err := errors.Join(markDamage(o, name), mendLog(o.FS, name, number)); err != nil {
				return fmt.Errorf("%s is damaged and cannot be mended: %w", name, err)
			}
			cause = name
		}
	}
	if rescueErr := b.rescue(o, dir, cause); rescueErr != nil {
		b.log.Error("Buffer is damaged and could not be saved: what can be read is delivered; make room, or put back a copy", "cause", cause, "error", rescueErr)
		b.resigned = true
		if openErr := b.open(o, dir); openErr != nil {
			return errors.Join(fmt.Errorf("the buffer in %s is damaged (%s): %s", o.Dir, cause, withoutCopy), rescueErr, openErr)
		}
		return nil
	}
	return b.open(o, dir)
}

// open opens the database as it is.
func (b *Buffer) open(o Options, dir string) error {
	opts := pebbleOptions(o, b.space)
	opts.CompactionConcurrencyRange = b.compactions
	report := opts.EventListener.DataCorruption
	opts.EventListener.DataCorruption = func(info pebble.DataCorruptionInfo) {
		report(info)
		b.damaged(o, info.Path)
	}
	ending := &endingFS{FS: opts.FS, b: b}
	opts.FS = ending
	db, err := openPebble(dir, opts)
	if errors.Is(err, syscall.EAGAIN) {
		return fmt.Errorf("open the buffer in %s: another receiver uses it: end that one, or use another directory: %w", o.Dir, err)
	}
	if denied(err) {
		return fmt.Errorf("open the buffer in %s: %w", o.Dir, err)
	}
	if err != nil {
		return fmt.Errorf("open the buffer in %s (if another receiver uses it, end that one; if a file is damaged, %s): %w", o.Dir, withoutCopy, err)
	}
	ending.opened.Store(true)
	b.db, b.space.db = db, db
	clear(b.queues)
	if err := b.load(); err != nil {
		return errors.Join(err, db.Close())
	}
	b.running.Store(true)
	return nil
}

// openPebble makes errors of the panics that Pebble may end a failed start with.
func openPebble(dir string, opts *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case error:
			db, err = nil, fmt.Errorf("pebble stopped while it opened: %w", p)
		default:
			db, err = nil, fmt.Errorf("pebble stopped while it opened: %v", p)
		}
	}()
	return pebble.Open(dir, opts)
}

// damaged ends the process when damage shows, so that the next start can save what can be read. A start that finds damage saves it at once, and
// where nothing could be saved the process goes on with what it has.
func (b *Buffer) damaged(o Options, file string) {
	if !b.running.Load() || b.resigned {
		return
	}
	if err := markDamage(o, file); err != nil {
		b.log.Error("Damage of the buffer cannot be marked: restart the receiver when there is room", "file", file, "error", err)
		return
	}
	o.Fatal("a file is damaged, and the next start saves what can be read: " + file)
}

// guard ends the process if Pebble panicked, which it does in some places where it cannot write its log any more. Deferred.
func (b *Buffer) guard() {
	if p := recover(); p != nil {
		b.exit(p)
	}
}
