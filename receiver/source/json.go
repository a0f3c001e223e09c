package source

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// maxJSONDepth bounds how deep values may nest. Both platforms stay below 10; the validator recurses, so that a megabyte of
// opening brackets would otherwise cost hundreds of megabytes of stack.
const maxJSONDepth = 256

// ParseJSON returns body as a JSON value, or false if it is not exactly one JSON text in UTF-8 that nests at most 256 deep. The
// value is a view of a copy of body: a string that is to outlive the callback must be cloned, as Attribute does.
func ParseJSON(body []byte) (Value, bool) {
	if len(body) == 0 || !utf8.Valid(body) || tooDeep(body) || !gjson.ValidBytes(body) {
		return Value{}, false
	}
	from := skipSpace(body, 0)
	return Value{text: string(bytes.TrimRight(body[from:], " \t\r\n")), at: from}, true
}

// tooDeep says whether body nests deeper than maxJSONDepth. Counting the brackets settles nearly every body at once.
func tooDeep(body []byte) bool {
	if bytes.Count(body, []byte{'{'})+bytes.Count(body, []byte{'['}) <= maxJSONDepth {
		return false
	}
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxJSONDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// IdentityPart says whether a scalar can tell one event from another: it is there, and holds neither a zero byte, which separates
// the parts of an identity, nor U+FFFD, which stands for any of many broken escapes.
func IdentityPart(text string) bool {
	return text != "" && strings.IndexByte(text, 0) < 0 && !strings.ContainsRune(text, utf8.RuneError)
}

// What a platform may plausibly give as the time of an event, in seconds: 2010 to 2100. Test pushes say 1.
const (
	earliestInstant = 1262304000
	latestInstant   = 4102444800
)

// Instant reads a platform's time: seconds since 1970, or milliseconds from 10^11 on, as documents and samples of the platforms
// contradict each other about the unit. It is false for what is no plausible time of an event.
func Instant(text string) (time.Time, bool) {
	if len(text) < len("1262304000") || len(text) > len("4102444800000") {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	t := time.Unix(n, 0)
	if n >= 1e11 {
		t = time.UnixMilli(n)
	}
	if s := t.Unix(); s < earliestInstant || s >= latestInstant {
		return time.Time{}, false
	}
	return t.UTC(), true
}
