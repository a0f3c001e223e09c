package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/sources"
)

func tencent(name string) config.Endpoint {
	e := lazada(name)
	e.Source = config.Source{Type: config.SourceTencentIM, TencentIM: &config.TencentIM{
		SDKAppID: 1400000001, TokenFiles: []config.SecretFile{"secret"}, Commands: []string{"C2C.CallbackAfterSendMsg", "C2C.CallbackAfterMsgReport"},
	}}
	return e
}

// fullBuffer has no room.
type fullBuffer struct{ buffer.Buffer }

func (b fullBuffer) Queue(name string, s buffer.Settings) (buffer.Queue, error) {
	q, err := b.Buffer.Queue(name, s)
	return fullQueue{q}, err
}

type fullQueue struct{ buffer.Queue }

func (fullQueue) Append(context.Context, []event.Event) (buffer.Appended, error) {
	return buffer.Appended{}, buffer.ErrFull
}

// push is a callback as a test changes it.
type push struct {
	method, path string
	query        string
	header       http.Header
	body         string
	at           time.Time
	length       int64 // that is announced, if not the body's
}

// TestApp_answersInThePlatformsWords holds the receiver, with the real sources and a real disk, to the table of answers.
func TestApp_answersInThePlatformsWords(t *testing.T) {
	const (
		lazadaOK  = `{}`
		tencentOK = `{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":""}`
	)
	fail := func(info string) string {
		return fmt.Sprintf(`{"ActionStatus":"FAIL","ErrorCode":1,"ErrorInfo":%q}`, info)
	}
	sorry := func(info string) string { return fmt.Sprintf(`{"error":%q}`, info) }
	const (
		lazadaUnsigned = "the Authorization header is missing: Lazada signs every push, so something on the way may have removed it"
		lazadaWrong    = "the Authorization header does not fit the body: compare app key and app secret with the Lazada console"
		tencentOther   = "SdkAppid is not this endpoint's: compare it with the Chat console, and the callback URL with this endpoint's"
		tencentMissing = "Sign or RequestTime is missing: switch on authentication in the console's callback configuration"
		tencentWrong   = "Sign does not fit RequestTime: compare the token with the console's callback configuration"
		tencentStale   = "RequestTime is more than 1m0s from this receiver's time: check its clock"
	)
	replace := func(from, to string) func(*push) {
		return func(p *push) { p.query = strings.Replace(p.query, from, to, 1) }
	}
	tests := map[string]struct {
		source     func(string) config.Endpoint
		change     func(*push) // before it is signed
		tamper     func(*push) // after
		full       bool
		wantStatus int
		want       string
		wantHeader [2]string
	}{
		"lazada, stored":          {source: lazadaPlain, wantStatus: 200, want: lazadaOK},
		"lazada, not JSON":        {source: lazadaPlain, change: func(p *push) { p.body = "{" }, wantStatus: 200, want: lazadaOK},
		"lazada, no signature":    {source: lazadaPlain, tamper: func(p *push) { p.header.Del("Authorization") }, wantStatus: 401, want: sorry(lazadaUnsigned)},
		"lazada, wrong signature": {source: lazadaPlain, tamper: func(p *push) { p.body += " " }, wantStatus: 401, want: sorry(lazadaWrong)},
		"lazada, GET": {
			source: lazadaPlain, tamper: func(p *push) { p.method, p.body = http.MethodGet, "" },
			wantStatus: 405, want: sorry("only POST is allowed"), wantHeader: [2]string{"Allow", "POST"},
		},
		"lazada, too large": {
			source: lazadaPlain, tamper: func(p *push) { p.length = 1<<20 + 1 }, wantStatus: 413, want: sorry("the body is too large"),
		},
		"lazada, no such path": {source: lazadaPlain, tamper: func(p *push) { p.path += "/" }, wantStatus: 404, want: `{"error":"no such path"}`},
		"lazada, full": {
			source: lazadaPlain, full: true, wantStatus: 503, want: sorry("cannot store it now, send it again"), wantHeader: [2]string{"Retry-After", "5"},
		},
		"tencent, stored": {source: tencent, wantStatus: 200, want: tencentOK},
		"tencent, filtered out": {source: tencent, change: func(p *push) {
			p.body = `{"CallbackCommand":"State.StateChange"}`
		}, wantStatus: 200, want: tencentOK},
		"tencent, other app": {source: tencent, tamper: replace("SdkAppid=1400000001", "SdkAppid=1400000002"), wantStatus: 403, want: fail(tencentOther)},
		"tencent, no sign":   {source: tencent, tamper: replace("Sign=", "Signed="), wantStatus: 401, want: fail(tencentMissing)},
		"tencent, wrong sign": {
			source: tencent, tamper: replace("Sign=", "Sign=0&Signed="), wantStatus: 401, want: fail(tencentWrong),
		},
		"tencent, stale": {
			source: tencent, change: func(p *push) { p.at = p.at.Add(-2 * time.Minute) }, wantStatus: 401, want: fail(tencentStale),
		},
		"tencent, not JSON": {source: tencent, tamper: func(p *push) { p.body = "{" }, wantStatus: 400, want: fail("the body is not JSON in UTF-8")},
		"tencent, query and body disagree": {
			source: tencent, tamper: func(p *push) { p.body = `{"CallbackCommand":"State.StateChange"}` },
			wantStatus: 400, want: fail("CallbackCommand in the query and in the body differ"),
		},
		"tencent, no command": {
			source: tencent, tamper: replace("CallbackCommand=", "Command="),
			wantStatus: 400, want: fail("CallbackCommand is missing in the query or in the body"),
		},
		"tencent, PUT": {
			source: tencent, tamper: func(p *push) { p.method = http.MethodPut },
			wantStatus: 405, want: fail("only POST is allowed"), wantHeader: [2]string{"Allow", "POST"},
		},
		"tencent, too large":    {source: tencent, tamper: func(p *push) { p.length = 1<<20 + 1 }, wantStatus: 413, want: fail("the body is too large")},
		"tencent, no such path": {source: tencent, tamper: func(p *push) { p.path = "/" }, wantStatus: 404, want: `{"error":"no such path"}`},
		"tencent, full": {
			source: tencent, full: true, wantStatus: 503, want: fail("cannot store it now, send it again"), wantHeader: [2]string{"Retry-After", "5"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := &fixture{t: t, dir: t.TempDir()}
			e := tt.source("a")
			f.configure(e)
			f.run(func(o *Options) {
				if tt.full {
					o.openBuffer = func() (buffer.Buffer, error) { return fullBuffer{openDisk(t, f.dir)}, nil }
				}
			})
			status, header, body := f.push(e, tt.change, tt.tamper)
			// As in mustSend: a busy disk is slower than the platform's limit, and the platform sends again.
			for tries := 0; status == http.StatusServiceUnavailable && tt.wantStatus != status && tries < 20; tries++ {
				status, header, body = f.push(e, tt.change, tt.tamper)
			}
			if status != tt.wantStatus {
				t.Errorf("status is %d, want %d", status, tt.wantStatus)
			}
			if diff := cmp.Diff(tt.want, body); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if got := header.Get("Content-Type"); got != "application/json" {
				t.Errorf("content type is %q, want application/json", got)
			}
			if key, want := tt.wantHeader[0], tt.wantHeader[1]; key != "" && header.Get(key) != want {
				t.Errorf("header %s is %q, want %q", key, header.Get(key), want)
			}
		})
	}
}

