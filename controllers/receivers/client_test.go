package receivers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hookbay/hookbay/receiver/admin"
	"github.com/hookbay/hookbay/receiver/buffer"
)

// clientOf returns a client for which every pod is the server at this address.
func clientOf(t *testing.T, o Options, address string) *Client {
	t.Helper()
	if o.DialContext == nil {
		o.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}
	}
	c := New(o)
	t.Cleanup(c.Close)
	return c
}

// receiver answers as the admin port does, and holds events of two endpoints.
func receiver(change func(*admin.Config), ready error) http.Handler {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	reg := prometheus.NewRegistry()
	reg.MustRegister(admin.NewBacklog(
		func() int64 { return 4096 },
		func() map[string]buffer.Stats {
			return map[string]buffer.Stats{
				"shop/orders": {Pending: 7, Oldest: now.Add(-90 * time.Second), Dead: 2},
				"shop/gone":   {Pending: 5, Oldest: now.Add(-time.Hour), Dead: 1},
			}
		},
		func() time.Time { return now },
	))
	config := admin.Config{
		Digest: "abc", Revision: "r-2", LoadedAt: now,
		Endpoints: []admin.Endpoint{
			{Namespace: "other", Name: "orders", Generation: 1, Path: "/other/orders"},
			{Namespace: "shop", Name: "orders", Generation: 3, Path: "/shop/orders"},
		},
	}
	if change != nil {
		change(&config)
	}
	return admin.NewHandler(admin.Options{
		Ready: func() error { return ready }, Config: func() admin.Config { return config }, Metrics: reg, Log: slog.New(slog.DiscardHandler),
	})
}

func TestAsk(t *testing.T) {
	report := func(change func(*Report)) Report {
		r := Report{Digest: "abc", Revision: "r-2", Generation: 3, Backlog: 7, DeadLetters: 2, Held: 12, Oldest: 90 * time.Second}
		change(&r)
		return r
	}
	tests := map[string]struct {
		handler  http.Handler
		endpoint string // default: shop/orders
		want     Report
		wantErr  string
	}{
		"a good receiver": {handler: receiver(nil, nil), want: report(func(*Report) {})},
		"a receiver that can't store": {
			handler: receiver(nil, errors.New("the disk is full")),
			want:    report(func(r *Report) { r.NotReady = "the disk is full" }),
		},
		"a refused configuration": {
			handler: receiver(func(c *admin.Config) { c.Refused = &admin.Refused{Reason: "endpoints[0].path:\n\tmissing"} }, nil),
			want:    report(func(r *Report) { r.Refused = "endpoints[0].path: missing" }),
		},
		"an endpoint that cannot work": {
			handler: receiver(func(c *admin.Config) {
				c.Broken = []admin.Broken{{Endpoint: "shop/other", Reason: "of no interest"}, {Endpoint: "shop/orders", Reason: "target:\nno certificate"}}
			}, nil),
			want: report(func(r *Report) { r.Broken = "target: no certificate" }),
		},
		"an endpoint that cannot work, without a word": {
			handler: receiver(func(c *admin.Config) { c.Broken = []admin.Broken{{Endpoint: "shop/orders"}} }, nil),
			want:    report(func(r *Report) { r.Broken = "it does not say why" }),
		},
		"an endpoint that is gone from the configuration": {
			handler: receiver(nil, nil), endpoint: "shop/gone",
			want: Report{Digest: "abc", Revision: "r-2", Backlog: 5, DeadLetters: 1, Held: 12, Oldest: time.Hour},
		},
		"an endpoint that the receiver has never seen": {
			handler: receiver(nil, nil), endpoint: "shop/other", wantErr: "does not tell the endpoint's backlog",
		},
		"no receiver at all": {handler: http.NotFoundHandler(), wantErr: "answers 404 to /configz"},
		"a redirect": {
			handler: http.RedirectHandler("http://metadata.example.com/", http.StatusFound), wantErr: "answers 302 to /configz",
		},
		"something else at /readyz":   {handler: instead("/readyz", http.StatusInternalServerError, "oops"), wantErr: "answers 500 to /readyz"},
		"not ready without a word":    {handler: instead("/readyz", 503, "\n"), want: report(func(r *Report) { r.NotReady = "it does not say why" })},
		"not ready with a novel":      {handler: instead("/readyz", 503, strings.Repeat("x", 5<<10)), wantErr: "answers /readyz with more than 4 KiB"},
		"something else at /metrics":  {handler: instead("/metrics", http.StatusInternalServerError, "oops"), wantErr: "answers 500 to /metrics"},
		"no metrics":                  {handler: instead("/metrics", 200, ""), wantErr: "does not tell the endpoint's backlog"},
		"a configuration without end": {handler: instead("/configz", 200, strings.Repeat(" ", 1<<20)), wantErr: "answers /configz with more than 256 KiB"},
		"metrics without end":         {handler: instead("/metrics", 200, strings.Repeat("x 1\n", 1<<19)), wantErr: "answers /metrics with more than 1024 KiB"},
		"a configuration that is cut": {handler: instead("/configz", 200, `{"digest": "abc"`), wantErr: "answers /configz with something that is not a configuration"},
		"another JSON":                {handler: instead("/configz", 200, `{}`), wantErr: "answers /configz with something that is not a configuration"},
		"JSON and more":               {handler: instead("/configz", 200, `{"digest":"abc","endpoints":[]} {}`), wantErr: "answers /configz with something that is not a configuration"},
		"an answer that is cut": {
			handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "100")
				fmt.Fprint(w, "{")
			}),
			wantErr: "closes the connection before it has answered /configz",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tt.handler)
			defer server.Close()
			if tt.endpoint == "" {
				tt.endpoint = "shop/orders"
			}
			got, err := clientOf(t, Options{Timeout: time.Minute}, server.Listener.Addr().String()).Ask(t.Context(), "192.0.2.1", tt.endpoint)
			if errText(err) != tt.wantErr {
				t.Errorf("error is %q, want %q", errText(err), tt.wantErr)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

// instead is a good receiver but for one page.
func instead(path string, status int, body string) http.Handler {
	good := receiver(nil, nil)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			good.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestAsk_connection(t *testing.T) {
	dialing := func(err error) Options {
		return Options{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 9090}, Err: err}
		}}
	}
	tests := map[string]struct {
		ip   string
		o    Options
		want string
	}{
		"nobody listens":         {ip: "10.1.2.3", o: dialing(syscall.ECONNREFUSED), want: "connection refused"},
		"no way there":           {ip: "10.1.2.3", o: dialing(syscall.EHOSTUNREACH), want: "no route to host"},
		"the system's timeout":   {ip: "10.1.2.3", o: dialing(syscall.ETIMEDOUT), want: "doesn't answer within 2s"},
		"a pod that starts":      {ip: "", want: "has no address yet"},
		"a name":                 {ip: "metadata.example.com", want: "has no address yet"},
		"an address with a path": {ip: "10.1.2.3/", want: "has no address yet"},
		"an address with a zone": {ip: "fe80::1%eth0", want: "has no address yet"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := clientOf(t, tt.o, "").Ask(t.Context(), tt.ip, "shop/orders"); errText(err) != tt.want {
				t.Errorf("error is %q, want %q", errText(err), tt.want)
			}
		})
	}
}

