package disk

import (
	"encoding/binary"
	"time"

	"github.com/hookbay/hookbay/receiver/event"
)

// The kinds of entries: see the package documentation.
const (
	kindMeta      = 'm'
	kindPending   = 'p'
	kindIdentity  = 'i'
	kindCursor    = 'c'
	kindHead      = 'h'
	kindFollower  = 'f'
	kindTimer     = 't'
	kindDelivered = 'd'
	kindDead      = 'x'
	kindAppended  = 'a'
	kindSettled   = 's'
)

var (
	keyFormat   = []byte("mformat")
	keySequence = []byte("msequence")
	prefixQueue = []byte("mqueue\x00")
)

// prefix is the beginning of all keys of a kind in a queue.
func prefix(kind byte, queue uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{kind}, queue)
}

// prefixEnd is the first key behind all that begin with p.
func prefixEnd(p []byte) []byte {
	end := append([]byte(nil), p...)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// appendSeqKey appends a key of the kinds whose last part is a sequence number: p, and f behind its lane, t, d, x behind a time.
func appendSeqKey(dst []byte, kind byte, queue uint32, parts ...uint64) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, kind), queue)
	for _, p := range parts {
		dst = binary.BigEndian.AppendUint64(dst, p)
	}
	return dst
}

func seqKey(kind byte, queue uint32, parts ...uint64) []byte {
	return appendSeqKey(make([]byte, 0, 5+8*len(parts)), kind, queue, parts...)
}

// keyPart reads the n-th 64-bit part of a key made by appendSeqKey; ok is false if the key is too short.
func keyPart(key []byte, n int) (v uint64, ok bool) {
	at := 5 + 8*n
	if len(key) < at+8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[at:]), true
}

func appendIdentityKey(dst []byte, queue, bucket uint32, id event.ID) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, kindIdentity), queue)
	dst = binary.BigEndian.AppendUint32(dst, bucket)
	return append(dst, id[:]...)
}

// stamp is a time as keys hold it: nanoseconds since 1970, never negative, so that keys sort as the times do.
func stamp(t time.Time) uint64 {
	if t.Before(time.Unix(0, 0)) {
		return 0
	}
	return uint64(t.UnixNano()) // not negative
}
