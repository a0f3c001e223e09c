package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxSecretBytes bounds a secret file: a Secret of Kubernetes holds at most 1 MiB.
const MaxSecretBytes = 1 << 20

// loadTries is how often Load reads before it calls the files unsteady. A swap takes the kubelet one rename, so a third reading nearly
// always agrees with the second.
const loadTries = 5

// MaxRevisionBytes bounds a revision.
const MaxRevisionBytes = 256

// Files is a configuration on disk: the document, the directory that the files it names lie below, and the file with its revision, which
// may be missing.
type Files struct {
	Config     string
	SecretsDir string
	// Revision is a file with one line of at most MaxRevisionBytes. Empty: none is read.
	Revision string
}

// Load reads the configuration, exactly the secret files that it names, and the revision.
//
// The kubelet updates a volume by writing a new directory and renaming a symbolic link to it, so a reader that opens one file
// before and another after the rename sees half of each. Load therefore reads everything twice and takes it only if both readings agree.
// No error quotes a secret.
func (f Files) Load() (Snapshot, error) {
	before, err := f.read()
	for range loadTries {
		after, afterErr := f.read()
		if err == nil && afterErr == nil && before.equal(&after) {
			return after.Snapshot, nil
		}
		if err != nil && afterErr != nil && err.Error() == afterErr.Error() {
			return Snapshot{}, err
		}
		before, err = after, afterErr
	}
	if err != nil {
		return Snapshot{}, err
	}
	return Snapshot{}, fmt.Errorf("read %s: it changes while it is read, wait until it is steady", f.Config)
}

// reading is one pass over the files.
type reading struct {
	document string
	Snapshot
}

func (r *reading) equal(other *reading) bool {
	return r.document == other.document && r.Revision == other.Revision && maps.Equal(r.Secrets, other.Secrets)
}

func (f Files) read() (reading, error) {
	document, err := f.readDocument()
	if err != nil {
		return reading{}, err
	}
	c, err := Parse([]byte(document))
	if err != nil {
		return reading{}, fmt.Errorf("%s: %w", f.Config, err)
	}
	secrets, err := f.readSecrets(c.SecretFiles())
	if err != nil {
		return reading{}, err
	}
	revision, err := f.readRevision()
	if err != nil {
		return reading{}, err
	}
	return reading{document: document, Snapshot: Snapshot{Config: c, Secrets: secrets, Revision: revision}}, nil
}

// readRevision returns an empty revision if there is no file: whoever gives the files need not number them.
func (f Files) readRevision() (string, error) {
	if f.Revision == "" {
		return "", nil
	}
	info, err := os.Stat(f.Revision)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read revision: %w", err)
	case !info.Mode().IsRegular(): // opening a pipe would wait for ever
		return "", fmt.Errorf("revision file %s is not a file: write the revision into one, or remove it", f.Revision)
	}
	file, err := os.Open(f.Revision)
	if errors.Is(err, fs.ErrNotExist) { // since a moment ago
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read revision: %w", err)
	}
	defer file.Close()                                 //nolint:errcheck // Nothing was written.
	line, err := readBounded(file, MaxRevisionBytes+2) // with its line break
	line = TrimLineBreak(line)
	if err != nil || len(line) > MaxRevisionBytes || !utf8.ValidString(line) || strings.ContainsFunc(line, unicode.IsControl) {
		return "", fmt.Errorf("revision file %s: write one line of at most %d bytes", f.Revision, MaxRevisionBytes)
	}
	return line, nil
}

func (f Files) readDocument() (string, error) {
	file, err := os.Open(f.Config)
	if err != nil {
		return "", fmt.Errorf("open config: %w", err)
	}
	defer file.Close() //nolint:errcheck // Nothing was written.
	return readBounded(file, MaxBytes)
}

// readSecrets opens the files through an os.Root: neither a path nor a symbolic link can lead out of the directory.
func (f Files) readSecrets(files []SecretFile) (Secrets, error) {
	secrets := make(Secrets, len(files))
	if len(files) == 0 {
		return secrets, nil
	}
	root, err := os.OpenRoot(f.SecretsDir)
	if err != nil {
		return nil, fmt.Errorf("open secrets directory: %w", err)
	}
	defer root.Close() //nolint:errcheck // Nothing was written.
	for _, name := range files {
		if secrets[name], err = readSecret(root, string(name)); err != nil {
			return nil, err
		}
	}
	return secrets, nil
}

func readSecret(root *os.Root, name string) (string, error) {
	info, err := root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("secret file %q is missing: create the Secret and the key that the endpoint names", name)
	case err != nil:
		return "", fmt.Errorf("secret file %q: %w", name, err)
	case !info.Mode().IsRegular(): // opening a pipe would wait for ever
		return "", fmt.Errorf("secret file %q is not a file: name the file that holds the credential", name)
	}
	file, err := root.Open(name)
	if err != nil {
		return "", fmt.Errorf("secret file %q: %w", name, err)
	}
	defer file.Close() //nolint:errcheck // Nothing was written.
	value, err := readBounded(file, MaxSecretBytes)
	if err != nil {
		return "", fmt.Errorf("secret file %q: %w", name, err)
	}
	return TrimLineBreak(value), nil
}

// readBounded reads all of r, which must not hold more than limit bytes.
func readBounded(r io.Reader, limit int64) (string, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return "", err
	}
	if int64(len(data)) > limit {
		return "", fmt.Errorf("larger than %d bytes: name a smaller file", limit)
	}
	return string(data), nil
}

// TrimLineBreak drops the one line break that editors and "echo" add at the end of a credential. More of them would be part of the credential.
func TrimLineBreak(s string) string {
	line, found := strings.CutSuffix(s, "\n")
	if !found {
		return s
	}
	return strings.TrimSuffix(line, "\r")
}

// SecretFiles lists the files that the configuration names, each once, in the order of the endpoints.
func (c *Config) SecretFiles() []SecretFile {
	var files []SecretFile
	seen := make(map[SecretFile]bool)
	for i := range c.Endpoints {
		for _, f := range c.Endpoints[i].SecretFiles() {
			if !seen[f] {
				seen[f] = true
				files = append(files, f)
			}
		}
	}
	return files
}

// SecretFiles lists the files that the endpoint names: its source's credentials first, then its target's.
func (e *Endpoint) SecretFiles() []SecretFile {
	return append(e.Source.SecretFiles(), e.Target.SecretFiles()...)
}

// SecretFiles lists the source's credentials, in the order that source.Proof counts them in.
func (s *Source) SecretFiles() []SecretFile {
	var files []SecretFile
	if s.Lazada != nil {
		files = append(files, s.Lazada.AppSecretFiles...)
	}
	if s.TencentIM != nil {
		files = append(files, s.TencentIM.TokenFiles...)
	}
	return files
}

// SecretFiles lists what the target takes from files.
func (t *Target) SecretFiles() []SecretFile {
	var files []SecretFile
	for _, f := range []SecretFile{t.BearerTokenFile, t.CABundleFile, t.SigningSecretFile} {
		if f != "" {
			files = append(files, f)
		}
	}
	return files
}
