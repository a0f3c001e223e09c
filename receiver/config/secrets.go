package config

import (
	"fmt"
	"log/slog"
)

// Secrets are the contents of the files that a Config names, by path. They never print.
type Secrets map[SecretFile]string

// Get returns the secret in a file, which must be there and not be empty: an empty key verifies anybody's callbacks.
func (s Secrets) Get(f SecretFile) (string, error) {
	v, ok := s[f]
	if !ok {
		return "", fmt.Errorf("secret file %q is missing: create the Secret and the key that the endpoint names", f)
	}
	if v == "" {
		return "", fmt.Errorf("secret file %q is empty: put the credential into that key of the Secret", f)
	}
	return v, nil
}

// MaxCredentialBytes bounds a key, a password or a token. The platforms' have 32 bytes or so, tokens that hold claims a few thousand, and few servers
// take a header of more than this.
const MaxCredentialBytes = 16 << 10

// Credential returns the secret in a file, as Get does, which must be no larger than a credential may be.
func (s Secrets) Credential(f SecretFile) (string, error) {
	v, err := s.Get(f)
	if err == nil && len(v) > MaxCredentialBytes {
		return "", fmt.Errorf("secret file %q holds %d bytes, and a credential has %d at most: put the credential alone into that key of the Secret",
			f, len(v), MaxCredentialBytes)
	}
	return v, err
}

// All returns the credentials in several files, in their order.
func (s Secrets) All(files []SecretFile) ([]string, error) {
	values := make([]string, 0, len(files))
	for _, f := range files {
		v, err := s.Credential(f)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// String, GoString and LogValue keep the contents out of whatever prints them.
func (s Secrets) String() string { return fmt.Sprintf("%d secrets", len(s)) }

// GoString is String.
func (s Secrets) GoString() string { return s.String() }

// LogValue is String.
func (s Secrets) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Snapshot is one consistent reading of a configuration and of the secrets that it names.
type Snapshot struct {
	Config  Config
	Secrets Secrets
	// Unreadable says of each secret that is named and is not in Secrets what is wrong with its file and what to do: one endpoint's secret is no
	// matter of the others. It quotes no secret.
	Unreadable map[SecretFile]string
	// Revision is what whoever wrote the files calls this state of them; empty if they call it nothing. The receiver shows it and gives
	// no other meaning to it: by it the control plane knows that also a change of a Secret alone has arrived.
	Revision string
}

// Check returns what is wrong with the files that an endpoint names, and which of its fields names them; nil if they could be read.
func (s *Snapshot) Check(e *Endpoint) error {
	for _, named := range e.namedFiles() {
		if why, broken := s.Unreadable[named.file]; broken {
			return fmt.Errorf("%s: %s", named.field, why)
		}
	}
	return nil
}
