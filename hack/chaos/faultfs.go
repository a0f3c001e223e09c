package main

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// kind is what is done to a file.
type kind int

const (
	opCreate kind = iota
	opWrite
	opSync
	opPreallocate
	opRename
	opRemove
)

// fileKind tells the buffer's files apart: each kind is damaged and failed on its own.
type fileKind string

const (
	fileWAL      fileKind = "WAL"
	fileTable    fileKind = "table"
	fileManifest fileKind = "MANIFEST"
	fileOptions  fileKind = "OPTIONS"
	fileMarker   fileKind = "marker"
	fileBlob     fileKind = "blob"
	fileDir      fileKind = "directory"
	fileOther    fileKind = "other"
)

// kindOf tells a file's kind by its name.
func kindOf(name string) fileKind {
	switch base := name[strings.LastIndexByte(name, '/')+1:]; {
	case strings.HasSuffix(base, ".log"):
		return fileWAL
	case strings.HasSuffix(base, ".sst"):
		return fileTable
	case strings.HasSuffix(base, ".blob"):
		return fileBlob
	case strings.HasPrefix(base, "MANIFEST"):
		return fileManifest
	case strings.HasPrefix(base, "OPTIONS"):
		return fileOptions
	case strings.HasPrefix(base, "marker."):
		return fileMarker
	default:
		return fileOther
	}
}

// rule is a fault that waits for its moment.
type rule struct {
	class string // of the campaign, to be counted under
	kinds []kind
	files []fileKind // none: all
	skip  int        // so many operations that match pass first
	times int        // how often it strikes
	err   error      // what the operation returns
	slow  time.Duration
	crash func() // what happens instead: the operation then succeeds in a life that is over
}

func (r *rule) matches(k kind, f fileKind) bool {
	return slices.Contains(r.kinds, k) && (len(r.files) == 0 || slices.Contains(r.files, f))
}

// faults decides what goes wrong below one life of the receiver.
type faults struct {
	count func(class, what string)

	mu    sync.Mutex
	rules []*rule
	full  bool // no room for anything
	told  bool // and GetDiskUsage says so
	over  bool // the life is: nothing goes wrong any more
}

// arm adds a rule.
func (f *faults) arm(r rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, &r)
}

// armed are the rules that wait.
func (f *faults) armed() []*rule {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.rules)
}

// calm takes all faults away; the life may go on.
func (f *faults) calm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules, f.full, f.told = nil, false, false
}

// end takes all faults away for good.
func (f *faults) end() {
	f.calm()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
}

// fill takes all room, or gives it back.
func (f *faults) fill(full, told bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full, f.told = full, full && told
}

// before is called before each operation.
func (f *faults) before(k kind, name string, isDir bool) error {
	file := kindOf(name)
	if isDir {
		file = fileDir
	}
	r, err := f.decide(k, file)
	switch {
	case err != nil:
		return err
	case r == nil:
		return nil
	case r.crash != nil:
		r.crash()
	case r.slow > 0:
		<-time.After(r.slow)
	}
	return r.err
}

// decide finds the rule that strikes, if there is one, and counts it.
func (f *faults) decide(k kind, file fileKind) (*rule, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return nil, nil //nolint:nilnil // nothing goes wrong
	}
	if f.full && (k == opCreate || k == opWrite || k == opPreallocate) && file != fileDir {
		f.count(classFull, "ENOSPC")
		return nil, syscall.ENOSPC
	}
	for i, r := range f.rules {
		if !r.matches(k, file) {
			continue
		}
		if r.skip > 0 {
			r.skip--
			continue
		}
		if r.times--; r.times <= 0 {
			f.rules = append(f.rules[:i:i], f.rules[i+1:]...)
		}
		if r.crash == nil {
			f.count(r.class, string(file))
		}
		return r, nil
	}
	return nil, nil //nolint:nilnil // nothing goes wrong
}

// diskBytes is how large the disk is: small, so that memtables are, and flushes and compactions happen within a short story.
const diskBytes = 32 << 20

// faultFS is a file system in memory below which everything can go wrong.
type faultFS struct {
	*vfs.MemFS
	faults *faults
}

func (s *faultFS) Unwrap() vfs.FS { return s.MemFS }

func (s *faultFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := s.faults.before(opCreate, name, false); err != nil {
		return nil, err
	}
	return s.wrap(name, false)(s.MemFS.Create(name, category))
}

func (s *faultFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return s.wrap(name, false)(s.MemFS.OpenReadWrite(name, category, o...))
}

func (s *faultFS) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := s.faults.before(opCreate, to, false); err != nil {
		return nil, err
	}
	return s.wrap(to, false)(s.MemFS.ReuseForWrite(from, to, category))
}

func (s *faultFS) OpenDir(name string) (vfs.File, error) {
	return s.wrap(name, true)(s.MemFS.OpenDir(name))
}

func (s *faultFS) Rename(from, to string) error {
	if err := s.faults.before(opRename, to, false); err != nil {
		return err
	}
	return s.MemFS.Rename(from, to)
}

func (s *faultFS) Remove(name string) error {
	if err := s.faults.before(opRemove, name, false); err != nil {
		return err
	}
	return s.MemFS.Remove(name)
}

// GetDiskUsage tells the truth only if the fault wants it told.
func (s *faultFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	usage := vfs.DiskUsage{TotalBytes: diskBytes, AvailBytes: diskBytes - 4<<20, UsedBytes: 4 << 20}
	if s.faults.told {
		s.faults.count(classFull, "told")
		usage.AvailBytes, usage.UsedBytes = 0, diskBytes
	}
	return usage, nil
}

func (s *faultFS) wrap(name string, dir bool) func(vfs.File, error) (vfs.File, error) {
	return func(f vfs.File, err error) (vfs.File, error) {
		if err != nil {
			return nil, err
		}
		return &faultFile{File: f, name: name, dir: dir, faults: s.faults}, nil
	}
}

// faultFile is a file of it.
type faultFile struct {
	vfs.File
	name   string
	dir    bool
	faults *faults
}

func (f *faultFile) Write(p []byte) (int, error) {
	if err := f.faults.before(opWrite, f.name, f.dir); err != nil {
		if errors.Is(err, syscall.ENOSPC) && len(p) > 1 { // as a disk does that takes what still fits
			n, _ := f.File.Write(p[:len(p)/2])
			return n, err
		}
		return 0, err
	}
	return f.File.Write(p)
}

func (f *faultFile) WriteAt(p []byte, at int64) (int, error) {
	if err := f.faults.before(opWrite, f.name, f.dir); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, at)
}

func (f *faultFile) Preallocate(offset, length int64) error {
	if err := f.faults.before(opPreallocate, f.name, f.dir); err != nil {
		return err
	}
	return f.File.Preallocate(offset, length)
}

func (f *faultFile) Sync() error {
	if err := f.faults.before(opSync, f.name, f.dir); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultFile) SyncData() error {
	if err := f.faults.before(opSync, f.name, f.dir); err != nil {
		return err
	}
	return f.File.SyncData()
}

func (f *faultFile) SyncTo(length int64) (bool, error) {
	if err := f.faults.before(opSync, f.name, f.dir); err != nil {
		return false, err
	}
	return f.File.SyncTo(length)
}
