package target

import (
	"strings"

	"github.com/hookbay/hookbay/receiver/event"
)

// subject is the template of a NATS subject, cut at its braces: text and names take turns.
type subject []string

// newSubject cuts a template that config has validated.
func newSubject(template string) subject {
	return strings.FieldsFunc(strings.NewReplacer("{", "\x00{", "}", "\x00").Replace(template), func(r rune) bool { return r == 0 })
}

// of is the event's subject.
func (s subject) of(e *event.Event) string {
	var b strings.Builder
	for _, part := range s {
		name, field := strings.CutPrefix(part, "{")
		if !field {
			b.WriteString(part)
			continue
		}
		namespace, endpoint, _ := strings.Cut(e.Endpoint, "/")
		switch name {
		case "type":
			b.WriteString(tokens(e.Type))
		case "subject":
			b.WriteString(token(e.Subject))
		case "source":
			b.WriteString(token(e.Source))
		case "id":
			b.WriteString(e.ID.String())
		case "namespace":
			b.WriteString(token(namespace))
		case "name":
			b.WriteString(token(endpoint))
		}
	}
	return b.String()
}

// tokens keeps the dots of a type such as "com.lazada.push.2", which is a hierarchy as subjects are, so that "*" and ">" select among types.
func tokens(s string) string {
	parts := strings.Split(s, ".")
	for i, p := range parts {
		parts[i] = token(p)
	}
	return strings.Join(parts, ".")
}

// absent is the token of a value that isn't there: a token is never empty.
const absent = "_"

// token writes a value as one token of a subject: whatever has a meaning in subjects, and all that is not visible ASCII, becomes the bytes of its UTF-8
// form as %XX. Different values make different tokens.
func token(s string) string {
	switch s {
	case "":
		return absent
	case absent:
		return "%5F"
	}
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ' || c >= 0x7F, strings.IndexByte(".*>%", c) >= 0:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&0xF])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
