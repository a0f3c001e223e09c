package source

import (
	"strings"
	"testing"
	"time"
)

func TestParseJSON(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := map[string]struct {
		body string
		want bool
	}{
		"an object":                     {`{"a":[1,2.5e3,"x",null,true]}`, true},
		"space around it":               {" \r\n\t{} ", true},
		"a scalar":                      {`"x"`, true},
		"as deep as can be":             {nested(256), true},
		"too deep":                      {nested(257), false},
		"wide rather than deep":         {"[" + strings.Repeat("{},", 5000) + "[]]", true},
		"deep after wide":               {"[" + strings.Repeat("{},", 5000) + nested(256) + "]", false},
		"brackets in a string":          {`["` + strings.Repeat("[{", 5000) + `"]`, true},
		"brackets after escaped quotes": {`["\"` + strings.Repeat("[{", 5000) + `\\"]`, true},
		"deep after a string":           {`["\\",` + nested(256) + `]`, false},
		"nothing":                       {"", false},
		"space":                         {" ", false},
		"not UTF-8 in a string":         {"\"\xff\"", false},
		"escaped surrogates":            {`"\ud83d"`, true},
		"not a number":                  {"NaN", false},
		"a plus":                        {"+1", false},
		"a huge number":                 {strings.Repeat("9", 1<<20), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, got := ParseJSON([]byte(test.body)); got != test.want {
				t.Errorf("ParseJSON(%.80q) = %t, want %t", test.body, got, test.want)
			}
		})
	}
}

func TestScalar(t *testing.T) {
	for text, want := range map[string]string{
		`"19"`: "19", `19`: "19", `18446744073709551616`: "18446744073709551616", `1e2`: "1e2", `1.50`: "1.50", `-0`: "-0",
		`true`: "true", `false`: "false", `null`: "", `"null"`: "", `"NULL"`: "NULL", `{}`: "", `["a"]`: "", `""`: "", `"a\u0041"`: "aA",
	} {
		if got := (Value{text: text}).Scalar(); got != want {
			t.Errorf("Scalar(%s) = %q, want %q", text, got, want)
		}
	}
	if got := (Value{}).Scalar(); got != "" {
		t.Errorf("Scalar of nothing = %q", got)
	}
}

func TestIdentityPart(t *testing.T) {
	for text, want := range map[string]bool{"": false, "a": true, "0": true, " ": true, "a\x00b": false, "\ufffd": false, "群": true} {
		if got := IdentityPart(text); got != want {
			t.Errorf("IdentityPart(%q) = %t, want %t", text, got, want)
		}
	}
}

func TestInstant(t *testing.T) {
	for text, want := range map[string]string{
		"1751440210":                     "2025-07-02T07:10:10Z",
		"1751440210123":                  "2025-07-02T07:10:10.123Z",
		"1262304000":                     "2010-01-01T00:00:00Z",
		"4102444799":                     "2099-12-31T23:59:59Z",
		"4102444799999":                  "2099-12-31T23:59:59.999Z",
		"1262303999":                     "",
		"4102444800":                     "",
		"4102444800000":                  "",
		"99999999999":                    "",
		"100000000000":                   "",
		"1751440210123456":               "",
		"1":                              "",
		"-1751440210":                    "",
		"1751440210.5":                   "",
		"1.75144021e9":                   "",
		"0x684F1C1200":                   "",
		"175144021O":                     "",
		"":                               "",
		strings.Repeat("1", 1<<20):       "",
		"999999999999999999999999999999": "",
	} {
		got := ""
		if at, ok := Instant(text); ok {
			got = at.Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("Instant(%.40q) = %q, want %q", text, got, want)
		}
	}
}
