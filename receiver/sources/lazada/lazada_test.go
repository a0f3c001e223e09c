package lazada

import (
	"encoding/json"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
	"github.com/hookbay/hookbay/receiver/source/sourcetest"
)

const (
	appKey    = "100132"
	appSecret = "kX7s2Qv9LmT4bWn8RcYd1ZpE6HgJ0uAf"
)

// endpoint is a configuration with these secrets.
func endpoint(key string, appSecrets ...string) (config.Lazada, config.Secrets) {
	cfg, secrets := config.Lazada{AppKey: key}, config.Secrets{}
	for i, s := range appSecrets {
		file := config.SecretFile(string(rune('a' + i)))
		cfg.AppSecretFiles = append(cfg.AppSecretFiles, file)
		secrets[file] = s
	}
	return cfg, secrets
}

func newSource(tb testing.TB, key string, appSecrets ...string) *Source {
	tb.Helper()
	s, err := New(endpoint(key, appSecrets...))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func newSimulator(tb testing.TB, secret string) *Simulator {
	tb.Helper()
	s, err := NewSimulator(endpoint(appKey, secret))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	sourcetest.Run(t, sourcetest.Harness{
		Source:       func(tb testing.TB, c ...string) source.Source { return newSource(tb, appKey, c...) },
		OtherApp:     func(tb testing.TB, c ...string) source.Source { return newSource(tb, "100133", c...) },
		Simulator:    func(tb testing.TB, c string) source.Simulator { return newSimulator(tb, c) },
		BodySigned:   true,
		SignedHeader: []string{"Authorization"},
		Unparsed:     "com.lazada.push.unparsed",
		Unknown:      `{"seller_id":"1","message_type":99,"data":{"k":1},"timestamp":1700000000,"site":"lazada_sg"}`,
		UnknownType:  "com.lazada.push.99",
		Tenant:       "200168",
		Stored:       `{}`,
		Refused:      `{"error":"say \"why\""}`,
		Within:       500 * time.Millisecond,
	})
}

// vectors are callbacks with known signatures.
type vectors struct {
	Lazada []struct {
		Name          string `json:"name"`
		AppKey        string `json:"app_key"`
		AppSecret     string `json:"app_secret"`
		Body          []byte `json:"body_b64"`
		ValidJSON     bool   `json:"valid_json"`
		Authorization string `json:"authorization"`
	} `json:"lazada"`
	Negative     []headerVector `json:"lazada_negative"`
	NegativeBody string         `json:"lazada_negative_body"`
	Positive     []headerVector `json:"lazada_positive_variants"`
}

type headerVector struct {
	Name          string `json:"name"`
	Authorization string `json:"authorization"`
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	file, err := os.ReadFile("../testdata/callbacks.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(file, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Lazada) == 0 || len(v.Negative) == 0 || len(v.Positive) == 0 {
		t.Fatal("the file of vectors lacks some")
	}
	return v
}

func signed(body []byte, authorization string) *source.Request {
	return &source.Request{
		Header:   textproto.MIMEHeader{"Authorization": {authorization}},
		Body:     body,
		Received: time.Unix(1_800_000_000, 0),
	}
}

func TestVectors(t *testing.T) {
	v := readVectors(t)
	bodies := map[string][]byte{}
	for _, vector := range v.Lazada {
		bodies[vector.Name] = vector.Body
		t.Run(vector.Name, func(t *testing.T) {
			s := newSource(t, vector.AppKey, "another", vector.AppSecret)
			r := signed(vector.Body, vector.Authorization)
			if proof, refusal := source.Verify(s, r); refusal != nil || proof.Key != 1 || proof.Dated {
				t.Fatalf("Verify: %+v, %+v", proof, refusal)
			}
			events, refusal := s.Identify(nil, r)
			if refusal != nil || len(events) != 1 {
				t.Fatalf("Identify: %d events, %+v", len(events), refusal)
			}
			want := event.ContentTypeBytes
			if vector.ValidJSON {
				want = event.ContentTypeJSON
			}
			if events[0].ContentType != want {
				t.Errorf("content type %s, want %s", events[0].ContentType, want)
			}
			if unparsed := events[0].Type == typeUnparsed; unparsed == vector.ValidJSON {
				t.Errorf("type %s for a body whose JSON is good: %t", events[0].Type, vector.ValidJSON)
			}
			sim, err := NewSimulator(endpoint(vector.AppKey, vector.AppSecret))
			if err != nil {
				t.Fatal(err)
			}
			made, err := sim.Sign(vector.Body, time.Time{})
			if err != nil || made.Header.Get("Authorization") != vector.Authorization {
				t.Errorf("the simulator signs %v, %v", made.Header, err)
			}
			sourcetest.CheckEvents(t, vector.Body, events)
		})
	}
	s := newSource(t, appKey, appSecret)
	for _, vector := range v.Negative {
		t.Run(vector.Name, func(t *testing.T) {
			want := source.ReasonSignatureWrong
			if vector.Authorization == "" {
				want = source.ReasonSignatureMissing
			}
			_, refusal := source.Verify(s, signed(bodies[v.NegativeBody], vector.Authorization))
			if refusal == nil || refusal.Reason != want || refusal.Status != 401 {
				t.Errorf("got %+v, want 401 %s", refusal, want)
			}
		})
	}
	for _, vector := range v.Positive {
		for _, authorization := range []string{vector.Authorization, "  " + vector.Authorization + "\t", strings.ToLower(vector.Authorization)} {
			if _, refusal := source.Verify(s, signed(bodies[v.NegativeBody], authorization)); refusal != nil {
				t.Errorf("%s: %q is refused", vector.Name, authorization)
			}
		}
	}
}

func TestNew_mistakes(t *testing.T) {
	tests := map[string]struct {
		cfg       config.Lazada
		secrets   config.Secrets
		wantError string
	}{
		"no app key":        {config.Lazada{AppSecretFiles: []config.SecretFile{"a"}}, config.Secrets{"a": "x"}, "lazada.appKey"},
		"no secret":         {config.Lazada{AppKey: "1"}, config.Secrets{}, "lazada.appSecretFiles"},
		"a missing secret":  {config.Lazada{AppKey: "1", AppSecretFiles: []config.SecretFile{"a"}}, config.Secrets{}, `"a" is missing`},
		"an empty secret":   {config.Lazada{AppKey: "1", AppSecretFiles: []config.SecretFile{"a"}}, config.Secrets{"a": ""}, `"a" is empty`},
		"a blank secret":    {config.Lazada{AppKey: "1", AppSecretFiles: []config.SecretFile{"a"}}, config.Secrets{"a": " \n"}, "appSecretFiles[0]"},
		"too many secrets":  {config.Lazada{AppKey: "1", AppSecretFiles: make([]config.SecretFile, 5)}, config.Secrets{"": "x"}, "at most 4"},
		"one of two absent": {config.Lazada{AppKey: "1", AppSecretFiles: []config.SecretFile{"a", "b"}}, config.Secrets{"a": "tops3cret"}, `"b" is missing`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := New(test.cfg, test.secrets)
			_, simErr := NewSimulator(test.cfg, test.secrets)
			for _, err := range []error{err, simErr} {
				if err == nil || !strings.Contains(err.Error(), test.wantError) || strings.Contains(err.Error(), "tops3cret") {
					t.Errorf("got error %v, want one with %q", err, test.wantError)
				}
			}
		})
	}
}

