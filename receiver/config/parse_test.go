package config

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// document is a configuration that says everything that one can say.
const document = `{"endpoints": [
  {"namespace": "shop", "name": "lazada-im", "generation": 3, "host": "hooks.example.com", "path": "/shop/lazada-im",
   "source": {"type": "Lazada", "lazada": {"appKey": "100132", "appSecretFiles": ["lazada-app/app-secret", "lazada-app/old"], "messageTypes": [2, 19]}},
   "target": {"type": "HTTP", "url": "https://chat.example.com/events?team=a", "timeout": "10s", "headers": [{"name": "X-Team", "value": "chat"}],
     "bearerTokenFile": "chat/token", "caBundleFile": "chat/ca.crt", "signingSecretFile": "chat/signing"},
   "delivery": {"ordering": "Subject", "maxInFlight": 8, "retry": {"initialInterval": "1s", "maxInterval": "5m0s", "maxAge": "24h0m0s"}},
   "buffer": {"type": "Disk", "maxBytes": 1073741824, "deduplicationWindow": "7h0m0s", "retention": "0s"}},
  {"namespace": "shop", "name": "tencent-im", "path": "/shop/tencent-im",
   "source": {"type": "TencentIM", "tencentIM": {"sdkAppID": 1400000001, "tokenFiles": ["im/token"], "requestTimeTolerance": "1m0s",
     "commands": ["C2C.CallbackAfterSendMsg"], "unsigned": "Reject"}},
   "target": {"type": "HTTP", "url": "http://chat.shop.svc:8080/events"},
   "delivery": {"suspend": true},
   "buffer": {}}
]}`

func TestParse(t *testing.T) {
	got, err := Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	none := Duration(0)
	want := Config{Endpoints: []Endpoint{{
		Namespace: "shop", Name: "lazada-im", Generation: 3, Host: "hooks.example.com", Path: "/shop/lazada-im",
		Source: Source{Type: SourceLazada, Lazada: &Lazada{
			AppKey: "100132", AppSecretFiles: []SecretFile{"lazada-app/app-secret", "lazada-app/old"}, MessageTypes: []int64{2, 19},
		}},
		Target: Target{
			Type: TargetHTTP, URL: "https://chat.example.com/events?team=a", Timeout: Duration(10 * time.Second),
			Headers:         []Header{{Name: "X-Team", Value: "chat"}},
			BearerTokenFile: "chat/token", CABundleFile: "chat/ca.crt", SigningSecretFile: "chat/signing",
		},
		Delivery: Delivery{Ordering: OrderingSubject, MaxInFlight: 8, Retry: Retry{
			InitialInterval: Duration(time.Second), MaxInterval: Duration(5 * time.Minute), MaxAge: Duration(24 * time.Hour),
		}},
		Buffer: Buffer{Type: BufferDisk, MaxBytes: 1 << 30, DeduplicationWindow: Duration(7 * time.Hour), Retention: &none},
	}, {
		Namespace: "shop", Name: "tencent-im", Path: "/shop/tencent-im",
		Source: Source{Type: SourceTencentIM, TencentIM: &TencentIM{
			SDKAppID: 1400000001, TokenFiles: []SecretFile{"im/token"}, RequestTimeTolerance: Duration(time.Minute),
			Commands: []string{"C2C.CallbackAfterSendMsg"}, Unsigned: UnsignedReject,
		}},
		Target:   Target{Type: TargetHTTP, URL: "http://chat.shop.svc:8080/events"},
		Delivery: Delivery{Suspend: true},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
	wantFiles := []SecretFile{"lazada-app/app-secret", "lazada-app/old", "chat/token", "chat/ca.crt", "chat/signing", "im/token"}
	if diff := cmp.Diff(wantFiles, got.SecretFiles()); diff != "" {
		t.Errorf("SecretFiles (-want +got):\n%s", diff)
	}
}

func TestParse_refuses(t *testing.T) {
	tests := map[string]struct {
		document string
		wantErr  string
	}{
		"nothing":                    {``, "the document breaks off: write the whole of it"},
		"null":                       {`null`, "write one JSON object"},
		"no endpoints":               {`{}`, "endpoints: list the endpoints, write [] for none"},
		"half a document":            {`{"endpoints": [`, "the document breaks off"},
		"a second document":          {`{"endpoints": []} {}`, "something follows the document"},
		"rubbish at the end":         {`{"endpoints": []}]`, "something follows the document"},
		"an unknown field":           {`{"endpoints": [{"pathh": "/x"}]}`, `field "pathh" is unknown: correct its name`},
		"a field twice":              {`{"endpoints": [{"path": "/x", "path": "/y"}]}`, `field "path" is given twice`},
		"a field twice in two cases": {`{"endpoints": [{"path": "/x", "Path": "/y"}]}`, `field "Path" is given twice`},
		"a number for a string":      {`{"endpoints": [{"path": 5}]}`, "endpoints.path: write a string"},
		"a string for a number":      {`{"endpoints": [{"generation": "hunter2"}]}`, "endpoints.generation: write a whole number"},
		"a fraction":                 {`{"endpoints": [{"generation": 1.25}]}`, "endpoints.generation: write a whole number"},
		"a string for a list":        {`{"endpoints": "hunter2"}`, "endpoints: write a list"},
		"a string for a bool":        {`{"endpoints": [{"delivery": {"suspend": "hunter2"}}]}`, "endpoints.delivery.suspend: write true or false"},
		"a list for an object":       {`{"endpoints": [{"delivery": []}]}`, "endpoints.delivery: write an object"},
		"a duration without unit":    {`{"endpoints": [{"target": {"timeout": "hunter2"}}]}`, `endpoints.target.timeout: write a duration such as "500ms"`},
		"a duration that is a number": {`{"endpoints": [{"target": {"timeout": 7}}]}`,
			`endpoints.target.timeout: write a duration such as "500ms"`},
		"deep nesting": {`{"endpoints": ` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, "nested deeper than 32 levels"},
		"huge":         {strings.Repeat(" ", MaxBytes+1), "keep it within"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tt.document))
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Fatalf("error is %v, want one with %q", err, tt.wantErr)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "1.25") {
				t.Errorf("error quotes the document: %v", err)
			}
		})
	}
}

func TestDigest(t *testing.T) {
	a, err := Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse([]byte(strings.ReplaceAll(document, "\n", "  \n")))
	if err != nil {
		t.Fatal(err)
	}
	if a.Digest() != b.Digest() || len(a.Digest()) != 64 {
		t.Errorf("digests of one configuration are %q and %q, want one of 64 digits", a.Digest(), b.Digest())
	}
	b.Endpoints[1].Delivery.Suspend = false
	if a.Digest() == b.Digest() {
		t.Error("digests of two configurations are equal")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(document))
	f.Add([]byte(`{"endpoints": []}`))
	f.Add([]byte(`{"endpoints": [{"path": "/x", "source": {"type": "Lazada", "lazada": {}}}]} x`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err != nil {
			return
		}
		// What is accepted must be the same configuration when it is written and read again.
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Parse(again)
		if err != nil {
			t.Fatalf("accepted %q, but not what it means, %s: %v", data, again, err)
		}
		if c.Digest() != d.Digest() {
			t.Errorf("the digest of %s changes when it is read again", again)
		}
		for _, file := range c.SecretFiles() {
			if strings.HasPrefix(string(file), "/") || strings.Contains(string(file), "..") && strings.HasPrefix(string(file), "..") {
				t.Errorf("secret file %q leads out of the directory", file)
			}
		}
	})
}
