package source

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"
)

func TestValue_Members(t *testing.T) {
	body := []byte(" {\"a\" : 1 , \"b\\\"}\":\"}\\\\\",\n\"c\":{\"d\":[\"]\",{}]},\"c\":null,\"e\":[ ] , \"f\":-1.5e3} ")
	root, ok := ParseJSON(body)
	if !ok || !root.IsObject() {
		t.Fatalf("not an object: %v", root)
	}
	var got []string
	root.Members(func(key string, value Value) bool {
		from, to := value.Span()
		got = append(got, key+"="+string(body[from:to]))
		return true
	})
	want := []string{"a=1", `b"}="}\\"`, `c={"d":["]",{}]}`, "c=null", "e=[ ]", "f=-1.5e3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestValue_stopsWhereItIsTold(t *testing.T) {
	root, _ := ParseJSON([]byte(`{"a":[1,2,3],"b":2}`))
	var seen []string
	root.Members(func(key string, value Value) bool {
		value.Items(func(item Value) bool {
			seen = append(seen, key+item.Scalar())
			return len(seen) < 2
		})
		return false
	})
	if want := []string{"a1", "a2"}; !slices.Equal(seen, want) {
		t.Errorf("visited %v, want %v", seen, want)
	}
}

func TestValue_kinds(t *testing.T) {
	for text, want := range map[string]string{`"x"`: "string", "1": "number", "-1": "number", "{}": "object", "[]": "array", "true": "", "null": "", "": ""} {
		v, got := Value{text: text}, ""
		for kind, is := range map[string]bool{"string": v.IsString(), "number": v.IsNumber(), "object": v.IsObject(), "array": v.IsArray()} {
			if is {
				got += kind
			}
		}
		if got != want {
			t.Errorf("%s is a %q, want %q", text, got, want)
		}
	}
}

// FuzzValue compares what is read with what gjson reads of the same text.
func FuzzValue(f *testing.F) {
	for _, seed := range []string{`{"a":{"b":[1,"\u00e9\"",null]},"c":"\\\\"}`, ` [ {} , [] ,1]`, `"x"`, "{}", `{"":""}`, `{"a":1}x`, "\"\\ud800\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, ok := ParseJSON(body)
		if !ok {
			return
		}
		compare(t, v, gjson.Parse(string(body)), strings.TrimSpace(string(body)))
	})
}

func compare(t *testing.T, v Value, want gjson.Result, raw string) {
	t.Helper()
	if v.text != raw {
		t.Fatalf("value is %q, want %q", v.text, raw)
	}
	if v.Text() != want.Str {
		t.Fatalf("text of %q is %q, want %q", raw, v.Text(), want.Str)
	}
	type member struct {
		key   string
		value Value
	}
	var got []member
	v.Members(func(key string, value Value) bool { got = append(got, member{key, value}); return true })
	v.Items(func(item Value) bool { got = append(got, member{"", item}); return true })
	n := 0
	if want.IsObject() || want.IsArray() {
		want.ForEach(func(key, value gjson.Result) bool {
			if n >= len(got) || got[n].key != key.Str {
				t.Fatalf("%q: member %d differs: %v, want key %q", raw, n, got, key.Str)
			}
			compare(t, got[n].value, value, value.Raw)
			n++
			return true
		})
	}
	if n != len(got) {
		t.Fatalf("%q has %d members, want %d", raw, len(got), n)
	}
}