func TestVerify_takesNothingFromTheQuery(t *testing.T) {
	sim := newSimulator(t, appSecret)
	body := sim.Samples()[0].Body
	made, err := sim.Sign(body, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	r := &source.Request{Query: "Authorization=" + made.Header.Get("Authorization"), Body: body}
	if _, refusal := source.Verify(newSource(t, appKey, appSecret), r); refusal != signatureMissing {
		t.Errorf("got %+v, want a missing signature", refusal)
	}
}

// BenchmarkCallback is the hot path: one push verified and identified.
func BenchmarkCallback(b *testing.B) {
	sim := newSimulator(b, appSecret)
	body := sim.Samples()[0].Body
	made, err := sim.Sign(body, time.Time{})
	if err != nil {
		b.Fatal(err)
	}
	s := newSource(b, appKey, appSecret)
	r := &source.Request{Header: made.Header, Body: body, Received: time.Now()}
	b.Run("Verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, refusal := source.Verify(s, r); refusal != nil {
				b.Fatal(refusal)
			}
		}
	})
	b.Run("Identify", func(b *testing.B) {
		b.ReportAllocs()
		var events []event.Event
		for b.Loop() {
			events, _ = s.Identify(events[:0], r)
		}
	})
	b.Run("Vary", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			sim.Vary(sim.Samples()[0], n, n%100)
		}
	})
}
