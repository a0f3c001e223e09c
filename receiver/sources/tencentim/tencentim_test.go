package tencentim

import (
	"encoding/json"
	"math"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
	"github.com/hookbay/hookbay/receiver/source/sourcetest"
)

const (
	sdkAppID = 1400000001
	token    = "tok-3f9A7c2E5b8D1064"
)

// endpoint is a configuration with these tokens.
func endpoint(id int64, tokens ...string) (config.TencentIM, config.Secrets) {
	cfg, secrets := config.TencentIM{SDKAppID: id}, config.Secrets{}
	for i, s := range tokens {
		file := config.SecretFile(string(rune('a' + i)))
		cfg.TokenFiles = append(cfg.TokenFiles, file)
		secrets[file] = s
	}
	return cfg, secrets
}

// accepting is a configuration that accepts callbacks without Sign.
func accepting(tokens ...string) (config.TencentIM, config.Secrets) {
	cfg, secrets := endpoint(sdkAppID, tokens...)
	cfg.Unsigned = config.UnsignedAccept
	return cfg, secrets
}

func newSource(tb testing.TB, cfg config.TencentIM, secrets config.Secrets) *Source {
	tb.Helper()
	s, err := New(cfg, secrets)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func newSimulator(tb testing.TB, cfg config.TencentIM, secrets config.Secrets) *Simulator {
	tb.Helper()
	s, err := NewSimulator(cfg, secrets)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	ofApp := func(id int64) func(testing.TB, ...string) source.Source {
		return func(tb testing.TB, c ...string) source.Source {
			cfg, secrets := endpoint(id, c...)
			return newSource(tb, cfg, secrets)
		}
	}
	sourcetest.Run(t, sourcetest.Harness{
		Source:   ofApp(sdkAppID),
		OtherApp: ofApp(sdkAppID + 1),
		Simulator: func(tb testing.TB, c string) source.Simulator {
			cfg, secrets := endpoint(sdkAppID, c)
			return newSimulator(tb, cfg, secrets)
		},
		Window:      time.Minute,
		SignedQuery: []string{"SdkAppid", "Sign", "RequestTime", "CallbackCommand"},
		NotJSON:     source.ReasonNotJSON,
		Unknown:     `{"CallbackCommand":"Group.CallbackAfterSomethingNew","GroupId":"@TGS#1","EventTime":1751440210456}`,
		UnknownType: "com.tencent.im.Group.CallbackAfterSomethingNew",
		Tenant:      "buyer_1001",
		Stored:      `{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":""}`,
		Refused:     `{"ActionStatus":"FAIL","ErrorCode":1,"ErrorInfo":"say \"why\""}`,
		Within:      2 * time.Second,
	})
}

// vectors are signatures and callbacks that are known to be right or wrong.
type vectors struct {
	Sign []struct {
		Name        string `json:"name"`
		Token       string `json:"token"`
		RequestTime string `json:"request_time"`
		Sign        string `json:"sign"`
	} `json:"tencent_sign"`
	Requests []struct {
		Name   string `json:"name"`
		Target string `json:"target"`
		Body   []byte `json:"body_b64"`
	} `json:"tencent_requests"`
	Negative []struct {
		Name string `json:"name"`
		Sign string `json:"sign"`
	} `json:"tencent_negative"`
	Window []struct {
		RequestTime int64 `json:"request_time"`
		Now         int64 `json:"now"`
		Accept      bool  `json:"accept_60s_inclusive"`
	} `json:"tencent_window"`
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
	if len(v.Sign) == 0 || len(v.Requests) == 0 || len(v.Negative) == 0 || len(v.Window) == 0 {
		t.Fatal("the file of vectors lacks some")
	}
	return v
}

func signed(requestTime, sign string, now time.Time) *source.Request {
	return &source.Request{
		Query:    "SdkAppid=1400000001&CallbackCommand=State.StateChange&contenttype=json&Sign=" + url.QueryEscape(sign) + "&RequestTime=" + requestTime,
		Body:     []byte(`{"CallbackCommand":"State.StateChange"}`),
		Received: now,
	}
}

func TestVectors_sign(t *testing.T) {
	v := readVectors(t)
	for _, vector := range v.Sign {
		t.Run(vector.Name, func(t *testing.T) {
			cfg, secrets := endpoint(sdkAppID, "another", vector.Token)
			if vector.Token == "" {
				if _, err := New(cfg, secrets); err == nil {
					t.Error("an empty token is no error")
				}
				return
			}
			seconds, err := strconv.ParseInt(vector.RequestTime, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			r := signed(vector.RequestTime, vector.Sign, time.Unix(seconds-5, 0))
			proof, refusal := source.Verify(newSource(t, cfg, secrets), r)
			if want := (source.Proof{Key: 1, Dated: true, Skew: 5 * time.Second}); refusal != nil || proof != want {
				t.Errorf("got %+v, %+v, want %+v", proof, refusal, want)
			}
			r.Query = strings.Replace(r.Query, vector.Sign, strings.ToUpper(vector.Sign), 1)
			if _, refusal := source.Verify(newSource(t, cfg, secrets), r); refusal != nil {
				t.Errorf("upper case: %+v", refusal)
			}
		})
	}
	good := v.Sign[1]
	cfg, secrets := endpoint(sdkAppID, good.Token)
	s := newSource(t, cfg, secrets)
	for _, vector := range v.Negative {
		if _, refusal := source.Verify(s, signed(good.RequestTime, vector.Sign, time.Unix(1700000000, 0))); refusal != signatureWrong {
			t.Errorf("%s: got %+v, want a wrong signature", vector.Name, refusal)
		}
	}
	for _, w := range v.Window {
		r := signed(good.RequestTime, good.Sign, time.Unix(w.Now, 0))
		proof, refusal := source.Verify(s, r)
		if accepted := refusal == nil; accepted != w.Accept || !accepted && refusal.Reason != source.ReasonStale {
			t.Errorf("at %d: %+v, want accepted = %t", w.Now, refusal, w.Accept)
		}
		if want := time.Duration(w.RequestTime-w.Now) * time.Second; !proof.Dated || proof.Skew != want {
			t.Errorf("at %d: %+v, want skew %s", w.Now, proof, want)
		}
	}
}

func TestVectors_requests(t *testing.T) {
	tests := map[string]struct {
		wantType, wantSubject string
		wantTime              string
		wantKey               []string
		wantPlatform          string
		wantRefusal           source.Reason
	}{
		"TR1-after-send": {"C2C.CallbackAfterSendMsg", "Jonh:jared", "2019-05-10T09:38:46Z",
			[]string{"jared", "Jonh", "48374_2837546_1557481126"}, "iOS", ""},
		"TR2-empty-body": {wantRefusal: source.ReasonNotJSON},
		"TR5-state-IOS":  {"State.StateChange", "testuser316", "2021-08-25T09:22:12.497Z", nil, "IOS", ""},
		"TR7-before-send": {"C2C.CallbackBeforeSendMsg", "Jonh:jared", "2019-05-10T09:38:46Z",
			[]string{"jared", "Jonh", "48374_2837546_1557481126"}, "Windows", ""},
	}
	cfg, secrets := endpoint(sdkAppID, token)
	s := newSource(t, cfg, secrets)
	for _, vector := range readVectors(t).Requests {
		t.Run(vector.Name, func(t *testing.T) {
			want, ok := tests[vector.Name]
			if !ok {
				t.Fatal("what is expected of this vector is not written down")
			}
			_, query, _ := strings.Cut(vector.Target, "?")
			r := &source.Request{Query: query, Body: vector.Body, Received: time.Unix(1700000030, 0)}
			if _, refusal := source.Verify(s, r); refusal != nil {
				t.Fatalf("Verify: %+v", refusal)
			}
			events, refusal := s.Identify(nil, r)
			if want.wantRefusal != "" {
				if refusal == nil || refusal.Reason != want.wantRefusal || refusal.Status != 400 || len(events) != 0 {
					t.Errorf("got %d events, %+v, want 400 %s", len(events), refusal, want.wantRefusal)
				}
				return
			}
			if refusal != nil || len(events) != 1 {
				t.Fatalf("Identify: %d events, %+v", len(events), refusal)
			}
			key := want.wantKey
			if key == nil {
				key = []string{string(vector.Body)}
			}
			got, id := events[0], event.NewID(append([]string{"1400000001", want.wantType}, key...)...)
			if got.ID != id || got.Type != typePrefix+want.wantType || got.Subject != want.wantSubject ||
				got.Time.Format(time.RFC3339Nano) != want.wantTime {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if platform := got.Extensions[2]; platform.Value != want.wantPlatform {
				t.Errorf("%+v, want %s", platform, want.wantPlatform)
			}
			sourcetest.CheckEvents(t, vector.Body, events)
		})
	}
}

func TestNew_mistakes(t *testing.T) {
	files := []config.SecretFile{"a"}
	secrets := config.Secrets{"a": "tops3cret", "": "tops3cret", "blank": " "}
	tests := map[string]struct {
		cfg       config.TencentIM
		wantError string
	}{
		"no app":              {config.TencentIM{TokenFiles: files}, "tencentIM.sdkAppID"},
		"a negative app":      {config.TencentIM{SDKAppID: -1, TokenFiles: files}, "tencentIM.sdkAppID"},
		"no token":            {config.TencentIM{SDKAppID: 1}, "tencentIM.tokenFiles"},
		"no token, rejecting": {config.TencentIM{SDKAppID: 1, Unsigned: "Reject"}, "tencentIM.tokenFiles"},
		"a missing token":     {config.TencentIM{SDKAppID: 1, TokenFiles: []config.SecretFile{"b"}}, `"b" is missing`},
		"a blank token":       {config.TencentIM{SDKAppID: 1, TokenFiles: []config.SecretFile{"a", "blank"}}, "tokenFiles[1]"},
		"a blank one, lenient": {config.TencentIM{SDKAppID: 1, Unsigned: "Accept", TokenFiles: []config.SecretFile{"blank"}},
			"tokenFiles[0]"},
		"too many tokens": {config.TencentIM{SDKAppID: 1, TokenFiles: make([]config.SecretFile, 5)}, "at most 4"},
		"a word unknown":  {config.TencentIM{SDKAppID: 1, TokenFiles: files, Unsigned: "accept"}, "tencentIM.unsigned"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := New(test.cfg, secrets)
			_, simErr := NewSimulator(test.cfg, secrets)
			for _, err := range []error{err, simErr} {
				if err == nil || !strings.Contains(err.Error(), test.wantError) || strings.Contains(err.Error(), "tops3cret") {
					t.Errorf("got error %v, want one with %q", err, test.wantError)
				}
			}
		})
	}
	if _, err := New(config.TencentIM{SDKAppID: 1, TokenFiles: files, RequestTimeTolerance: -1}, secrets); err == nil ||
		!strings.Contains(err.Error(), "tencentIM.requestTimeTolerance") {
		t.Errorf("a negative tolerance: %v", err)
	}
}

// now is a time at which t1 is fresh.
var now = time.Unix(1700000000, 0)

const t1 = "Sign=3df0496e2aee7baabf80a219c766f5a06d3f4e5e05f59de268ba012996048d3f&RequestTime=1700000000"

func TestVerify(t *testing.T) {
	withToken, without := func() (config.TencentIM, config.Secrets) { return endpoint(sdkAppID, token) }, func() (config.TencentIM, config.Secrets) { return accepting() }
	lenient := func() (config.TencentIM, config.Secrets) { return accepting("another", token) }
	tests := map[string]struct {
		endpoint func() (config.TencentIM, config.Secrets)
		query    string
		want     *source.Refusal
		wantKey  int
	}{
		"good":                                     {withToken, "SdkAppid=1400000001&" + t1, nil, 0},
		"in another order":                         {withToken, t1 + "&SdkAppid=1400000001", nil, 0},
		"escaped digits":                           {withToken, "SdkAppid=140000000%31&" + t1, nil, 0},
		"the first of two counts":                  {withToken, "SdkAppid=1400000001&SdkAppid=2&" + t1 + "&Sign=00", nil, 0},
		"another app":                              {withToken, "SdkAppid=1400000002&" + t1, wrongApp, -1},
		"an app with a leading zero":               {withToken, "SdkAppid=01400000001&" + t1, wrongApp, -1},
		"no app":                                   {withToken, t1, wrongApp, -1},
		"another case of the name":                 {withToken, "sdkappid=1400000001&" + t1, wrongApp, -1},
		"another app and no Sign":                  {withToken, "SdkAppid=2", wrongApp, -1},
		"no Sign":                                  {withToken, "SdkAppid=1400000001&RequestTime=1700000000", signatureMissing, -1},
		"no RequestTime":                           {withToken, "SdkAppid=1400000001&Sign=3df0", signatureMissing, -1},
		"neither":                                  {withToken, "SdkAppid=1400000001", signatureMissing, -1},
		"an empty Sign":                            {withToken, "SdkAppid=1400000001&Sign=&RequestTime=1700000000", signatureMissing, -1},
		"a time with a plus":                       {withToken, "SdkAppid=1400000001&Sign=3df0&RequestTime=%2B1700000000", timeMalformed, -1},
		"a time with a space":                      {withToken, "SdkAppid=1400000001&Sign=3df0&RequestTime=1700000000+", timeMalformed, -1},
		"a negative time":                          {withToken, "SdkAppid=1400000001&Sign=3df0&RequestTime=-1700000000", timeMalformed, -1},
		"a time with a fraction":                   {withToken, "SdkAppid=1400000001&Sign=3df0&RequestTime=1700000000.0", timeMalformed, -1},
		"a time in full-width digits":              {withToken, "SdkAppid=1400000001&Sign=3df0&RequestTime=%EF%BC%91", timeMalformed, -1},
		"a time beyond 64 bits":                    {withToken, "SdkAppid=1400000001&Sign=3df0&RequestTime=9223372036854775808", timeMalformed, -1},
		"a time without end":                       {withToken, "SdkAppid=1400000001&Sign=3df0&RequestTime=" + strings.Repeat("0", 5000), timeMalformed, -1},
		"a short Sign":                             {withToken, "SdkAppid=1400000001&Sign=3df0&RequestTime=1700000000", signatureWrong, -1},
		"a wrong Sign and a stale time":            {withToken, "SdkAppid=1400000001&" + strings.Replace(t1, "17", "16", 1), signatureWrong, -1},
		"a broken escape":                          {withToken, "SdkAppid=1400000001&" + strings.Replace(t1, "3df0", "3df0%zz", 1), signatureWrong, -1},
		"unsigned, accepted":                       {without, "SdkAppid=1400000001", nil, -1},
		"unsigned, accepted, with tokens":          {lenient, "SdkAppid=1400000001", nil, -1},
		"unsigned with a time":                     {lenient, "SdkAppid=1400000001&RequestTime=1", nil, -1},
		"unsigned for another app":                 {without, "SdkAppid=1400000002", wrongApp, -1},
		"signed where it need not be":              {lenient, "SdkAppid=1400000001&" + t1, nil, 1},
		"signed wrong where it need not be":        {lenient, "SdkAppid=1400000001&" + strings.Replace(t1, "3df0", "3df1", 1), signatureWrong, -1},
		"a Sign without a time, where need not be": {lenient, "SdkAppid=1400000001&Sign=3df0", signatureMissing, -1},
		"signed, and no token to check it":         {without, "SdkAppid=1400000001&" + t1, nil, -1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg, secrets := test.endpoint()
			proof, refusal := source.Verify(newSource(t, cfg, secrets), &source.Request{Query: test.query, Received: now})
			if refusal != test.want || proof.Key != test.wantKey || proof.Dated != (test.wantKey >= 0) {
				t.Errorf("got %+v, %+v, want key %d, %+v", proof, refusal, test.wantKey, test.want)
			}
		})
	}
}

func TestVerify_tolerance(t *testing.T) {
	cfg, secrets := endpoint(sdkAppID, token)
	cfg.RequestTimeTolerance = config.Duration(2 * time.Second)
	s := newSource(t, cfg, secrets)
	for late, want := range map[time.Duration]bool{
		-2 * time.Second: true, 2 * time.Second: true, 2*time.Second + 999*time.Millisecond: true,
		-2*time.Second - time.Millisecond: false, 3 * time.Second: false, math.MaxInt64: false, math.MinInt64: false,
	} {
		_, refusal := source.Verify(s, &source.Request{Query: "SdkAppid=1400000001&" + t1, Received: now.Add(late)})
		if accepted := refusal == nil; accepted != want {
			t.Errorf("received %s late: accepted = %t, want %t", late, accepted, want)
		}
	}
	_, refusal := source.Verify(s, &source.Request{Query: "SdkAppid=1400000001&" + t1, Received: now.Add(time.Hour)})
	if refusal == nil || refusal.Reason != source.ReasonStale || refusal.Status != 401 || !strings.Contains(refusal.Detail, "2s") {
		t.Errorf("got %+v", refusal)
	}
}

func TestSkew_saturates(t *testing.T) {
	for seconds, want := range map[int64]time.Duration{
		1700000007: 7 * time.Second, 1699999990: -10 * time.Second, math.MaxInt64: math.MaxInt64, 1 << 40: math.MaxInt64,
	} {
		if got := skew(seconds, now); got != want {
			t.Errorf("skew(%d) = %s, want %s", seconds, got, want)
		}
	}
}

func TestJudge(t *testing.T) {
	cfg, secrets := endpoint(sdkAppID, token)
	sim := newSimulator(t, cfg, secrets)
	tests := map[string]bool{
		`{"ErrorInfo":"","ErrorCode":0,"ActionStatus":"OK"}`:        true,
		`{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":"","x":[]}`: true,
		`{"ActionStatus":"OK","ErrorCode":1,"ErrorInfo":""}`:        false,
		`{"ActionStatus":"FAIL","ErrorCode":1,"ErrorInfo":"no"}`:    false,
		`{"ActionStatus":"OK","ErrorCode":"0","ErrorInfo":""}`:      false,
		`{"ActionStatus":"OK","ErrorCode":0}`:                       false,
		`{"ErrorCode":0,"ErrorInfo":""}`:                            false,
		`{}`:                                                        false,
		``:                                                          false,
		`success`:                                                   false,
		`[]`:                                                        false,
	}
	for body, want := range tests {
		if err := sim.Judge(200, []byte(body)); (err == nil) != want {
			t.Errorf("%s: %v, want good = %t", body, err, want)
		}
	}
}

func TestSimulator_withoutToken(t *testing.T) {
	cfg, secrets := accepting()
	made, err := newSimulator(t, cfg, secrets).Sign([]byte(`{"CallbackCommand":"a b&c"}`), now)
	if want := "SdkAppid=1400000001&CallbackCommand=a+b%26c&contenttype=json&ClientIP=203.0.113.7&OptPlatform=iOS"; err != nil || made.Query != want {
		t.Errorf("got %q, %v, want %q", made.Query, err, want)
	}
}

// BenchmarkCallback is the hot path: one callback verified and identified.
func BenchmarkCallback(b *testing.B) {
	cfg, secrets := endpoint(sdkAppID, token)
	sim, s := newSimulator(b, cfg, secrets), newSource(b, cfg, secrets)
	body := sim.Samples()[0].Body
	made, err := sim.Sign(body, now)
	if err != nil {
		b.Fatal(err)
	}
	r := &source.Request{Query: made.Query, Header: made.Header, Body: body, Received: now}
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
