package source

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestScanJSON_visitsTwoLevels(t *testing.T) {
	body := ` {"a":1,"b":{"c":"x","d":{"e":2},"f":[{"g":3}],"c":null},"":{"h":4}, "i":[{"j":5}] } `
	var got []string
	root, ok := ScanJSON([]byte(body), func(inside, key string, value Value) {
		from, to := value.Span()
		got = append(got, inside+"/"+key+"="+body[from:to])
	})
	if !ok || !root.IsObject() {
		t.Fatalf("not an object: %v", root)
	}
	want := []string{
		"/a=1", `b/c="x"`, `b/d={"e":2}`, `b/f=[{"g":3}]`, "b/c=null", `/b={"c":"x","d":{"e":2},"f":[{"g":3}],"c":null}`,
		"/h=4", `/={"h":4}`, `/i=[{"j":5}]`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("visited (-want +got):\n%s", diff)
	}
}

func TestScanJSON_visitsNothingInsideAnArray(t *testing.T) {
	if _, ok := ScanJSON([]byte(`[{"a":{"b":1}}]`), func(inside, key string, _ Value) { t.Errorf("visited %s/%s", inside, key) }); !ok {
		t.Error("not taken for JSON")
	}
}

// FuzzScanJSON compares what is taken for JSON with what encoding/json takes for it, and the members with what Members finds.
func FuzzScanJSON(f *testing.F) {
	for _, seed := range jsonSeeds() {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var visited []string
		root, ok := ScanJSON(body, func(inside, key string, value Value) {
			visited = append(visited, inside+"\x00"+key+"\x00"+value.text)
		})
		if want := json.Valid(body) && utf8.Valid(body); ok != want && (ok || !deep(body)) {
			t.Fatalf("JSON: %t, want %t", ok, want)
		}
		if !ok {
			return
		}
		var want []string
		root.Members(func(key string, value Value) bool {
			value.Members(func(inner string, value Value) bool {
				want = append(want, key+"\x00"+inner+"\x00"+value.text)
				return true
			})
			want = append(want, "\x00"+key+"\x00"+value.text)
			return true
		})
		if !slices.Equal(visited, want) {
			t.Fatalf("visited %q, want %q", visited, want)
		}
	})
}

// deep says whether body may nest deeper than is read: encoding/json goes further.
func deep(body []byte) bool {
	return strings.Count(string(body), "[")+strings.Count(string(body), "{") > maxJSONDepth
}

func jsonSeeds() []string {
	return []string{
		`{"a":{"b":[1,"\u00e9\"",null]},"c":"\\\\"}`, ` [ {} , [] ,1]`, `"x"`, "{}", `{"":""}`, `{"a":1}x`, "\"\\ud800\"", `{"a" : {"b" : true } , "c":false}`,
		"", " ", "-", "-0", "01", "1.", ".5", "1e", "1e+", "1E-5", "-1.5e3", "+1", "1 2", "tru", "true ", "nul", "falsey", "[", "[1", "[1,", "[1,]", "[,1]", "{", `{"a"`,
		`{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{1:2}`, `{"a" 1}`, `{"a":1 "b":2}`, `[1 2]`, `"`, `"abc`, `"\`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\u12G4"`, "\"\x1f\"", "\"\x20\x7f\"",
		"\"01234567\x01\"", "\"0123456789012345\\\"\"", "\"0123456\\\\\"", "\"\u00e9\u00e9\u00e9\u00e9\x02\"", "\"\xff\"", "\xef\xbb\xbf{}", "{}\x00", "\f{}", "[1]]", "{}}",
		strings.Repeat("[", 256) + strings.Repeat("]", 256), `{"data":{"a":"` + strings.Repeat("x", 100) + `"}}`,
	}
}
