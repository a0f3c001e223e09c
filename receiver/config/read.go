package config

import (
	"errors"
	"io"
	"os"
)

// What ReadRegular says of a file that it does not read.
var (
	// ErrNotRegular: it is a directory, a pipe, a socket or a device.
	ErrNotRegular = errors.New("not a regular file")
	// ErrTooLarge: it holds more than the limit.
	ErrTooLarge = errors.New("too large")
)

// ReadRegular returns what a regular file holds, at the end of whatever symbolic links, if that is no more than limit bytes. It neither waits for
// a pipe nor reads anything without end: the error is ErrNotRegular or ErrTooLarge then, and otherwise the file system's.
func ReadRegular(name string, limit int64) ([]byte, error) {
	data, err := readFile(anywhere{}, name, limit)
	if err != nil {
		return nil, err
	}
	return []byte(data), nil
}

// tree is where files are: below an os.Root, or anywhere.
type tree interface {
	Stat(name string) (os.FileInfo, error)
	OpenFile(name string, flag int, perm os.FileMode) (*os.File, error)
}

// anywhere is the whole file system.
type anywhere struct{}

func (anywhere) Stat(name string) (os.FileInfo, error) { return os.Stat(name) }

func (anywhere) OpenFile(name string, flag int, perm os.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag, perm)
}

// readFile reads a regular file of no more than limit bytes. Opening a pipe waits for who writes into it, and opening a device may do anything, so
// the file is looked at before; and another may take its name at any moment, so it is opened without blocking and looked at again.
func readFile(t tree, name string, limit int64) (string, error) {
	if info, err := t.Stat(name); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", ErrNotRegular
	}
	file, err := t.OpenFile(name, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // Nothing was written.
	info, err := file.Stat()
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", ErrNotRegular
	case info.Size() > limit:
		return "", ErrTooLarge
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1)) // it may grow meanwhile
	switch {
	case err != nil:
		return "", err
	case int64(len(data)) > limit:
		return "", ErrTooLarge
	}
	return string(data), nil
}