func TestAsk_address(t *testing.T) {
	for ip, want := range map[string]string{
		"10.1.2.3":        "10.1.2.3:9090",
		"2001:db8::5":     "[2001:db8::5]:9090",
		"::ffff:10.1.2.3": "10.1.2.3:9090",
	} {
		var got string
		c := New(Options{DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
			got = address
			return nil, syscall.ECONNREFUSED
		}})
		if _, err := c.Ask(t.Context(), ip, "shop/orders"); errText(err) != "connection refused" || got != want {
			t.Errorf("%s is dialled as %s with the error %v, want %s", ip, got, err, want)
		}
	}
}

// TestAsk_silence is about a receiver that takes the connection and says nothing.
func TestAsk_silence(t *testing.T) {
	asked := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)

	_, err := clientOf(t, Options{Timeout: 10 * time.Millisecond}, server.Listener.Addr().String()).Ask(t.Context(), "192.0.2.1", "shop/orders")
	if errText(err) != "doesn't answer within 10ms" {
		t.Errorf("error is %v", err)
	}

	select {
	case <-asked: // the first client may have come so far, or not
	default:
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	_, err = clientOf(t, Options{Timeout: time.Minute}, server.Listener.Addr().String()).Ask(ctx, "192.0.2.1", "shop/orders")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want the context's: nothing is known of the receiver", err)
	}
}

func TestAskAll(t *testing.T) {
	var connections atomic.Int64
	var mu sync.Mutex
	underWay, most := 0, 0
	count := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		underWay += n
		most = max(most, underWay)
	}
	all := make(chan struct{}) // closed when as many are asked at once as may be
	var first sync.WaitGroup
	first.Add(parallel)
	go func() {
		first.Wait()
		close(all)
	}()
	var arrived atomic.Int64
	good := receiver(nil, nil)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count(1)
		defer count(-1)
		if arrived.Add(1) <= parallel {
			first.Done()
		}
		<-all
		good.ServeHTTP(w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()

	pods := []Pod{{Name: "starting"}}
	for i := range 5 * parallel {
		pods = append(pods, Pod{Name: fmt.Sprintf("orders-%d", i), IP: fmt.Sprintf("192.0.2.%d", i)})
	}
	answers := clientOf(t, Options{Timeout: time.Minute}, server.Listener.Addr().String()).AskAll(t.Context(), pods, "shop/orders")
	if len(answers) != len(pods) {
		t.Fatalf("%d answers, want %d", len(answers), len(pods))
	}
	for name, a := range answers {
		if wantErr := name == "starting"; (a.Err != nil) != wantErr || (a.Generation == 3) == wantErr {
			t.Errorf("%s: %+v", name, a)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if most != parallel {
		t.Errorf("%d were asked at once, want %d", most, parallel)
	}
	if got := connections.Load(); got != 5*parallel {
		t.Errorf("%d connections for %d pods: the pages of one pod share one", got, 5*parallel)
	}
}
