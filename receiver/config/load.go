package config

import (
	"errors"
	"fmt"
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

// Load reads the configuration, exactly the secret files that it names, and the revision. A secret that cannot be read is no error: see
// Snapshot.Unreadable.
//
// Only regular files are read, at the end of whatever symbolic links, and no more of them than they may hold: a pipe or a device in the place of
// one, or a file without end, neither blocks nor exhausts whoever reads.
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
	return r.document == other.document && r.Revision == other.Revision && maps.Equal(r.Secrets, other.Secrets) &&
		maps.Equal(r.Unreadable, other.Unreadable)
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
	secrets, unreadable := f.readSecrets(c.SecretFiles())
	revision, err := f.readRevision()
	if err != nil {
		return reading{}, err
	}
	return reading{document: document, Snapshot: Snapshot{Config: c, Secrets: secrets, Unreadable: unreadable, Revision: revision}}, nil
}

// readRevision returns an empty revision if there is no file: whoever gives the files need not number them.
func (f Files) readRevision() (string, error) {
	if f.Revision == "" {
		return "", nil
	}
	line, err := readFile(anywhere{}, f.Revision, MaxRevisionBytes+2) // with its line break
	tooLarge := errors.Is(err, ErrTooLarge)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case errors.Is(err, ErrNotRegular):
		return "", fmt.Errorf("revision file %s is not a regular file: write the revision into one, or remove it", f.Revision)
	case err != nil && !tooLarge:
		return "", fmt.Errorf("read revision: %w", err)
	}
	line = TrimLineBreak(line)
	if tooLarge || len(line) > MaxRevisionBytes || !utf8.ValidString(line) || strings.ContainsFunc(line, unicode.IsControl) {
		return "", fmt.Errorf("revision file %s: write one line of at most %d bytes", f.Revision, MaxRevisionBytes)
	}
	return line, nil
}

func (f Files) readDocument() (string, error) {
	document, err := readFile(anywhere{}, f.Config, MaxBytes)
	switch {
	case errors.Is(err, ErrNotRegular):
		return "", fmt.Errorf("config %s is not a regular file: write the configuration into one", f.Config)
	case errors.Is(err, ErrTooLarge):
		return "", fmt.Errorf("config %s is larger than %d bytes: serve fewer endpoints with it", f.Config, MaxBytes)
	case err != nil:
		return "", fmt.Errorf("open config: %w", err)
	}
	return document, nil
}

// readSecrets opens the files through an os.Root: neither a path nor a symbolic link can lead out of the directory.
func (f Files) readSecrets(files []SecretFile) (Secrets, map[SecretFile]string) {
	secrets, unreadable := make(Secrets, len(files)), make(map[SecretFile]string)
	if len(files) == 0 {
		return secrets, unreadable
	}
	root, err := openSecrets(f.SecretsDir)
	if err != nil {
		for _, name := range files {
			unreadable[name] = fmt.Sprintf("secret file %q: %v", name, err)
		}
		return secrets, unreadable
	}
	defer root.Close() //nolint:errcheck // Nothing was written.
	for _, name := range files {
		value, err := readFile(root, string(name), MaxSecretBytes)
		switch {
		case err == nil:
			secrets[name] = TrimLineBreak(value)
		case errors.Is(err, fs.ErrNotExist):
			unreadable[name] = fmt.Sprintf("secret file %q is missing: create the Secret and the key that the endpoint names", name)
		case errors.Is(err, ErrNotRegular):
			unreadable[name] = fmt.Sprintf("secret file %q is not a regular file: name the file that holds the credential", name)
		case errors.Is(err, ErrTooLarge):
			unreadable[name] = fmt.Sprintf("secret file %q: larger than %d bytes: name a smaller file", name, MaxSecretBytes)
		default:
			unreadable[name] = fmt.Sprintf("secret file %q: %v", name, err)
		}
	}
	return secrets, unreadable
}

func openSecrets(dir string) (*os.Root, error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() { // opening a pipe would wait for ever
		return nil, fmt.Errorf("the secrets directory %s is not a directory: name the one that the secrets are in", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the secrets directory: %w", err)
	}
	return root, nil
}

// TrimLineBreak drops the one line break that editors and "echo" add at the end of a credential. More of them would be part of the credential.
func TrimLineBreak(s string) string {
	line, found := strings.CutSuffix(s, "\n")
	if !found {
		return s
	}
	return strings.TrimSuffix(line, "\r")
}
