package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"time"
)

// entry is a file in an archive. Who owns it, when it was changed and what its mode is on this machine does not get into the archive.
type entry struct {
	name string
	// path is the file to take, content what it holds where there is no path.
	path    string
	content []byte
	// program makes it executable.
	program bool
}

func (e entry) mode() os.FileMode {
	if e.program {
		return 0o755
	}
	return 0o644
}

func (e entry) read() ([]byte, error) {
	if e.path == "" {
		return e.content, nil
	}
	return os.ReadFile(e.path)
}

// writeTar writes a gzipped tar archive.
func writeTar(out io.Writer, date time.Time, entries []entry) error {
	zipped := gzip.NewWriter(out)
	w := tar.NewWriter(zipped)
	for _, e := range entries {
		content, err := e.read()
		if err != nil {
			return err
		}
		header := &tar.Header{
			Name: e.name, Mode: int64(e.mode()), Size: int64(len(content)), ModTime: date,
			Uname: "root", Gname: "root", Format: tar.FormatUSTAR,
		}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		if _, err := w.Write(content); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), zipped.Close())
}

// writeZip writes a zip archive.
func writeZip(out io.Writer, date time.Time, entries []entry) error {
	w := zip.NewWriter(out)
	for _, e := range entries {
		content, err := e.read()
		if err != nil {
			return err
		}
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: date}
		header.SetMode(e.mode())
		f, err := w.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := f.Write(content); err != nil {
			return err
		}
	}
	return w.Close()
}
