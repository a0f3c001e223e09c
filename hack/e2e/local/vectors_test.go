package local

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hookbay/hookbay/hack/e2e/platform"
)

// vectors is testdata/callbacks.json: recorded callbacks with good and bad signatures. Its part "others" is about platforms that have
// no source yet.
type vectors struct {
	Lazada []struct {
		Name          string
		AppKey        string `json:"app_key"`
		AppSecret     string `json:"app_secret"`
		Body          []byte `json:"body_b64"`
		Authorization string
	}
	LazadaNegative     []signature `json:"lazada_negative"`
	LazadaPositive     []signature `json:"lazada_positive_variants"`
	LazadaNegativeBody string      `json:"lazada_negative_body"` // names the vector whose body these two are about
	TencentSign        []struct {
		Name, Token, Sign string
		RequestTime       string `json:"request_time"`
	} `json:"tencent_sign"`
	TencentRequests []struct {
		Name, Target string
		Body         []byte `json:"body_b64"`
	} `json:"tencent_requests"`
	TencentNegative []signature `json:"tencent_negative"`
}

type signature struct{ Name, Why, Authorization, Sign string }

func readVectors(t *testing.T) vectors {
	t.Helper()
	raw, err := os.ReadFile("testdata/callbacks.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// vectorEndpoints are the endpoints that the vectors call: the sample apps, and the ones in the platforms' own documents.
const vectorEndpoints = `apiVersion: hookbay.dev/v1alpha1
kind: WebhookEndpoint
metadata: {name: lazada-%[1]s, namespace: vectors}
spec:
  source: {type: Lazada, lazada: {appKey: %[1]q, appSecretRefs: [{name: lazada-%[1]s, key: secret}]}}
  target: {type: URL, url: %[3]q}
---
apiVersion: v1
kind: Secret
metadata: {name: lazada-%[1]s, namespace: vectors}
stringData: {secret: %[2]s}
---
`

const imEndpoint = `apiVersion: hookbay.dev/v1alpha1
kind: WebhookEndpoint
metadata: {name: %[1]s, namespace: vectors}
spec:
  source: {type: TencentIM, tencentIM: {sdkAppID: %[2]s, tokenRefs: [{name: %[1]s, key: token}]}}
  target: {type: URL, url: %[4]q}
  exposure: {path: %[5]s}
---
apiVersion: v1
kind: Secret
metadata: {name: %[1]s, namespace: vectors}
stringData: {token: %[3]s}
---
`

// startForVectors starts a receiver that serves every app of the vectors.
func startForVectors(t *testing.T, v vectors) (*receiver, *target) {
	t.Helper()
	tgt := newTarget(t)
	r := newReceiver(t, checkedHookbay(t), newManifest(tgt.url()))
	var manifests strings.Builder
	seen := map[string]bool{}
	for _, l := range v.Lazada {
		if !seen[l.AppKey] {
			seen[l.AppKey] = true
			fmt.Fprintf(&manifests, vectorEndpoints, l.AppKey, l.AppSecret, tgt.url())
		}
	}
	fmt.Fprintf(&manifests, imEndpoint, "im", tencentAppID, tencentToken, tgt.url(), "/hooks/im")
	fmt.Fprintf(&manifests, imEndpoint, "im-official", tencentAppID, v.TencentSign[0].Token, tgt.url(), "/hooks/im-official")
	writeFile(t, r.manifest, manifests.String())
	r.start(t)
	return r, tgt
}

// lazadaVector posts a body with an Authorization header as it is; nil sends none.
func lazadaVector(t *testing.T, r *receiver, appKey string, body []byte, authorization *string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.base()+"/vectors/lazada-"+appKey, strings.NewReader(string(body)))
	if err == nil && authorization != nil {
		req.Header.Set("Authorization", *authorization)
	}
	status, header, answer := post(t, req, err)
	if got := header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type of the answer is %q, want application/json", got)
	}
	return status, answer
}

