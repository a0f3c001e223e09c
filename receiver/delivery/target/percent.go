package target

import (
	"strings"
	"unicode/utf8"
)

// percentEncode writes a CloudEvents attribute as an HTTP header value, by the HTTP protocol binding 1.0.2, section 3.1.3.2: space,
// double quote, percent and everything outside U+0021 to U+007E become the bytes of their UTF-8 form as %XX, upper-case; nothing
// else is encoded. What is not UTF-8 becomes U+FFFD, because a reader has to refuse a value that does not decode to UTF-8.
func percentEncode(s string) string { return string(appendPercentEncoded(nil, s)) }

// appendPercentEncoded appends what percentEncode returns.
func appendPercentEncoded(b []byte, s string) []byte {
	first := 0
	for first < len(s) && !mustEncode(s[first]) {
		first++
	}
	if first == len(s) {
		return append(b, s...)
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, string(utf8.RuneError))
	}
	const hexDigits = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; mustEncode(c) {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&0xF])
		} else {
			b = append(b, c)
		}
	}
	return b
}

// mustEncode looks at bytes, not characters: every byte of a character above U+007E is above 0x7E too.
func mustEncode(c byte) bool {
	return c <= ' ' || c >= 0x7F || c == '"' || c == '%'
}
