package tencentim

import (
	"bytes"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/source"
	"github.com/hookbay/hookbay/receiver/source/sourcetest"
)

// FuzzIdentify wants well-formed events, or a refusal, of whatever comes with a good Sign, the same each time.
func FuzzIdentify(f *testing.F) {
	cfg, secrets := endpoint(sdkAppID, token)
	sim := newSimulator(f, cfg, secrets)
	for _, sample := range sim.Samples() {
		made, err := sim.Sign(sample.Body, now)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(made.Query, sample.Body)
	}
	for _, body := range sourcetest.Malformed {
		if len(body) < 1<<12 {
			f.Add("CallbackCommand=A.B", []byte(body))
		}
	}
	for query, body := range map[string]string{
		"CallbackCommand=Push.A":                       `{"Events":[{"CallbackCommand":"\u0000"},1,"x",null,[[]],{}]}`,
		"CallbackCommand=Push.A&ClientIP=%00":          ` {"Events" : [ ] } `,
		"CallbackCommand=%F0%9F%98%80&OptPlatform=%C2": "{\"CallbackCommand\":\"\\ud83d\\ude00\",\"GroupId\":\"\\ud800\"}",
		"CallbackCommand=A+B&CallbackCommand=C":        `{"CallbackCommand":"C","CallbackCommand":"A B","Info":{"To_Account":1e400}}`,
		"&&=&CallbackCommand=%zz&SdkAppid":             `{"CallbackCommand":"%zz","PairList":[{"From_Account":-0}],"EventTime":"0"}`,
	} {
		f.Add(query, []byte(body))
	}
	s := newSource(f, cfg, secrets)
	f.Fuzz(func(t *testing.T, query string, body []byte) {
		r := &source.Request{Query: query, Body: body, Received: now}
		if proof, refusal := source.Verify(s, r); refusal == nil && proof.Key != 0 {
			t.Errorf("verified with %+v", proof)
		}
		events, refusal := s.Identify(nil, r)
		again, againRefusal := s.Identify(nil, &source.Request{Query: query, Body: bytes.Clone(body), Received: now})
		if refusal != againRefusal {
			t.Fatalf("refused with %v, the second time with %v", refusal, againRefusal)
		}
		if diff := cmp.Diff(events, again); diff != "" {
			t.Errorf("the second time (-/+):\n%s", diff)
		}
		if refusal != nil {
			if len(events) != 0 || refusal.Status != 400 {
				t.Errorf("%d events and %+v", len(events), refusal)
			}
			return
		}
		sourcetest.CheckEvents(t, body, events)
	})
}

// FuzzQuery wants what net/url reads of a query, where that takes it: of each parameter the first that is not empty.
func FuzzQuery(f *testing.F) {
	for _, raw := range []string{
		"", "&", "=", "&&=&", "Sign", "Sign=", "Sign==", "Sign&Sign=a", "Sign=&Sign=b=c&Sign=d", "ClientIP=%31%2e+&ClientIP", "ClientIP=+",
		"SdkAppid=1&CallbackCommand=A.B&Sign=ab&RequestTime=17&ClientIP=::1&OptPlatform=iOS&contenttype=json",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		values, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		first := func(name string) string {
			for _, value := range values[name] {
				if value != "" {
					return value
				}
			}
			return ""
		}
		want := query{first("SdkAppid"), first("CallbackCommand"), first("Sign"), first("RequestTime"), first("ClientIP"), first("OptPlatform")}
		if got := parseQuery(raw); got != want {
			t.Errorf("%q: got %+v, want %+v", raw, got, want)
		}
	})
}
