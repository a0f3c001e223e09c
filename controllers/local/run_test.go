package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what should happen soon: only a hang exceeds it.
const patience = time.Minute

// running is a hookbay run in the test's process.
type running struct {
	stdout, stderr *output
	done           chan error
	stop           context.CancelFunc
	listen, admin  string
}

// startRun runs shop.yaml in the current directory.
func startRun(t *testing.T, args ...string) *running {
	t.Helper()
	stdout := &output{}
	r := startRunTo(t, stdout, args...)
	r.stdout = stdout
	return r
}

// startRunTo is startRun with another standard output.
func startRunTo(t *testing.T, stdout io.Writer, args ...string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{stderr: &output{}, done: make(chan error, 1), stop: stop}
	cmd := RunCommand()
	cmd.SetOut(stdout)
	cmd.SetErr(r.stderr)
	cmd.SetIn(strings.NewReader(""))
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(append([]string{"-f", "shop.yaml", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...))
	go func() { r.done <- cmd.ExecuteContext(ctx) }()
	t.Cleanup(func() {
		stop()
		select {
		case <-r.done: //nolint:errcheck // Tests that care have looked at it.
		case <-time.After(patience):
			t.Error("hookbay run does not end")
		}
		if t.Failed() {
			t.Logf("standard error:\n%s", r.stderr)
		}
	})
	r.stderr.wait(t, `msg="Receiver takes callbacks"`)
	m := regexp.MustCompile(`listen=(\S+) admin=(\S+)`).FindStringSubmatch(r.stderr.String())
	r.listen, r.admin = "http://"+m[1], "http://"+m[2]
	return r
}

// end stops it as Ctrl-C does, and returns what it returned.
func (r *running) end(t *testing.T) error {
	t.Helper()
	r.stop()
	select {
	case err := <-r.done:
		r.done <- err
		return err
	case <-time.After(patience):
		t.Fatal("hookbay run does not end")
		return nil
	}
}

func (r *running) send(t *testing.T, args ...string) error {
	t.Helper()
	cmd := SendCommand()
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(append([]string{"-f", "shop.yaml", "--url", r.listen}, args...))
	return cmd.ExecuteContext(t.Context())
}

// output is what a command writes.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	wrote chan struct{} // closed at the next write
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.wrote != nil {
		close(o.wrote)
		o.wrote = nil
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// wait returns when the output holds want.
func (o *output) wait(t *testing.T, want string) {
	t.Helper()
	o.waitFor(t, want, func(text string) bool { return strings.Contains(text, want) })
}

func (o *output) waitFor(t *testing.T, what string, done func(string) bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		o.mu.Lock()
		text := o.text.String()
		if o.wrote == nil {
			o.wrote = make(chan struct{})
		}
		wrote := o.wrote
		o.mu.Unlock()
		if done(text) {
			return
		}
		select {
		case <-wrote:
		case <-deadline:
			t.Fatalf("waited in vain for %s in:\n%s", what, text)
		}
	}
}

func lines(n int) func(string) bool {
	return func(text string) bool { return strings.Count(text, "\n") >= n }
}

func TestRun_print(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "shop.yaml", lazadaYAML+"---\n"+tencentYAML)
	r := startRun(t, "--target", "print", "--data-dir", "data")
	for _, want := range []string{
		"shop/lazada-im (Lazada, App Key 100132)", "callbacks  " + r.listen + "/shop/lazada-im",
		"shop/tencent-im (Tencent Cloud IM, SDKAppID 1400000001)", " send -f shop.yaml --endpoint shop/tencent-im --url " + r.listen, r.admin,
	} {
		if !strings.Contains(r.stderr.String(), want) {
			t.Errorf("it does not tell %q", want)
		}
	}
	if err := r.send(t, "--count", "50"); err != nil {
		t.Error(err)
	}
	r.stdout.waitFor(t, "100 events", lines(100))
	if err := r.end(t); err != nil {
		t.Errorf("it ended with %v, want no error", err)
	}
	got := r.stdout.String()
	for _, want := range []string{`"hookbayendpoint":"shop/lazada-im"`, `"hookbayendpoint":"shop/tencent-im"`} {
		if n := strings.Count(got, want); n != 50 {
			t.Errorf("got %d events with %s, want 50", n, want)
		}
	}
	if strings.Contains(r.stderr.String(), "kX7s2Qv9LmT4bWn8RcYd1ZpE6HgJ0uAf") {
		t.Error("the log holds a secret")
	}
}

