package local

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/source"
	"github.com/hookbay/hookbay/receiver/sources"
)

// platformServer answers callbacks as a receiver of the test manifests does, and remembers the events of those that it takes.
type platformServer struct {
	*httptest.Server
	mu sync.Mutex
	// ids are the events in the order of their callbacks, by subject.
	ids map[string][]string
}

// newServer serves the manifests; refuse may say for each callback that it is answered otherwise: a status, or 0.
func newServer(t *testing.T, m *Manifests, refuse func(*http.Request) int) *platformServer {
	t.Helper()
	s := &platformServer{ids: map[string][]string{}}
	platforms := map[string]source.Source{}
	snapshot := m.Snapshot()
	for _, e := range snapshot.Config.Endpoints {
		src, err := sources.New(e.Source, snapshot.Secrets)
		if err != nil {
			t.Fatal(err)
		}
		platforms[e.Path] = src
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := refuse(r); status != 0 {
			http.Error(w, "no", status)
			return
		}
		src, ok := platforms[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		req := &source.Request{Query: r.URL.RawQuery, Header: textproto.MIMEHeader(r.Header), Body: body, Received: time.Now()}
		_, refusal := source.Verify(src, req)
		if refusal == nil {
			events, why := src.Identify(nil, req)
			refusal = why
			s.mu.Lock()
			for _, e := range events {
				s.ids[e.Subject] = append(s.ids[e.Subject], e.ID.String())
			}
			s.mu.Unlock()
		}
		answer := src.Answer(refusal)
		w.Header().Set("Content-Type", answer.ContentType)
		if refusal != nil {
			w.WriteHeader(refusal.Status)
		}
		if _, err := w.Write(answer.Body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// events are how many different events came in, of how many subjects.
func (s *platformServer) events() (events, subjects int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	different := map[string]bool{}
	for _, ids := range s.ids {
		for _, id := range ids {
			different[id] = true
		}
	}
	return len(different), len(s.ids)
}

func takeAll(*http.Request) int { return 0 }

// runSend runs hookbay send with the manifests in shop.yaml of a new current directory.
func runSend(t *testing.T, manifests string, args ...string) (stdout string, err error) {
	t.Helper()
	t.Chdir(t.TempDir())
	writeFile(t, "shop.yaml", manifests)
	cmd := SendCommand()
	var out, errOut bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&errOut)
	cmd.SetIn(strings.NewReader(`{"message_type":19,"data":{"session_id":"7"}}`))
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(append([]string{"-f", "shop.yaml"}, args...))
	err = cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestSend(t *testing.T) {
	both := lazadaYAML + "---\n" + tencentYAML
	tests := map[string]struct {
		args         []string
		wantEvents   int
		wantSubjects int
		wantOutput   []string
	}{
		"one callback to each endpoint": {
			wantEvents: 2, wantSubjects: 2,
			wantOutput: []string{"shop/lazada-im", "message-19", "shop/tencent-im", "C2C.CallbackAfterSendMsg", `"ActionStatus":"OK"`, "accepted"},
		},
		"one endpoint by its name":           {args: []string{"--endpoint", "tencent-im"}, wantEvents: 1, wantSubjects: 1},
		"one endpoint by namespace and name": {args: []string{"--endpoint", "shop/lazada-im"}, wantEvents: 1, wantSubjects: 1},
		"an empty body is a body": {
			args: []string{"--endpoint", "lazada-im", "--data", ""}, wantEvents: 1, wantSubjects: 1, wantOutput: []string{"(data)", "accepted"},
		},
		"a sample goes to the platform that has it": {
			args: []string{"--event", "message-2"}, wantEvents: 1, wantSubjects: 1, wantOutput: []string{"message-2"},
		},
		"many callbacks, each another event, in so many subjects": {
			args: []string{"--count", "60", "--subjects", "7", "--concurrency", "5"}, wantEvents: 120, wantSubjects: 14,
			wantOutput: []string{"accepted  60", "failed    0", "120 callbacks"},
		},
		"more concurrency than subjects": {
			args: []string{"--count", "5", "--subjects", "2", "--concurrency", "100", "--rate", "10000"}, wantEvents: 10, wantSubjects: 4,
		},
		"a body of one's own": {
			args: []string{"--endpoint", "lazada-im", "--data", "@-"}, wantEvents: 1, wantSubjects: 1,
		},
		"a body in the argument": {
			args: []string{"--endpoint", "lazada-im", "--data", `{"message_type":19,"data":{"session_id":"7"}}`, "--count", "3"}, wantEvents: 1, wantSubjects: 1,
		},
		"a receiver that is waited for": {args: []string{"--wait", "1m"}, wantEvents: 2, wantSubjects: 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, mustLoad(t, both), takeAll)
			out, err := runSend(t, both, append(tt.args, "--url", s.URL)...)
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			if events, subjects := s.events(); events != tt.wantEvents || subjects != tt.wantSubjects {
				t.Errorf("got %d events of %d subjects, want %d of %d", events, subjects, tt.wantEvents, tt.wantSubjects)
			}
			for _, want := range tt.wantOutput {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in the output:\n%s", want, out)
				}
			}
		})
	}
}

func TestSend_namesTheHost(t *testing.T) {
	withHost := strings.Replace(lazadaYAML, "spec:\n", "spec:\n  exposure: {host: hooks.example.com}\n", 1)
	var got string
	s := newServer(t, mustLoad(t, withHost), func(r *http.Request) int { got = r.Host; return 0 })
	if out, err := runSend(t, withHost, "--url", s.URL); err != nil || got != "hooks.example.com" {
		t.Errorf("a callback to %s named the host %q (%v), want the endpoint's\n%s", s.URL, got, err, out)
	}
}

// The certificate that is asked for is that of the endpoint's host, and not of the address that leads there.
func TestSend_verifiesTheHost(t *testing.T) {
	withHost := strings.Replace(lazadaYAML, "spec:\n", "spec:\n  exposure: {host: example.com}\n", 1) // which httptest's certificate is for
	var asked string
	s := httptest.NewUnstartedServer(newServer(t, mustLoad(t, withHost), takeAll).Config.Handler)
	s.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		asked = hello.ServerName
		return nil, nil
	}}
	s.StartTLS()
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))

	if out, err := runSend(t, withHost, "--url", s.URL); err == nil {
		t.Errorf("an unknown certificate is taken:\n%s", out)
	}
	if out, err := runSend(t, withHost, "--url", s.URL, "--cacert", ca, "--wait", "10s"); err != nil || asked != "example.com" {
		t.Errorf("the certificate of %q was asked for (%v), want that of the endpoint's host\n%s", asked, err, out)
	}
	if _, err := runSend(t, withHost, "--url", s.URL, "--cacert", "shop.yaml"); err == nil || !strings.Contains(err.Error(), "--cacert") {
		t.Errorf("a file without certificates: got error %v, want one about --cacert", err)
	}
}

