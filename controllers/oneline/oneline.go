// Package oneline makes texts of others fit to be shown to people: in conditions, Events and on terminals.
package oneline

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const more = "…"

// Of returns text on one line, without anything that is not printable, in at most limit bytes of valid UTF-8. What was cut off its end shows
// as "…". A text that it has returned stays as it is.
func Of(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) { // also what turns the direction of writing, or has no width
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= limit {
		return text
	}
	end := max(0, limit-len(more))
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + more
}