// A manifest that is edited is live; a mistake is told, and what was there before goes on.
func TestRun_edit(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "shop.yaml", lazadaYAML)
	r := startRun(t, "--target", "print", "--data-dir", "data")

	writeFile(t, "shop.yaml", strings.Replace(lazadaYAML, "type: Lazada", "type: lazada", 1))
	r.stderr.wait(t, `Configuration is refused`)
	r.stderr.wait(t, `spec.source.type: write Lazada or TencentIM instead of`)
	writeFile(t, "send.yaml", lazadaYAML)
	if err := r.send(t, "-f", "send.yaml", "-f", "shop.yaml"); exitCode(err) != 2 {
		t.Errorf("send with the mistake: got %v, want an invalid manifest", err)
	}

	// A credential that is none is told like any other mistake, where it was made.
	unsigned := strings.Replace(lazadaYAML, "  target:\n", "  target:\n    signingSecretRef: {name: lazada-app, key: signing}\n", 1) + "  signing: hello\n"
	writeFile(t, "shop.yaml", unsigned)
	r.stderr.wait(t, "spec.target.signingSecretRef: Secret shop/lazada-app (shop.yaml: document 2): the key signing: ")

	// Another secret, and another setting, so that the endpoint delivers with a new target.
	edited := strings.Replace(lazadaYAML, "kX7s2Qv9LmT4bWn8RcYd1ZpE6HgJ0uAf", "a-new-secret", 1)
	edited = strings.Replace(edited, "  target:\n", "  delivery: {maxInFlight: 3}\n  target:\n", 1)
	writeFile(t, "shop.yaml", edited)
	r.stderr.waitFor(t, "the new configuration", func(text string) bool { return strings.Count(text, "Configuration is live") == 2 })
	if err := r.send(t); err != nil {
		t.Errorf("send with the new secret: %v", err)
	}
	r.stdout.waitFor(t, "an event", lines(1))
}

// --target URL sends everything there, with the target's other settings; events that were not delivered survive the process.
func TestRun_targetURL(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "shop.yaml", strings.Replace(lazadaYAML, "    service:\n", "    headers: [{name: X-Team, value: chat}]\n    service:\n", 1))
	got := make(chan http.Header, 1)
	service := http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			got <- r.Header
		}
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String() + "/events"
	r := startRun(t, "--target", url, "--data-dir", "data")
	if err := r.send(t); err != nil { // nobody serves yet
		t.Fatal(err)
	}
	if err := r.end(t); err != nil {
		t.Errorf("it ended with %v, want no error", err)
	}
	go func() {
		if err := service.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	defer func() { _ = service.Close() }()
	startRun(t, "--target", url, "--data-dir", "data")
	select {
	case h := <-got:
		if h.Get("Ce-Hookbayendpoint") != "shop/lazada-im" || h.Get("X-Team") != "chat" {
			t.Errorf("got the headers %v, want Ce-Hookbayendpoint and X-Team", h)
		}
	case <-time.After(patience):
		t.Fatal("the event of the first process was not delivered by the second")
	}
}