func TestNameHosts(t *testing.T) {
	m := mustLoad(t, strings.Replace(lazadaYAML, "spec:\n", "spec:\n  exposure: {host: hooks.example.com}\n", 1))
	for to, want := range map[string]string{
		"http://127.0.0.1:8080":      "hooks.example.com",
		"http://[fd00::1]":           "hooks.example.com",
		"http://localhost:8080":      "hooks.example.com",
		"https://tunnel.example.com": "", // such a name leads through a proxy that goes by it
	} {
		plays, err := choose(m.Snapshot(), nil)
		if err != nil {
			t.Fatal(err)
		}
		nameHosts(plays, m, to)
		if plays[0].host != want {
			t.Errorf("callbacks to %s name %q, want %q", to, plays[0].host, want)
		}
	}
}

// Each call sends new events, unless it is given the same seed.
func TestSend_seed(t *testing.T) {
	s := newServer(t, mustLoad(t, lazadaYAML), takeAll)
	for _, seed := range []string{"11", "500000", "11"} {
		if out, err := runSend(t, lazadaYAML, "--url", s.URL, "--seed", seed); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if events, _ := s.events(); events != 2 {
		t.Errorf("got %d events from two different seeds and a repeated one, want 2", events)
	}
}

// The callbacks of one subject are sent in order: their event ids come in the same order whatever the concurrency.
func TestSend_order(t *testing.T) {
	var want map[string][]string
	for _, concurrency := range []string{"1", "16"} {
		s := newServer(t, mustLoad(t, tencentYAML), takeAll)
		if out, err := runSend(t, tencentYAML, "--url", s.URL, "--seed", "1", "--count", "200", "--subjects", "10", "--concurrency", concurrency); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if want == nil {
			want = s.ids
		}
		if diff := cmp.Diff(want, s.ids); diff != "" {
			t.Errorf("concurrency %s: order of events (-with one, +got):\n%s", concurrency, diff)
		}
	}
}

func TestSend_failures(t *testing.T) {
	wrongSecret := strings.Replace(lazadaYAML, "kX7s2Qv9LmT4bWn8RcYd1ZpE6HgJ0uAf", "another", 1)
	refuseEvery := func(nth int) func(*http.Request) int {
		var mu sync.Mutex
		n := 0
		return func(*http.Request) int {
			mu.Lock()
			defer mu.Unlock()
			if n++; n%nth == 0 {
				return http.StatusServiceUnavailable
			}
			return 0
		}
	}
	breakOff := func(*http.Request) int { panic(http.ErrAbortHandler) }
	tests := map[string]struct {
		sent   string // manifests that the sender has
		refuse func(*http.Request) int
		args   []string
		want   []string
	}{
		"another secret": {sent: wrongSecret, refuse: takeAll, want: []string{"401", "FAILED: lazada wants status 200, got 401"}},
		"some refused": {
			sent: lazadaYAML, refuse: refuseEvery(4), args: []string{"--count", "20"},
			want: []string{"accepted  15", "failed    5", "5 × lazada wants status 200, got 503", "the first was answered "},
		},
		"no answers": {sent: lazadaYAML, refuse: breakOff, want: []string{"-  (no body)", "FAILED: the receiver closed the connection without an answer"}},
		"nobody serves it": {
			sent: lazadaYAML, refuse: func(*http.Request) int { return http.StatusNotFound },
			want: []string{"404", "; is --url that of the receiver that serves this manifest?"},
		},
		"a redirect": {sent: lazadaYAML, refuse: func(*http.Request) int { return http.StatusFound }, want: []string{"302"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, mustLoad(t, lazadaYAML), tt.refuse)
			out, err := runSend(t, tt.sent, append(tt.args, "--url", s.URL)...)
			if err == nil || exitCode(err) == 2 {
				t.Errorf("got error %v, want one for exit code 1", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in the output:\n%s", want, out)
				}
			}
			if strings.Contains(out, "kX7s2Qv9LmT4bWn8RcYd1ZpE6HgJ0uAf") {
				t.Error("the output holds a secret")
			}
		})
	}
}

