package source

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

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