func TestRun_refuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	signed := func(secret string) string {
		return strings.Replace(tencentYAML, "  target:\n", "  target:\n    signingSecretRef: {name: tencent-im, key: signing}\n", 1) + "  \n---\n" + secret
	}
	tests := map[string]struct {
		manifests string
		args      []string
		wantCode  int
		want      string
	}{
		"a Service without --target": {
			manifests: lazadaYAML, wantCode: 2,
			want: "shop/lazada-im: spec.target.service: a Service can be reached only inside a cluster: add --target http://localhost:3000/events",
		},
		"a target that is no URL": {
			manifests: lazadaYAML, args: []string{"--target", "localhost:3000"}, wantCode: 2, want: "--target: write print, or a full http or https address",
		},
		"a password in the target": {
			manifests: lazadaYAML, args: []string{"--target", "http://me:hidden@localhost"}, wantCode: 2, want: "without user name",
		},
		"a mistake in the manifest": {
			manifests: strings.Replace(lazadaYAML, "port: 8080", "port: 0", 1), args: []string{"--target", "print"}, wantCode: 2,
			want: "shop.yaml: document 1: WebhookEndpoint shop/lazada-im: spec.target.service.port: write 1 or more",
		},
		"a signing secret that is none": {
			manifests: strings.Replace(signed(""), "{token: tok-3f9A7c2E5b8D1064}", "{token: tok-3f9A7c2E5b8D1064, signing: hello}", 1), wantCode: 2,
			want: "shop.yaml: document 1: WebhookEndpoint shop/tencent-im: spec.target.signingSecretRef: Secret shop/tencent-im (shop.yaml: document 2): " +
				"the key signing: the signing secret is not a Standard Webhooks secret",
		},
		"certificates that are none": {
			manifests: strings.NewReplacer("  target:\n", "  target:\n    caBundleRef: {name: tencent-im, key: ca}\n",
				"8D1064}", "8D1064, ca: hello}").Replace(tencentYAML), wantCode: 2,
			want: "spec.target.caBundleRef: Secret shop/tencent-im (shop.yaml: document 2): the key ca holds no certificate",
		},
		"a port that is taken": {
			manifests: tencentYAML, args: []string{"--listen", taken.Addr().String()}, wantCode: 1, want: "address already in use: choose other ports with --listen and --admin",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			writeFile(t, "shop.yaml", tt.manifests)
			cmd := RunCommand()
			cmd.SetOut(io.Discard)
			cmd.SetErr(io.Discard)
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs(append([]string{"-f", "shop.yaml", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir", "data"}, tt.args...))
			err := cmd.ExecuteContext(t.Context())
			if exitCode(err) != tt.wantCode || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got exit code %d, %v; want %d, %q", exitCode(err), err, tt.wantCode, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "hidden") {
				t.Error("the error holds a password")
			}
			if _, err := os.Stat(filepath.Join("data", "buffer")); err == nil && tt.wantCode == 2 {
				t.Error("it opened the buffer")
			}
		})
	}
}

// Whoever pipes the events into a program that ends is told, with an error, and the events stay.
func TestRun_nobodyReads(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "shop.yaml", lazadaYAML)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	defer writer.Close() //nolint:errcheck // Nothing was written.
	r := startRunTo(t, writer, "--target", "print", "--data-dir", "data")
	if err := r.send(t); err != nil {
		t.Error(err)
	}
	select {
	case err := <-r.done:
		r.done <- err
		if !errors.Is(err, errNobodyReads) || exitCode(err) != 1 {
			t.Errorf("it ended with %v, want %v and exit code 1", err, errNobodyReads)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	again := startRun(t, "--target", "print", "--data-dir", "data")
	again.stdout.waitFor(t, "the event that was not printed", lines(1))
}

func TestExplainStart(t *testing.T) {
	tests := map[string]struct {
		err  error
		want string
	}{
		"a port":         {fmt.Errorf("listen: %w", syscall.EADDRINUSE), "--listen and --admin"},
		"a directory":    {fmt.Errorf("open the buffer: %w", syscall.EAGAIN), "--data-dir"},
		"something else": {errors.New("no"), "no"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := explainStart(tt.err); !errors.Is(got, tt.err) || !strings.Contains(got.Error(), tt.want) {
				t.Errorf("got %v, want the error and %q", got, tt.want)
			}
		})
	}
}

func TestReachable(t *testing.T) {
	for address, want := range map[string]string{
		"[::]:8080": "127.0.0.1:8080", "0.0.0.0:8080": "127.0.0.1:8080", "[::1]:8080": "[::1]:8080", "10.0.0.7:80": "10.0.0.7:80",
	} {
		if got := reachable(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}

func TestQuotedWords(t *testing.T) {
	got := strings.Join(quotedWords([]string{"shop.yaml", "my shop/it's", "-"}), " ")
	if want := `shop.yaml 'my shop/it'\''s' -`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
