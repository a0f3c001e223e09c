package oneline

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOf(t *testing.T) {
	tests := map[string]struct {
		in    string
		limit int
		want  string
	}{
		"nothing":                   {"", 10, ""},
		"several lines":             {" the disk\n\tis full\r\n", 100, "the disk is full"},
		"control characters":        {"bell\a, zero\x00, \xff bad", 100, "bell , zero , bad"},
		"what colours a terminal":   {"a\x1b[31mb\u009b1mc", 100, "a [31mb 1mc"},
		"the direction of writing":  {"right\u202eto left", 100, "right to left"},
		"more than one line in all": {"one\u2028two\u0085three", 100, "one two three"},
		"just as long as may be":    {"ääää", 8, "ääää"},
		"longer":                    {"äääää", 8, "ää…"},
		"longer, cut in a letter":   {"äääää", 9, "äää…"},
		"very long":                 {strings.Repeat("x", 60_000), 2048, strings.Repeat("x", 2045) + "…"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := Of(tt.in, tt.limit)
			if got != tt.want {
				t.Errorf("Of(%q, %d) = %q, want %q", tt.in, tt.limit, got, tt.want)
			}
			if again := Of(got, tt.limit); again != got {
				t.Errorf("it does not stay as it is: %q, then %q", got, again)
			}
		})
	}
}

func FuzzOf(f *testing.F) {
	f.Add("a\nb\x1b[0m", 3)
	f.Fuzz(func(t *testing.T, in string, limit int) {
		limit = 3 + limit&0xFFF
		got := Of(in, limit)
		if len(got) > limit || !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\x1b\x00") || Of(got, limit) != got {
			t.Errorf("Of(%q, %d) = %q", in, limit, got)
		}
	})
}