// lateSource is a platform that no answer is quick enough for.
type lateSource struct{ source.Simulator }

func (lateSource) AnswerWithin() time.Duration { return -1 }

func TestSender_late(t *testing.T) {
	m := mustLoad(t, lazadaYAML)
	s := newServer(t, m, takeAll)
	plays, err := choose(m.Snapshot(), nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &sendFlags{url: s.URL, count: 1, concurrency: 1, subjects: 1}
	if plays, err = f.prepare(plays, nil); err != nil {
		t.Fatal(err)
	}
	plays[0].platform = lateSource{plays[0].platform}
	var out bytes.Buffer
	snd, err := newSender(f, plays, nil, &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer snd.close()
	snd.run(t.Context())
	if err := snd.tally.verdict(t.Context()); err == nil || !strings.Contains(out.String(), "answered later than the platform's") {
		t.Errorf("got %v, want a failure because of the time limit:\n%s", err, out.String())
	}
}

func TestSend_nothingListens(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close() // its address is free again
	for name, args := range map[string][]string{
		"at once":           {},
		"after waiting":     {"--wait", "10ms"},
		"many, all refused": {"--count", "10"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := runSend(t, lazadaYAML, append(args, "--url", s.URL)...)
			if err == nil || exitCode(err) == 2 || !strings.Contains(out+err.Error(), "nothing listens there") {
				t.Errorf("got %v, want exit code 1 and that nothing listens there:\n%s", err, out)
			}
		})
	}
}

func TestSend_waitsForAProxyWithoutReceiver(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	s.Config.DisableGeneralOptionsHandler = true
	s.Start()
	defer s.Close()
	_, err := runSend(t, lazadaYAML, "--url", s.URL, "--wait", "10ms")
	if err == nil || !strings.Contains(err.Error(), "it answers 502") {
		t.Errorf("got %v, want that it answers 502", err)
	}
}

// --report - leaves standard output to the lines of JSON.
func TestSend_reportToStandardOutput(t *testing.T) {
	s := newServer(t, mustLoad(t, lazadaYAML), takeAll)
	out, err := runSend(t, lazadaYAML, "--url", s.URL, "--count", "3", "--report", "-")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out, "\n"); n != 3 {
		t.Errorf("got %d lines, want 3:\n%s", n, out)
	}
	for line := range strings.Lines(out) {
		var l reportLine
		if err := json.Unmarshal([]byte(line), &l); err != nil || !l.OK {
			t.Errorf("got the line %s(%v), want a callback that is accepted", line, err)
		}
	}
}