// wantEvents says what becomes of each good Lazada vector. L7 is L2 with a line break at its end: the same event, so it is not here.
var wantEvents = map[string]struct{ eventType, subject string }{
	"L0-official":           {"com.lazada.push.unparsed", ""},
	"L1-empty-body":         {"com.lazada.push.unparsed", ""},
	"L2-msg19":              {"com.lazada.push.19", "100094063_2_1011822749_1_103"},
	"L3-msg19-double-brace": {"com.lazada.push.unparsed", ""},
	"L4-msg2-unicode-utf8":  {"com.lazada.push.2", "100094063_2_1011822749_1_103"},
	"L6-large-int":          {"com.lazada.push.10", ""},
	"L10-console-verify":    {"com.lazada.push.0", ""},
	"L11-null-seller":       {"com.lazada.push.8", ""},
	"L15-unknown-type":      {"com.lazada.push.99", "1"},
}

func TestLazadaVectors(t *testing.T) {
	v := readVectors(t)
	r, tgt := startForVectors(t, v)
	bodies := map[string][]byte{}
	for _, l := range v.Lazada {
		bodies[l.Name] = l.Body
		before := len(tgt.log())
		for range 2 { // the platform repeats itself
			status, answer := lazadaVector(t, r, l.AppKey, l.Body, &l.Authorization)
			if status != http.StatusOK || answer != platform.LazadaOK {
				t.Errorf("%s: answered %d %q, want 200 %q", l.Name, status, answer, platform.LazadaOK)
			}
		}
		want, once := wantEvents[l.Name]
		if !once {
			continue
		}
		a := tgt.waitArrival(t, before, func(a arrival) bool { return a.header.Get("Ce-Type") == want.eventType })
		checkEvent(t, l.Name, a, l.Body, map[string]string{
			"Ce-Specversion": "1.0", "Ce-Source": "//open.lazada.com/apps/" + l.AppKey,
			"Ce-Hookbayendpoint": "vectors/lazada-" + l.AppKey, "Hookbay-Attempt": "1",
		})
		if want.subject != "" && a.header.Get("Ce-Subject") != want.subject {
			t.Errorf("%s: subject %q, want %q", l.Name, a.header.Get("Ce-Subject"), want.subject)
		}
	}

	body := bodies[v.LazadaNegativeBody]
	for _, n := range v.LazadaNegative {
		if status, answer := lazadaVector(t, r, lazadaAppKey, body, &n.Authorization); status != http.StatusUnauthorized {
			t.Errorf("%s (%s): answered %d %q, want 401", n.Name, n.Why, status, answer)
		}
	}
	if status, _ := lazadaVector(t, r, lazadaAppKey, body, nil); status != http.StatusUnauthorized {
		t.Errorf("without the header: answered %d, want 401", status)
	}
	for _, p := range v.LazadaPositive {
		if status, answer := lazadaVector(t, r, lazadaAppKey, body, &p.Authorization); status != http.StatusOK || answer != platform.LazadaOK {
			t.Errorf("%s (%s): answered %d %q, want 200 %q", p.Name, p.Why, status, answer, platform.LazadaOK)
		}
	}
	r.stop(t)
	if got := len(tgt.log()); got != len(wantEvents) {
		t.Errorf("%d events were delivered, want %d: repeats and what was refused must not be", got, len(wantEvents))
	}
}

