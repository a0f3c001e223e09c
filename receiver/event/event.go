// Package event is what a callback becomes once it is verified: one CloudEvent with the platform's own body, byte for byte.
//
// It is the only type that the stages of the receiver share. Sources make events, buffers keep them, delivery sends them.
package event

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// ContentTypeJSON is the datacontenttype of every body that is JSON; ContentTypeBytes of one that the platform signed
// but that does not parse.
const (
	ContentTypeJSON  = "application/json"
	ContentTypeBytes = "application/octet-stream"
)

// ID is the identity of an event: stable over the platform's repeats, so that a repeat can be told from a new event.
type ID [16]byte

// NewID hashes the parts of an identity, joined by a zero byte, with SHA-256 and keeps the first 16 bytes, the first 32
// hex digits of which are the CloudEvents id.
func NewID(parts ...string) ID {
	size := len(parts)
	for _, p := range parts {
		size += len(p)
	}
	// Most identities are short: those are hashed without allocating.
	var room [512]byte
	joined := room[:0]
	if size > len(room) {
		joined = make([]byte, 0, size)
	}
	for i, p := range parts {
		if i > 0 {
			joined = append(joined, 0)
		}
		joined = append(joined, p...)
	}
	sum := sha256.Sum256(joined)
	return ID(sum[:len(ID{})])
}

// ParseID reads the 32 hex digits that String writes.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != hex.EncodedLen(len(id)) {
		return ID{}, fmt.Errorf("event id %q: want 32 hex digits", s)
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return ID{}, fmt.Errorf("event id %q: %w", s, err)
	}
	return id, nil
}

// String is the id as CloudEvents carry it: 32 lower-case hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Extension is a CloudEvents extension attribute. Name: lower-case ASCII letters and digits.
type Extension struct{ Name, Value string }

// Event is one event of one endpoint.
type Event struct {
	// ID names the event within its endpoint.
	ID ID
	// Endpoint is "namespace/name" of the WebhookEndpoint: the extension hookbayendpoint.
	Endpoint string
	// Type, Source and Subject are the CloudEvents attributes of those names. Events of one Subject are delivered in order;
	// Subject is also the extension partitionkey. All are valid UTF-8.
	Type, Source, Subject string
	// ContentType is the datacontenttype.
	ContentType string
	// Time is the platform's own time of the event where it gives one, else Received.
	Time time.Time
	// Received is when the receiver took the callback in.
	Received time.Time
	// Extensions are the source's own, in the order they were added.
	Extensions []Extension
	// Tenant is who caused the event on the platform, for rate limits: the seller, the account. Empty: nobody knows. It is neither stored nor
	// delivered, and never a metric's label.
	Tenant string
	// Body is what the platform sent, unchanged. It may share memory with the request until the event is stored.
	Body []byte
}
