package source

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"

	"github.com/hookbay/hookbay/receiver/config"
)

// MaxCredentials is how many credentials of an endpoint may be live at once: enough for a rotation that overlaps another.
const MaxCredentials = 4

// Credentials reads an endpoint's live credentials, in the order of their files. field is the config field that names the
// files, for the error. No credential may be blank: an empty key verifies anybody's callbacks.
func Credentials(secrets config.Secrets, field string, files []config.SecretFile) ([]string, error) {
	if len(files) > MaxCredentials {
		return nil, fmt.Errorf("%s: %d credentials are too many: name at most %d and remove those no longer in use",
			field, len(files), MaxCredentials)
	}
	values, err := secrets.All(files)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	for i, v := range values {
		if strings.TrimSpace(v) == "" {
			return nil, fmt.Errorf("%s[%d]: secret file %q is blank: put the credential into that key of the Secret",
				field, i, files[i])
		}
	}
	return values, nil
}

// ParseDigest reads the 64 hex digits of a SHA-256 digest, in either case, with or without space around them.
func ParseDigest(text string) (sum [sha256.Size]byte, ok bool) {
	text = strings.TrimSpace(text)
	if len(text) != hex.EncodedLen(len(sum)) {
		return sum, false
	}
	var digits [2 * sha256.Size]byte
	copy(digits[:], text)
	_, err := hex.Decode(sum[:], digits[:])
	return sum, err == nil
}

// HMACKeys are the live keys of an HMAC-SHA256, ready to use: a key's schedule is worked out once, not for each callback. It is
// safe for concurrent use.
type HMACKeys struct {
	pools []*sync.Pool
}

// keyedHash is one reusable state and the room for its result.
type keyedHash struct {
	hash hash.Hash
	sum  [sha256.Size]byte
}

// NewHMACKeys prepares keys, in their order.
func NewHMACKeys(keys []string) *HMACKeys {
	k := &HMACKeys{pools: make([]*sync.Pool, 0, len(keys))}
	for _, key := range keys {
		k.pools = append(k.pools, &sync.Pool{New: func() any {
			return &keyedHash{hash: hmac.New(sha256.New, []byte(key))}
		}})
	}
	return k
}

// Match returns the position of the first key under which want is the HMAC of the parts joined without a separator, or -1. All keys
// are tried and compared in constant time, so that the time taken does not tell which one matched, or how nearly.
func (k *HMACKeys) Match(want *[sha256.Size]byte, parts ...[]byte) int {
	found := -1
	for i, pool := range slices.Backward(k.pools) {
		state := pool.Get().(*keyedHash)
		state.hash.Reset()
		for _, part := range parts {
			state.hash.Write(part)
		}
		sum := state.hash.Sum(state.sum[:0])
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum, want[:]), i, found)
		pool.Put(state)
	}
	return found
}