// TestPrintedSample sends the sample of message type 19 in the shape in which it is published: two braces where one belongs, and comments. It
// is signed, so Lazada is told that all is well, and the target gets what was sent.
func TestPrintedSample(t *testing.T) {
	v := readVectors(t)
	r, tgt := startForVectors(t, v)
	body := []byte(`{
  "data": {
    {
      "sync_type": "SESSION_UPDATE", // kind of change
      "session_id": "100094063_2_1011822749_1_103",
      "unread_count": 0              // messages not read yet
    }
  },
  "seller_id": 20240305,
  "message_type": 19
}`)
	authorization := platform.SignLazada(lazadaAppKey, lazadaSecret, body)
	if status, answer := lazadaVector(t, r, lazadaAppKey, body, &authorization); status != http.StatusOK || answer != platform.LazadaOK {
		t.Errorf("answered %d %q, want 200 %q", status, answer, platform.LazadaOK)
	}
	a := tgt.waitArrival(t, 0, func(arrival) bool { return true })
	checkEvent(t, "printed sample", a, body, map[string]string{
		"Ce-Type": "com.lazada.push.unparsed", "Content-Type": "application/octet-stream",
	})
}

// checkEvent compares a delivered event with what was sent.
func checkEvent(t *testing.T, name string, a arrival, body []byte, headers map[string]string) {
	t.Helper()
	if string(a.body) != string(body) {
		t.Errorf("%s: delivered %q, want what was sent: %q", name, a.body, body)
	}
	for header, want := range headers {
		if got := a.header.Get(header); got != want {
			t.Errorf("%s: %s is %q, want %q", name, header, got, want)
		}
	}
	if id, err := hex.DecodeString(a.header.Get("Ce-Id")); err != nil || len(id) != 16 {
		t.Errorf("%s: id is %q, want 32 hex digits", name, a.header.Get("Ce-Id"))
	}
	if got := a.header.Get("Ce-Time"); got == "" {
		t.Errorf("%s: has no time", name)
	} else if _, err := time.Parse(time.RFC3339Nano, got); err != nil {
		t.Errorf("%s: time: %v", name, err)
	}
	if a.header.Get("Authorization") != "" || strings.Contains(fmt.Sprint(a.header), "Sign") {
		t.Errorf("%s: the proof is passed on: %v", name, a.header)
	}
}

// imAnswer is what Tencent IM reads.
type imAnswer struct {
	ActionStatus string
	ErrorCode    int
	ErrorInfo    string
}

// imVector posts to an IM endpoint and checks that the answer is one that Tencent understands.
func imVector(t *testing.T, r *receiver, method, path string, q url.Values, body []byte) (int, imAnswer) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.base()+path+"?"+q.Encode(), strings.NewReader(string(body)))
	if err == nil && len(body) > 1<<20 {
		req.Header.Set("Expect", "100-continue") // the answer comes before the body, and is not lost under it
	}
	status, header, answer := post(t, req, err)
	if got := header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type of the answer is %q, want application/json", got)
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(answer), &fields); err != nil || len(fields) != 3 {
		t.Errorf("answered %q, want JSON with ActionStatus, ErrorCode and ErrorInfo", answer)
	}
	var a imAnswer
	if err := json.Unmarshal([]byte(answer), &a); err != nil {
		t.Error(err)
	}
	switch {
	case status == http.StatusOK && answer != platform.TencentOK:
		t.Errorf("answered 200 %q, want %q", answer, platform.TencentOK)
	case status != http.StatusOK && (a.ActionStatus != "FAIL" || a.ErrorCode != 1 || a.ErrorInfo == ""):
		t.Errorf("answered %d %q, want FAIL, code 1 and what is wrong", status, answer)
	}
	return status, a
}

// imQuery is the query of a vector, signed at a time.
func imQuery(t *testing.T, target, token string, at time.Time) (string, url.Values) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("RequestTime", strconv.FormatInt(at.Unix(), 10))
	q.Set("Sign", platform.SignTencent(token, q.Get("RequestTime")))
	return u.Path, q
}

