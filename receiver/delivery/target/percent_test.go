package target

import (
	"net/url"
	"testing"
	"unicode/utf8"
)

func TestPercentEncode(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"empty":                               {"", ""},
		"plain":                               {"//open.lazada.com/apps/100132", "//open.lazada.com/apps/100132"},
		"the binding's own example":           {"Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"},
		"space, quote, percent":               {` "%`, "%20%22%25"},
		"the first and last bare character":   {"!~", "!~"},
		"other marks stay":                    {`#&'()*+,;<=>?@[\]^{|}`, `#&'()*+,;<=>?@[\]^{|}`},
		"what looks encoded is encoded again": {"%41", "%2541"},
		"controls":                            {"a\x00\t\r\n\x7f", "a%00%09%0D%0A%7F"},
		"C1 controls and Latin-1":             {"\u0085\u00a0é", "%C2%85%C2%A0%C3%A9"},
		"a Chinese account":                   {"用户:卖家", "%E7%94%A8%E6%88%B7:%E5%8D%96%E5%AE%B6"},
		"not UTF-8":                           {"a\xffb", "a%EF%BF%BDb"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := percentEncode(tc.in); got != tc.want {
				t.Errorf("percentEncode(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

func FuzzPercentEncode(f *testing.F) {
	f.Add("Euro € 😀")
	f.Add("a\xff%41\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		got := percentEncode(in)
		for _, c := range []byte(got) {
			if c <= ' ' || c > '~' || c == '"' {
				t.Errorf("%q: the header value %q holds byte %#x", in, got, c)
			}
		}
		back, err := url.PathUnescape(got)
		if err != nil || !utf8.ValidString(back) || utf8.ValidString(in) && back != in {
			t.Errorf("%q decodes from %q to %q, %v", in, got, back, err)
		}
	})
}
