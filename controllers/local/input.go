package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/hookbay/hookbay/receiver/config"
)

// maxManifestBytes bounds a file of manifests: what is larger is no manifest, and is not taken into memory.
const maxManifestBytes = 16 << 20

// reader reads manifests from files, directories and standard input ("-").
type reader struct {
	paths []string
	stdin io.Reader
	// streams is what standard input and pipes held: they can be read only once.
	streams map[string][]byte
}

// file is a file as it was read.
type file struct {
	name string
	data []byte
	// searched says that it was found in a directory, not named by the user.
	searched bool
}

// read returns the files as they are now, and one error for each that can't be read. What it waits for ends with ctx.
func (r *reader) read(ctx context.Context) ([]file, error) {
	var all []file
	var problems []error
	for _, path := range r.paths {
		names, err := manifestFiles(path)
		problems = append(problems, err)
		for _, name := range names {
			data, err := r.readFile(ctx, name, name != path)
			problems = append(problems, err)
			all = append(all, file{name: name, data: data, searched: name != path})
		}
	}
	return all, errors.Join(problems...)
}

// readFile reads whatever the user names, such as the pipe of a process substitution, but only regular files of those that are found in a
// directory: nobody meant the others.
func (r *reader) readFile(ctx context.Context, name string, searched bool) ([]byte, error) {
	if name == "-" {
		return r.stream(ctx, name, func() (io.ReadCloser, error) { return io.NopCloser(r.stdin), nil })
	}
	if !searched {
		if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
			return r.stream(ctx, name, func() (io.ReadCloser, error) { return os.Open(name) })
		}
	}
	data, err := config.ReadRegular(name, maxManifestBytes)
	switch {
	case errors.Is(err, config.ErrNotRegular):
		return nil, fmt.Errorf("%s is not a regular file: remove it from the directory, or name the manifests one by one", name)
	case errors.Is(err, config.ErrTooLarge):
		return nil, tooLargeError(name)
	}
	return data, err
}

// stream reads what can be read only once, to its end. Neither the opening of a pipe nor the reading of a terminal can be interrupted: when ctx ends
// first, the goroutine is left to end with the process, which is about to.
func (r *reader) stream(ctx context.Context, name string, open func() (io.ReadCloser, error)) ([]byte, error) {
	if data, known := r.streams[name]; known {
		return data, nil
	}
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		from, err := open()
		if err != nil {
			done <- result{err: err}
			return
		}
		data, err := io.ReadAll(io.LimitReader(from, maxManifestBytes+1))
		done <- result{data, errors.Join(err, from.Close())}
	}()
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("stopped while reading %s: %w", streamName(name), ctx.Err())
	case got := <-done:
		switch {
		case got.err != nil:
			return nil, fmt.Errorf("read %s: %w", streamName(name), got.err)
		case len(got.data) > maxManifestBytes:
			return nil, tooLargeError(name)
		}
		if r.streams == nil {
			r.streams = map[string][]byte{}
		}
		r.streams[name] = got.data
		return got.data, nil
	}
}

func streamName(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}

func tooLargeError(name string) error {
	return fmt.Errorf("%s holds more than %d MiB: name a file of manifests", streamName(name), maxManifestBytes>>20)
}
