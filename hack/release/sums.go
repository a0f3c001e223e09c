package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const sumsFile = "SHA256SUMS"

// writeSums writes the sums of all files in a directory, as sha256sum -c reads them.
func writeSums(dir string) error {
	files, err := os.ReadDir(dir) // sorted
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, sumsFile), func(out *os.File) error {
		for _, f := range files {
			if f.Name() == sumsFile {
				continue
			}
			if !f.Type().IsRegular() {
				return fmt.Errorf("%s is no file: a release is files only", f.Name())
			}
			sum, err := sumOf(filepath.Join(dir, f.Name()))
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(out, "%x  %s\n", sum, f.Name()); err != nil {
				return err
			}
		}
		return nil
	})
}

func sumOf(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}
