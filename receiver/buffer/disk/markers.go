package disk

import (
	"errors"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// markerFS makes what a marker names durable before the marker. Pebble points to its current manifest by creating a marker file and then
// syncs the directory, once for both. A file system that writes directory entries in another order than they were made could keep the marker and lose
// the manifest; the database could not be opened any more. Markers are rare: one at each start.
type markerFS struct{ vfs.FS }

// Create implements vfs.FS.
func (m markerFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(m.PathBase(name), "marker.") {
		dir, err := m.OpenDir(m.PathDir(name))
		if err != nil {
			return nil, err
		}
		if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
			return nil, err
		}
	}
	return m.FS.Create(name, category)
}

// Unwrap returns the file system beneath, as Pebble expects of its wrappers.
func (m markerFS) Unwrap() vfs.FS { return m.FS }
