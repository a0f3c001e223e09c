package source

import (
	"strings"

	"github.com/tidwall/gjson"
)

// Value is a piece of JSON text that is known to be valid: ParseJSON made it, or it is a part of such a one. It is read where it stands, in one
// pass and without a tree of what nobody asks for. The zero Value is nothing.
type Value struct {
	text string
	at   int
}

// IsObject says whether the value is an object.
func (v Value) IsObject() bool { return strings.HasPrefix(v.text, "{") }

// IsArray says whether the value is an array.
func (v Value) IsArray() bool { return strings.HasPrefix(v.text, "[") }

// IsString says whether the value is a string.
func (v Value) IsString() bool { return strings.HasPrefix(v.text, `"`) }

// IsNumber says whether the value is a number.
func (v Value) IsNumber() bool {
	return v.text != "" && (v.text[0] == '-' || v.text[0] >= '0' && v.text[0] <= '9')
}

// Span is where the value stands in the body that ParseJSON was given: body[from:to].
func (v Value) Span() (from, to int) { return v.at, v.at + len(v.text) }

// Text returns a string without quotes and escapes; empty for anything else.
func (v Value) Text() string {
	if !v.IsString() {
		return ""
	}
	if strings.IndexByte(v.text, '\\') < 0 {
		return v.text[1 : len(v.text)-1]
	}
	return gjson.Parse(v.text).Str
}

// Scalar returns the text of a JSON string, number or boolean as it was sent: 19 and "19" are the same, and no integer ever becomes
// a float. It is empty for anything else, and for the string "null", which platforms write where a value is missing.
func (v Value) Scalar() string {
	if v.IsString() {
		if text := v.Text(); text != "null" {
			return text
		}
		return ""
	}
	if v.text == "" || v.text == "null" || v.text[0] == '{' || v.text[0] == '[' {
		return ""
	}
	return v.text
}

// Members calls visit for each member of an object, in the order of the text, until it returns false. For anything else it does not call it.
func (v Value) Members(visit func(key string, value Value) bool) {
	if !v.IsObject() {
		return
	}
	for i := skipSeparators(v.text, 1); i < len(v.text) && v.text[i] == '"'; {
		end := skipString(v.text, i)
		key := Value{text: v.text[i:end]}.Text()
		from := skipSeparators(v.text, end)
		to := skipValue(v.text, from)
		if !visit(key, Value{text: v.text[from:to], at: v.at + from}) {
			return
		}
		i = skipSeparators(v.text, to)
	}
}

// Items calls visit for each item of an array, in order, until it returns false. For anything else it does not call it.
func (v Value) Items(visit func(item Value) bool) {
	if !v.IsArray() {
		return
	}
	for i := skipSeparators(v.text, 1); i < len(v.text) && v.text[i] != ']'; {
		to := skipValue(v.text, i)
		if !visit(Value{text: v.text[i:to], at: v.at + i}) {
			return
		}
		i = skipSeparators(v.text, to)
	}
}

// The functions below take s to be valid JSON, and return where in it they ended.

// skipSeparators skips what stands between keys, values and items.
func skipSeparators(s string, i int) int {
	for i < len(s) && (s[i] <= ' ' || s[i] == ',' || s[i] == ':') {
		i++
	}
	return i
}

// skipString skips the string that begins at i.
func skipString(s string, i int) int {
	for i++; i < len(s); {
		quote := strings.IndexByte(s[i:], '"')
		if quote < 0 {
			break
		}
		i += quote
		escapes := 0
		for s[i-1-escapes] == '\\' {
			escapes++
		}
		if i++; escapes%2 == 0 {
			return i
		}
	}
	return len(s)
}

// skipValue skips the value that begins at i.
func skipValue(s string, i int) int {
	if i == len(s) {
		return i
	}
	switch s[i] {
	case '"':
		return skipString(s, i)
	case '{', '[':
		return skipNested(s, i)
	}
	for i < len(s) && s[i] > ' ' && s[i] != ',' && s[i] != '}' && s[i] != ']' {
		i++
	}
	return i
}

// skipNested skips the object or array that begins at i.
func skipNested(s string, i int) int {
	for depth := 0; i < len(s); {
		switch s[i] {
		case '"':
			i = skipString(s, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return i
}
