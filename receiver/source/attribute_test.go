package source

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"unsafe"
)

func TestAttribute(t *testing.T) {
	tests := map[string]struct {
		value string
		clean bool
	}{
		"plain":                  {"buyer:shop", true},
		"empty":                  {"", true},
		"other scripts":          {"สวัสดี 群 😀", true},
		"as long as can be":      {strings.Repeat("x", MaxAttribute), true},
		"too long":               {strings.Repeat("x", MaxAttribute+1), false},
		"a line break":           {"a\nb", false},
		"a zero byte":            {"a\x00", false},
		"delete":                 {"a\x7f", false},
		"a C1 control":           {"a\u0085b", false},
		"no-break space":         {"a\u00a0b", true},
		"not UTF-8":              {"a\xff", false},
		"an encoded surrogate":   {"\xed\xa0\x80", false},
		"a replacement":          {"\ufffd", true},
		"a non-character":        {"\ufdd0", false},
		"the last of a plane":    {"\U0001ffff", false},
		"just before those":      {"\ufdcf\ufffd\U0001fffd", true},
		"a byte order mark kept": {"\ufeffa", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := test.value
			if !test.clean {
				want = fmt.Sprintf("sha256-%x", sha256.Sum256([]byte(test.value)))
			}
			got := Attribute(test.value)
			if got != want || CleanAttribute(test.value) != test.clean {
				t.Errorf("Attribute = %q, clean = %t, want %q, %t", got, CleanAttribute(test.value), want, test.clean)
			}
			if !CleanAttribute(got) {
				t.Error("what it returns is not clean")
			}
			if test.value != "" && unsafe.StringData(got) == unsafe.StringData(test.value) {
				t.Error("the result shares memory with the value")
			}
		})
	}
}