// Whoever sends one body many times is told that it is one event.
func TestSend_repeats(t *testing.T) {
	const note = "all of them are one event and its repeats"
	for name, tt := range map[string]struct {
		args []string
		want bool
	}{
		"a body of one's own":  {args: []string{"--data", `{"message_type":19}`}, want: true},
		"a sample that counts": {},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, mustLoad(t, lazadaYAML), takeAll)
			out, err := runSend(t, lazadaYAML, append(tt.args, "--url", s.URL, "--count", "2")...)
			if err != nil || strings.Contains(out, note) != tt.want {
				t.Errorf("got %v and\n%s\nwant the note: %t", err, out, tt.want)
			}
		})
	}
}

func TestSend_report(t *testing.T) {
	s := newServer(t, mustLoad(t, lazadaYAML), takeAll)
	file := filepath.Join(t.TempDir(), "report.jsonl")
	if out, err := runSend(t, lazadaYAML, "--url", s.URL, "--count", "30", "--subjects", "4", "--report", file); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var seen []int
	for line := range strings.Lines(string(data)) {
		var l reportLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		want := reportLine{Endpoint: "shop/lazada-im", Event: "message-19", N: l.N, Subject: l.N % 4, Status: 200, Millis: l.Millis, OK: true}
		if diff := cmp.Diff(want, l); diff != "" {
			t.Errorf("line (-want +got):\n%s", diff)
		}
		seen = append(seen, l.N)
	}
	slices.Sort(seen)
	for i, n := range seen {
		if i != n || len(seen) != 30 {
			t.Fatalf("the report has the callbacks %v, want each of 0 to 29 once", seen)
		}
	}
}

func TestSend_list(t *testing.T) {
	out, err := runSend(t, lazadaYAML+"---\n"+tencentYAML, "--list")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"message-19", "C2C.CallbackAfterSendMsg", "shop/lazada-im", "TencentIM"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in the list:\n%s", want, out)
		}
	}
}

func TestSend_usage(t *testing.T) {
	both := lazadaYAML + "---\n" + tencentYAML
	tests := map[string]struct {
		args []string
		want string
	}{
		"an unknown endpoint":      {[]string{"--endpoint", "nobody"}, "--endpoint nobody: the manifests have no such endpoint: write one of shop/lazada-im, shop/tencent-im"},
		"an unknown event":         {[]string{"--event", "message-99"}, "--event message-99: none of shop/lazada-im, shop/tencent-im has such a sample: --list shows those there are"},
		"event and data":           {[]string{"--event", "message-2", "--data", "{}"}, "--event and --data: give one of them"},
		"data for two endpoints":   {[]string{"--data", "{}"}, "--data: the body is one platform's: say which endpoint with --endpoint, one of shop/lazada-im, shop/tencent-im"},
		"a file that is not there": {[]string{"--endpoint", "lazada-im", "--data", "@nowhere"}, "--data: open nowhere: no such file or directory"},
		"a URL without scheme":     {[]string{"--url", "localhost:8080"}, "--url localhost:8080: write the receiver's address, such as http://127.0.0.1:8080 or https://hooks.example.com"},
		"no callbacks":             {[]string{"--count", "0"}, "--count 0: write a number from 1 to 1000000"},
		"a negative rate":          {[]string{"--rate", "-1"}, "--rate -1: write callbacks per second, or 0 for as fast as the answers come"},
		"no concurrency":           {[]string{"--concurrency", "0"}, "--concurrency 0: write a number from 1 to 10000"},
		"no subjects":              {[]string{"--subjects", "0"}, "--subjects 0: write a number from 1 to 1000000"},
		"a seed out of range":      {[]string{"--seed", "1000000"}, "--seed 1000000: write a number from 0 to 999900"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := runSend(t, both, tt.args...)
			if got := fmt.Sprint(err); exitCode(err) != 2 || got != tt.want {
				t.Errorf("got exit code %d, %q; want 2, %q", exitCode(err), got, tt.want)
			}
		})
	}
}

func TestSend_noFiles(t *testing.T) {
	cmd := SendCommand()
	cmd.SetArgs(nil)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if err := cmd.ExecuteContext(t.Context()); exitCode(err) != 2 {
		t.Errorf("got %v, want a usage error", err)
	}
}

func exitCode(err error) int {
	if coded, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err); ok {
		return coded.ExitCode()
	}
	if err != nil {
		return 1
	}
	return 0
}