func TestTencentVectors(t *testing.T) {
	v := readVectors(t)
	r, tgt := startForVectors(t, v)
	wantStatus := map[string]int{"TR2-empty-body": http.StatusBadRequest}
	for _, tr := range v.TencentRequests {
		// As recorded, years ago: the signature is good, the time is not.
		u, err := url.Parse(tr.Target)
		if err != nil {
			t.Fatal(err)
		}
		if status, a := imVector(t, r, http.MethodPost, u.Path, u.Query(), tr.Body); status != http.StatusUnauthorized || !strings.Contains(a.ErrorInfo, "RequestTime") {
			t.Errorf("%s as recorded: answered %d %+v, want 401 that names RequestTime", tr.Name, status, a)
		}

		// The same, signed now.
		path, q := imQuery(t, tr.Target, tencentToken, time.Now())
		want := wantStatus[tr.Name]
		if want == 0 {
			want = http.StatusOK
		}
		before := len(tgt.log())
		if status, a := imVector(t, r, http.MethodPost, path, q, tr.Body); status != want {
			t.Errorf("%s: answered %d %+v, want %d", tr.Name, status, a, want)
		}
		if want != http.StatusOK {
			continue
		}
		command := q.Get("CallbackCommand")
		a := tgt.waitArrival(t, before, func(a arrival) bool { return a.header.Get("Ce-Type") == "com.tencent.im."+command })
		checkEvent(t, tr.Name, a, tr.Body, map[string]string{
			"Ce-Source": "//im.tencentcloud.com/apps/" + tencentAppID, "Ce-Sdkappid": tencentAppID, "Ce-Clientip": "203.0.113.7",
			"Ce-Optplatform": q.Get("OptPlatform"), "Content-Type": "application/json", "Hookbay-Attempt": "1",
		})
	}
	r.stop(t)
	if got, want := len(tgt.log()), len(v.TencentRequests)-len(wantStatus); got != want {
		t.Errorf("%d events were delivered, want %d: what was refused must not be", got, want)
	}
}

// TestTencentSignatures: the signature is good, but of another day, or it is fresh, but made in a wrong way.
func TestTencentSignatures(t *testing.T) {
	v := readVectors(t)
	r, tgt := startForVectors(t, v)
	tr := v.TencentRequests[0]
	paths := map[string]string{tencentToken: "/hooks/im", v.TencentSign[0].Token: "/hooks/im-official"}
	for _, s := range v.TencentSign {
		path := paths[s.Token]
		if path == "" {
			continue // an empty token is no configuration that the receiver starts with; see TestInvalidManifests
		}
		_, q := imQuery(t, tr.Target, s.Token, time.Now())
		q.Set("RequestTime", s.RequestTime)
		q.Set("Sign", s.Sign)
		if status, a := imVector(t, r, http.MethodPost, path, q, tr.Body); status != http.StatusUnauthorized || !strings.Contains(a.ErrorInfo, "RequestTime") {
			t.Errorf("%s: answered %d %+v, want 401 that names RequestTime", s.Name, status, a)
		}
	}

	now := strconv.FormatInt(time.Now().Unix(), 10)
	reversed, digest := sha256.Sum256([]byte(now+tencentToken)), md5.Sum([]byte(tencentToken+now)) // ways to sign that are wrong
	mac := hmac.New(sha256.New, []byte(tencentToken))
	mac.Write([]byte(now))
	good, err := hex.DecodeString(platform.SignTencent(tencentToken, now))
	if err != nil {
		t.Fatal(err)
	}
	wrong := map[string]string{
		"TN1-order": hex.EncodeToString(reversed[:]), "TN2-hmac": hex.EncodeToString(mac.Sum(nil)),
		"TN3-md5": hex.EncodeToString(digest[:]), "TN5-base64": base64.StdEncoding.EncodeToString(good),
	}
	for _, n := range v.TencentNegative {
		for sign, when := range map[string]string{n.Sign: "1700000000", wrong[n.Name]: now} {
			_, q := imQuery(t, tr.Target, tencentToken, time.Now())
			q.Set("RequestTime", when)
			q.Set("Sign", sign)
			if status, a := imVector(t, r, http.MethodPost, "/hooks/im", q, tr.Body); sign == "" || status != http.StatusUnauthorized {
				t.Errorf("%s (%s) at %s: answered %d %+v, want 401", n.Name, n.Why, when, status, a)
			}
		}
	}

	// The window is 60 s either way. Half of it leaves a slow machine time; its edges are tested with a clock of their own elsewhere.
	for offset, want := range map[time.Duration]int{
		-2 * time.Minute: http.StatusUnauthorized, -30 * time.Second: http.StatusOK,
		30 * time.Second: http.StatusOK, 2 * time.Minute: http.StatusUnauthorized,
	} {
		path, q := imQuery(t, tr.Target, tencentToken, time.Now().Add(offset))
		if status, a := imVector(t, r, http.MethodPost, path, q, tr.Body); status != want {
			t.Errorf("signed %v from now: answered %d %+v, want %d", offset, status, a, want)
		}
	}
	r.stop(t)
	if got := len(tgt.log()); got != 1 {
		t.Errorf("%d events were delivered, want 1: the same message twice, and the rest refused", got)
	}
}

