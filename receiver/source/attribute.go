package source

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// MaxAttribute is the length in bytes that Attribute lets pass: every header line, key and label made of it stays small.
const MaxAttribute = 512

// Attribute makes a CloudEvents attribute value of what a platform sent. What is longer than MaxAttribute, or holds what an
// attribute must not (control characters, non-characters, bytes that are not UTF-8), is replaced by "sha256-" and the hex digits
// of its SHA-256: different values stay different, and the same value stays the same. The result shares no memory with s.
func Attribute(s string) string {
	if CleanAttribute(s) {
		return strings.Clone(s)
	}
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + hex.EncodeToString(sum[:])
}

// Tenant makes an event's Tenant of what a platform sent: as Attribute does, but the result may share memory with s.
func Tenant(s string) string {
	if CleanAttribute(s) {
		return s
	}
	return Attribute(s)
}

// CleanAttribute says whether s may be an attribute value as it is.
func CleanAttribute(s string) bool {
	if len(s) > MaxAttribute {
		return false
	}
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c < ' ' || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if forbidden(r, size) {
			return false
		}
		i += size
	}
	return true
}

// forbidden names the code points above ASCII that the CloudEvents type String excludes.
func forbidden(r rune, size int) bool {
	switch {
	case r == utf8.RuneError && size == 1: // not UTF-8
		return true
	case r <= 0x9f: // C1 controls
		return true
	case r >= 0xfdd0 && r <= 0xfdef, r&0xfffe == 0xfffe: // non-characters
		return true
	default:
		return false
	}
}