func lazadaPlain(name string) config.Endpoint { return lazada(name) }

// push sends a recorded callback as its platform does, changed before and after it is signed.
func (f *fixture) push(e config.Endpoint, change, tamper func(*push)) (int, http.Header, string) {
	f.t.Helper()
	sim, err := sources.NewSimulator(e.Source, config.Secrets{"secret": "hunter2"})
	if err != nil {
		f.t.Fatal(err)
	}
	p := push{method: http.MethodPost, path: e.Path, body: string(sim.Samples()[0].Body), at: time.Now()}
	if change != nil {
		change(&p)
	}
	signed, err := sim.Sign([]byte(p.body), p.at)
	if err != nil {
		f.t.Fatal(err)
	}
	p.query, p.header = signed.Query, http.Header(signed.Header).Clone()
	if p.header == nil {
		p.header = http.Header{}
	}
	if tamper != nil {
		tamper(&p)
	}
	r, err := http.NewRequestWithContext(f.t.Context(), p.method, "http://"+f.app.ListenAddr().String()+p.path+"?"+p.query, strings.NewReader(p.body))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header = p.header
	if p.length > 0 { // announced and not sent: the client waits for the go-ahead that never comes
		r.ContentLength = p.length
		r.Body = io.NopCloser(strings.NewReader(strings.Repeat(" ", int(p.length))))
		r.Header.Set("Expect", "100-continue")
	}
	res, err := (&http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}).Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // Only read.
	body, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	if got := res.Header.Get("Content-Length"); got != strconv.Itoa(len(body)) {
		f.t.Errorf("content length is %s, want %d", got, len(body))
	}
	return res.StatusCode, res.Header, string(body)
}