// TestRefusals: what is wrong with a callback beside its signature.
func TestRefusals(t *testing.T) {
	v := readVectors(t)
	r, tgt := startForVectors(t, v)
	tr := v.TencentRequests[0]
	for name, tc := range map[string]struct {
		method string
		path   string
		change func(url.Values)
		body   string
		want   int
	}{
		"another app":                         {change: func(q url.Values) { q.Set("SdkAppid", "1400000002") }, want: 403},
		"no app":                              {change: func(q url.Values) { q.Del("SdkAppid") }, want: 403},
		"no command":                          {change: func(q url.Values) { q.Del("CallbackCommand") }, want: 400},
		"query and body name two commands":    {change: func(q url.Values) { q.Set("CallbackCommand", "State.StateChange") }, want: 400},
		"no signature":                        {change: func(q url.Values) { q.Del("Sign") }, want: 401},
		"no request time":                     {change: func(q url.Values) { q.Del("RequestTime") }, want: 401},
		"the body is not JSON":                {body: `{"CallbackCommand":"C2C.CallbackAfterSendMsg"`, want: 400},
		"the body is larger than 1 MiB":       {body: strings.Repeat(" ", 1<<20) + "{}", want: 413},
		"GET, by somebody with a browser":     {method: http.MethodGet, want: 405},
		"PUT instead of POST, as no one does": {method: http.MethodPut, want: 405},
	} {
		t.Run(name, func(t *testing.T) {
			path, q := imQuery(t, tr.Target, tencentToken, time.Now())
			if tc.change != nil {
				tc.change(q)
			}
			method, body := http.MethodPost, tr.Body
			if tc.method != "" {
				method = tc.method
			}
			if tc.body != "" {
				body = []byte(tc.body)
			}
			if status, a := imVector(t, r, method, path, q, body); status != tc.want {
				t.Errorf("answered %d %+v, want %d", status, a, tc.want)
			}
		})
	}

	t.Run("no such path", func(t *testing.T) {
		req, err := lazadaRequest(t.Context(), r.base()+"/elsewhere", lazadaSecret, []byte(`{}`))
		if status, _, answer := post(t, req, err); status != http.StatusNotFound {
			t.Errorf("answered %d %q, want 404", status, answer)
		}
	})
	t.Run("GET says what is allowed", func(t *testing.T) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.base()+"/vectors/lazada-"+lazadaAppKey, nil)
		if status, header, _ := post(t, req, err); status != http.StatusMethodNotAllowed || header.Get("Allow") != http.MethodPost {
			t.Errorf("answered %d, Allow %q, want 405, Allow POST", status, header.Get("Allow"))
		}
	})
	r.stop(t)
	if log := tgt.log(); len(log) != 0 {
		t.Errorf("%d events were delivered, want none", len(log))
	}
}
