package local

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// serveNATS runs a server of NATS with JetStream until the test ends, and returns its address. It knows one user, who has the rights that the README says.
func serveNATS(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(),
		Users: []*server.User{{Username: "hookbay", Password: "Vt6mQz1YxK8rPw3S", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{"hookbay.>", "$JS.API.>"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.hookbay.>"}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server does not start")
	}
	return "nats://127.0.0.1:" + strconv.Itoa(s.Addr().(*net.TCPAddr).Port)
}

// waitReady waits until events can be stored, which takes a connection.
func (r *running) waitReady(t *testing.T) {
	t.Helper()
	deadline := time.After(patience)
	for {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.admin+"/readyz", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		why, _ := io.ReadAll(resp.Body) // what is missing of it does not matter
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatalf("it does not become ready: %s", why)
		}
	}
}

// Events that were stored in a stream are delivered by whichever run comes next, from any directory.
func TestRun_jetStream(t *testing.T) {
	address := serveNATS(t)
	t.Chdir(t.TempDir())
	endpoint, secret, _ := strings.Cut(lazadaYAML, "---\n")
	endpoint += "  buffer: {jetStream: {replicas: 1, maxBytes: 128Mi, userRef: {name: nats, key: user}, passwordRef: {name: nats, key: password}}}\n"
	secret += "---\napiVersion: v1\nkind: Secret\nmetadata: {name: nats, namespace: shop}\nstringData: {user: hookbay, password: Vt6mQz1YxK8rPw3S}\n"
	suspended := endpoint + "  delivery: {suspend: true}\n---\n" + secret
	flags := []string{"--target", "print", "--jetstream-url", address, "--default-buffer", "JetStream"}

	writeFile(t, "shop.yaml", suspended)
	r := startRun(t, flags...)
	if want := "buffer     a stream of NATS at " + address; !strings.Contains(r.stderr.String(), want) {
		t.Errorf("it does not tell %q", want)
	}
	r.waitReady(t)
	if err := r.send(t, "--count", "20"); err != nil {
		t.Error(err)
	}
	if err := r.end(t); err != nil {
		t.Errorf("it ended with %v, want no error", err)
	}
	for _, said := range []string{"permissions", "denies", "Vt6mQz1YxK8rPw3S"} {
		if strings.Contains(r.stderr.String(), said) {
			t.Errorf("the log has %q", said)
		}
	}
	if got := r.stdout.String(); got != "" {
		t.Errorf("delivered while it was suspended: %s", got)
	}

	writeFile(t, "shop.yaml", endpoint+"---\n"+secret)
	r = startRun(t, append(flags, "--data-dir", "another")...)
	r.stdout.waitFor(t, "20 events", lines(20))
	if err := r.end(t); err != nil {
		t.Errorf("it ended with %v, want no error", err)
	}
}

func TestRun_jetStreamFlags(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "shop.yaml", lazadaYAML)
	for name, args := range map[string][]string{
		"--default-buffer: write Disk, JetStream or None":        {"--default-buffer", "Redis"},
		"--jetstream-url: write the address of a NATS server":    {"--default-buffer", "JetStream"},
		"--jetstream-credentials: write --jetstream-url as well": {"--jetstream-credentials", "a/b"},
	} {
		cmd := RunCommand()
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs(append([]string{"-f", "shop.yaml", "--target", "print"}, args...))
		err := cmd.ExecuteContext(t.Context())
		if usage, ok := err.(*UsageError); !ok || usage.ExitCode() != 2 || !strings.HasPrefix(err.Error(), name) { //nolint:errorlint // it is not wrapped
			t.Errorf("%v: %v, want %q", args, err, name)
		}
	}
}
