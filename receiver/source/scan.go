package source

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
	"unsafe"
)

// maxJSONDepth bounds how deep values may nest. Both platforms stay below 10; the scanner recurses, so that a megabyte of
// opening brackets would otherwise cost hundreds of megabytes of stack.
const maxJSONDepth = 256

// ParseJSON returns body as a JSON value, or false if it is not exactly one JSON text in UTF-8 that nests at most 256 deep. The
// value is a view of body, which must not change while it, or a string that it has given, is in use: what is to outlive the callback must be
// cloned, as Attribute does.
func ParseJSON(body []byte) (Value, bool) { return ScanJSON(body, nil) }

// ScanJSON is ParseJSON, and in the same pass calls visit for each member of the body's object, and of each object that is a member of that one,
// whose key inside then is; else inside is empty. An object's members come before the object itself. Whether body is JSON to its end is known
// only when ScanJSON returns: if it is not, nothing that was visited counts.
func ScanJSON(body []byte, visit func(inside, key string, value Value)) (Value, bool) {
	if !utf8.Valid(body) {
		return Value{}, false
	}
	// A copy would be the dearest part of reading a callback.
	s := scanner{body: body, text: unsafe.String(unsafe.SliceData(body), len(body)), visit: visit} //nolint:gosec // as documented
	from := s.space(0)
	to := s.value(from, 0, parent{})
	if to < 0 || s.space(to) != len(body) {
		return Value{}, false
	}
	return Value{text: s.text[from:to], at: from}, true
}

// parent is the member of the outermost object that a value is; the zero parent if it is none.
type parent struct {
	key string
	is  bool
}

// scanner reads JSON text (RFC 8259). Its methods take where something begins and return where it ends, -1 if it is not what it should be.
type scanner struct {
	body  []byte
	text  string // the same memory
	visit func(inside, key string, value Value)
}

func (s *scanner) space(i int) int {
	for i < len(s.body) && (s.body[i] == ' ' || s.body[i] == '\n' || s.body[i] == '\r' || s.body[i] == '\t') {
		i++
	}
	return i
}

// next says whether c comes next, after space, and where it ends; else it returns where something else begins.
func (s *scanner) next(i int, c byte) (int, bool) {
	if i = s.space(i); i < len(s.body) && s.body[i] == c {
		return i + 1, true
	}
	return i, false
}

// value reads any value. depth counts what it stands in.
func (s *scanner) value(i, depth int, of parent) int {
	if i >= len(s.body) {
		return -1
	}
	switch s.body[i] {
	case '"':
		return s.string(i)
	case '{':
		return s.object(i, depth+1, of)
	case '[':
		return s.array(i, depth+1)
	case 't':
		return s.literal(i, "true")
	case 'f':
		return s.literal(i, "false")
	case 'n':
		return s.literal(i, "null")
	default:
		return s.number(i)
	}
}

func (s *scanner) object(i, depth int, of parent) int {
	if depth > maxJSONDepth {
		return -1
	}
	at, ok := s.next(i+1, '}')
	if ok {
		return at
	}
	for {
		key := s.space(at)
		if key == len(s.body) || s.body[key] != '"' {
			return -1
		}
		end := s.string(key)
		if end < 0 {
			return -1
		}
		if at, ok = s.next(end, ':'); !ok {
			return -1
		}
		to := s.member(key, end, s.space(at), depth, of)
		if to < 0 {
			return -1
		}
		if at, ok = s.next(to, ','); ok {
			continue
		}
		if at < len(s.body) && s.body[at] == '}' {
			return at + 1
		}
		return -1
	}
}

// member reads the value of a member of an object at depth, and has it visited if that is the outermost one or a member of it.
func (s *scanner) member(key, keyEnd, i, depth int, of parent) int {
	if s.visit == nil || depth > 1 && !of.is {
		return s.value(i, depth, parent{})
	}
	name := Value{text: s.text[key:keyEnd]}.Text()
	to := s.value(i, depth, parent{key: name, is: depth == 1})
	if to >= 0 {
		s.visit(of.key, name, Value{text: s.text[i:to], at: i})
	}
	return to
}

func (s *scanner) array(i, depth int) int {
	if depth > maxJSONDepth {
		return -1
	}
	at, ok := s.next(i+1, ']')
	if ok {
		return at
	}
	for {
		to := s.value(s.space(at), depth, parent{})
		if to < 0 {
			return -1
		}
		if at, ok = s.next(to, ','); ok {
			continue
		}
		if at < len(s.body) && s.body[at] == ']' {
			return at + 1
		}
		return -1
	}
}

func (s *scanner) literal(i int, word string) int {
	if end := i + len(word); end <= len(s.text) && s.text[i:end] == word {
		return end
	}
	return -1
}

func (s *scanner) number(i int) int {
	if s.body[i] == '-' {
		i++
	}
	if i < len(s.body) && s.body[i] == '0' {
		i++
	} else if i = s.digits(i); i < 0 {
		return -1
	}
	if i < len(s.body) && s.body[i] == '.' {
		if i = s.digits(i + 1); i < 0 {
			return -1
		}
	}
	if i < len(s.body) && s.body[i]|0x20 == 'e' {
		if i++; i < len(s.body) && (s.body[i] == '+' || s.body[i] == '-') {
			i++
		}
		return s.digits(i)
	}
	return i
}

// digits reads one digit at least.
func (s *scanner) digits(i int) int {
	from := i
	for i < len(s.body) && s.body[i] >= '0' && s.body[i] <= '9' {
		i++
	}
	if i == from {
		return -1
	}
	return i
}

// string reads a string, eight bytes at a time where there is nothing special in them.
func (s *scanner) string(i int) int {
	for i++; i < len(s.body); i++ {
		if i += s.plain(i); i == len(s.body) {
			return -1
		}
		switch c := s.body[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			n := s.escape(i)
			if n == 0 {
				return -1
			}
			i += n - 1
		case c < ' ':
			return -1
		}
	}
	return -1
}

// escape is the length of the escape that begins at i, 0 if it is none.
func (s *scanner) escape(i int) int {
	if i+1 >= len(s.body) {
		return 0
	}
	switch s.body[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if i+6 > len(s.body) {
			return 0
		}
		for _, c := range s.body[i+2 : i+6] {
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return 0
			}
		}
		return 6
	default:
		return 0
	}
}

// Each byte of these is one of eight lanes.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plain is how many bytes from i on are neither a quote nor a backslash nor a control character; it may stop early, before any byte.
func (s *scanner) plain(i int) int {
	n := 0
	for i+n+8 <= len(s.body) {
		v := binary.LittleEndian.Uint64(s.body[i+n:])
		quote, slash := v^(ones*'"'), v^(ones*'\\')
		// A lane's high bit is set if a subtraction from it borrows: exact for the lowest such lane, which is the one that counts.
		special := ((quote - ones) & ^quote) | ((slash - ones) & ^slash) | ((v - ones*' ') & ^v)
		if special &= highs; special != 0 {
			return n + bits.TrailingZeros64(special)/8
		}
		n += 8
	}
	return n
}
