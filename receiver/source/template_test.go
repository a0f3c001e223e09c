package source

import (
	"strings"
	"testing"
)

func TestTemplate(t *testing.T) {
	const body = `{"id":"s_7_40_1","name":"bob","at":1700000000,"text":"9","list":[{"n":18446744073709551615}],"empty":""}`
	tests := map[string]struct {
		variations []Variation
		want       string // replaces what it names
	}{
		"nothing":                 {nil, body},
		"a path that is missing":  {[]Variation{{Path: "data.id"}}, body},
		"the first run":           {[]Variation{{Path: "id"}}, strings.Replace(body, "s_7_40_1", "s_12_40_1", 1)},
		"another run":             {[]Variation{{Path: "id", Run: 1}}, strings.Replace(body, "s_7_40_1", "s_7_45_1", 1)},
		"two runs":                {[]Variation{{Path: "id", Run: 2, By: ByEvent}, {Path: "id"}}, strings.Replace(body, "s_7_40_1", "s_12_40_4", 1)},
		"text without digits":     {[]Variation{{Path: "name"}}, strings.Replace(body, "bob", "bob5", 1)},
		"an empty text":           {[]Variation{{Path: "empty"}}, strings.Replace(body, `"empty":""`, `"empty":"5"`, 1)},
		"a number, by the event":  {[]Variation{{Path: "at", By: ByEvent}}, strings.Replace(body, "1700000000", "1700000003", 1)},
		"a count":                 {[]Variation{{Path: "at", By: Count}}, strings.Replace(body, "1700000000", "3", 1)},
		"a number of its own":     {[]Variation{{Path: "text", By: ByBoth}}, strings.Replace(body, `"9"`, `"3000014"`, 1)},
		"several, in other order": {[]Variation{{Path: "at", By: ByEvent}, {Path: "id"}}, strings.Replace(strings.Replace(body, "s_7", "s_12", 1), "1700000000", "1700000003", 1)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			template, err := NewTemplate([]byte(body), test.variations...)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if got := string(template.Fill(3, 5)); got != test.want {
					t.Errorf("Fill(3, 5) =\n%s, want\n%s", got, test.want)
				}
			}
		})
	}
	for name, variations := range map[string][]Variation{
		"its digits vary already": {{Path: "at"}, {Path: "at", By: ByEvent}},
		"value out of range":      {{Path: "list.0.n"}},
	} {
		if _, err := NewTemplate([]byte(body), variations...); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got error %v, want %s", err, name)
		}
	}
}
