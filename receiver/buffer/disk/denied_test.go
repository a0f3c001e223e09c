package disk

import (
	"io/fs"
	"path"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// Whose files are somebody else's, or on a file system that is read-only, must not hear that events are lost: nothing is, until the advice is followed.
func TestOpen_denied(t *testing.T) {
	opens := func(op errorfs.Op) bool { return op.Kind == errorfs.OpOpen }
	writes := func(op errorfs.Op) bool { return op.Kind.ReadOrWrite() == errorfs.OpIsWrite }
	named := func(pattern string) func(errorfs.Op) bool {
		return func(op errorfs.Op) bool {
			matched, _ := path.Match(pattern, path.Base(op.Path)) // the patterns are right
			return matched && (opens(op) || writes(op))
		}
	}
	const readOnly, forbidden = "the file system of data is read-only: mount it for writing", "no permission for the files in data: let user "
	tests := map[string]struct {
		made bool // the buffer is there
		hits func(errorfs.Op) bool
		err  error
		want string
	}{
		"a new buffer where nothing can be written":  {hits: writes, err: syscall.EROFS, want: readOnly},
		"a new buffer where nothing may be written":  {hits: writes, err: syscall.EACCES, want: forbidden},
		"a file system that became read-only":        {made: true, hits: writes, err: syscall.EROFS, want: readOnly},
		"files of somebody else":                     {made: true, hits: opens, err: syscall.EACCES, want: forbidden},
		"files that must not change":                 {made: true, hits: writes, err: syscall.EPERM, want: forbidden},
		"a manifest of somebody else":                {made: true, hits: named("MANIFEST-*"), err: syscall.EACCES, want: forbidden},
		"a log of somebody else":                     {made: true, hits: named("*.log"), err: syscall.EACCES, want: forbidden},
		"a table of somebody else":                   {made: true, hits: named("*.sst"), err: syscall.EACCES, want: forbidden},
		"a lock of somebody else":                    {made: true, hits: named("LOCK"), err: syscall.EACCES, want: forbidden},
		"options of somebody else":                   {made: true, hits: named("OPTIONS-*"), err: syscall.EACCES, want: forbidden},
		"a directory that belongs to somebody else ": {made: true, hits: func(op errorfs.Op) bool { return op.Kind == errorfs.OpOpenDir }, err: syscall.EACCES, want: forbidden},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem()
			options := Options{Dir: "data", FS: mem, SweepInterval: -1}
			if tt.made {
				b, err := Open(options)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := b.Queue("shop/a", buffer.Settings{}); err != nil {
					t.Fatal(err)
				}
				if err := b.db.Flush(); err != nil {
					t.Fatal(err)
				}
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
			}
			options.FS = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if tt.hits(op) {
					return &fs.PathError{Op: "open", Path: op.Path, Err: tt.err}
				}
				return nil
			}))
			b, err := Open(options)
			if err == nil {
				t.Fatalf("it opens, error of closing it: %v", b.Close())
			}
			if !strings.HasPrefix(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.err.Error()) {
				t.Errorf("error is %q, want %q and %q", err, tt.want, tt.err)
			}
			for _, word := range []string{"is damaged", "lost", "copy"} {
				if strings.Contains(err.Error(), word) {
					t.Errorf("error speaks of %q: %v", word, err)
				}
			}
		})
	}
}
