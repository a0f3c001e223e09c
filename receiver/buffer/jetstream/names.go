package jetstream

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/hookbay/hookbay/receiver/event"
)

// partitions is how many parts a stream's events are in. It is the greatest number of receivers that can deliver from it.
const partitions = 32

// maxToken bounds an escaped name: names of streams are names of directories in the server.
const maxToken = 100

var token64 = base64.RawURLEncoding

// escape makes a name that Kubernetes allows one token of a subject and a part of a stream's name. Nothing else looks like the result.
func escape(name string) string {
	var s strings.Builder
	plain := true
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-':
			s.WriteByte(c)
		case c == '.':
			s.WriteByte('+')
		default:
			plain = false
			s.WriteByte('-')
		}
	}
	if plain && name != "" && s.Len() <= maxToken {
		return s.String()
	}
	sum := sha256.Sum256([]byte(name))
	short := s.String()
	return short[:min(len(short), maxToken-17)] + "=" + hex.EncodeToString(sum[:8])
}

// names are a queue's stream and subjects.
type names struct {
	stream string
	root   string // of all subjects, with the dot at its end
}

func namesOf(prefix, endpoint, stream string) names {
	namespace, name, _ := strings.Cut(endpoint, "/")
	n := names{stream: stream, root: prefix + "." + escape(namespace) + "." + escape(name) + "."}
	if stream == "" {
		n.stream = prefix + "_" + escape(namespace) + "_" + escape(name)
	}
	return n
}

func (n names) all() string              { return n.root + ">" }
func (n names) events(p int) string      { return n.root + "e." + strconv.Itoa(p) + ".>" }
func (n names) allEvents() string        { return n.root + "e.>" }
func (n names) cursor(p int) string      { return n.root + "c." + strconv.Itoa(p) }
func (n names) heads(p int) string       { return n.root + "h." + strconv.Itoa(p) + ".>" }
func (n names) deads(p int) string       { return n.root + "d." + strconv.Itoa(p) + ".>" }
func (n names) member(id string) string  { return n.root + "m." + id }
func (n names) members() string          { return n.root + "m.*" }
func (n names) head(p int, k key) string { return n.root + "h." + strconv.Itoa(p) + "." + k.String() }
func (n names) dead(p int, s uint64) string {
	return n.root + "d." + strconv.Itoa(p) + "." + strconv.FormatUint(s, 10)
}

// isDead says whether a subject is that of a dead letter.
func (n names) isDead(subject string) bool { return strings.HasPrefix(subject, n.root+"d.") }

func (n names) followers(p int, k key, first uint64) string {
	return n.root + "f." + strconv.Itoa(p) + "." + k.String() + "." + strconv.FormatUint(first, 10)
}

// identity is the subject that the events of one identity share, but for its last token.
func (n names) identity(p int, id event.ID) string {
	return n.root + "e." + strconv.Itoa(p) + "." + token64.EncodeToString(id[:]) + "."
}

// generation is the last token of an event's subject: when it was appended, in milliseconds, and something that no other append has.
func generation(at time.Time) string {
	var g [12]byte
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(at.UnixMilli(), 0)))
	copy(g[:6], ms[2:])
	_, _ = rand.Read(g[6:]) // it never fails
	return token64.EncodeToString(g[:])
}

// appendedAt reads when an event was appended from its subject.
func appendedAt(subject string) (time.Time, bool) {
	g, err := token64.DecodeString(subject[strings.LastIndexByte(subject, '.')+1:])
	if err != nil || len(g) != 12 {
		return time.Time{}, false
	}
	var ms [8]byte
	copy(ms[2:], g[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(ms[:]))).UTC(), true //nolint:gosec // 48 bits
}

// partitionOf reads the partition, the second token below the root.
func (n names) partitionOf(subject string) (int, bool) {
	rest := strings.TrimPrefix(subject, n.root)
	if len(rest) == len(subject) || len(rest) < 3 {
		return 0, false
	}
	token, _, _ := strings.Cut(rest[2:], ".")
	p, err := strconv.Atoi(token)
	return p, err == nil && p >= 0 && p < partitions
}

// partitionFor is where the events of a subject are.
func partitionFor(subject string) int { return int(hashOf(subject) % partitions) }

func hashOf(parts ...string) uint64 {
	h := fnv.New64a()
	for _, s := range parts {
		_, _ = h.Write([]byte(s)) // never fails
		_, _ = h.Write([]byte{0})
	}
	x := h.Sum64() // mixed, since its low bits tell little of the last bytes
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// key names a lane within its partition. Two subjects that share one by chance are merely delivered one at a time.
type key struct {
	n     uint64 // the hash of the subject, or the event's own sequence number
	alone bool   // it has one event: that of a queue without order
}

func laneOf(subject string) key { return key{n: hashOf("lane", subject)} }

// String is the key as a token of a subject.
func (k key) String() string {
	s := token64.EncodeToString(binary.BigEndian.AppendUint64(nil, k.n))
	if k.alone {
		return "1" + s
	}
	return "0" + s
}

func parseKey(token string) (key, bool) {
	if len(token) < 2 {
		return key{}, false
	}
	n, err := token64.DecodeString(token[1:])
	if err != nil || len(n) != 8 {
		return key{}, false
	}
	return key{n: binary.BigEndian.Uint64(n), alone: token[0] == '1'}, true
}
