package app

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
)

// natsServer runs with JetStream until the test ends, or its stop is called. What it stores is there when it is started again.
type natsServer struct {
	t       *testing.T
	options natsserver.Options
	server  *natsserver.Server
}

func newNATS(t *testing.T) *natsServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &natsServer{t: t, options: natsserver.Options{
		Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(),
	}}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

func (s *natsServer) start() *natsServer {
	s.t.Helper()
	o := s.options
	made, err := natsserver.NewServer(&o)
	if err != nil {
		s.t.Fatal(err)
	}
	made.Start()
	if !made.ReadyForConnections(30 * time.Second) {
		s.t.Fatal("the server does not start")
	}
	s.server = made
	return s
}

func (s *natsServer) stop() {
	if s.server != nil {
		s.server.Shutdown()
		s.server.WaitForShutdown()
		s.server = nil
	}
}

func (s *natsServer) url() string { return "nats://127.0.0.1:" + strconv.Itoa(s.options.Port) }

// inStream keeps the endpoint's events in a stream of the server, changed by change.
func (s *natsServer) inStream(change ...func(*config.JetStream)) func(*config.Endpoint) {
	return func(e *config.Endpoint) {
		j := &config.JetStream{NATS: config.NATS{URLs: []string{s.url()}}, Replicas: 1}
		for _, f := range change {
			f(j)
		}
		e.Buffer = config.Buffer{Type: config.BufferJetStream, JetStream: j}
	}
}

func password(j *config.JetStream) { j.UserFile, j.PasswordFile = "user", "password" }

// login gives the endpoints' connections a password, beside the other secrets.
func (f *fixture) login(password string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshot.Secrets = config.Secrets{"secret": "hunter2", "user": "shop", "password": password}
}

// different counts the events that were delivered to any target, each once: what is under way when a receiver loses its part of a stream is delivered again.
func (f *fixture) different() int {
	all := make(map[event.ID]bool)
	for _, tg := range f.allTargets() {
		tg.mu.Lock()
		for id := range tg.got {
			all[id] = true
		}
		tg.mu.Unlock()
	}
	return len(all)
}

// runAway runs a receiver that may not get ready.
func (f *fixture) runAway() {
	f.t.Helper()
	f.mu.Lock()
	real := f.snapshot
	f.snapshot.Config.Endpoints = []config.Endpoint{lazada("z", unbuffered)} // an endpoint that is ready at once
	f.snapshot.Config.Endpoints = append(f.snapshot.Config.Endpoints, real.Config.Endpoints...)
	f.mu.Unlock()
	f.run(nil)
	f.mu.Lock()
	f.snapshot = real
	f.mu.Unlock()
	c := real.Config
	f.eventually("the endpoints are alone", func() bool { return f.configz().Digest == c.Digest() })
}

func (f *fixture) readyz(want string) {
	f.t.Helper()
	f.eventually("/readyz says "+want, func() bool { return strings.Contains(f.get("/readyz"), want) })
}

func TestStream_storesAndDelivers(t *testing.T) {
	s := newNATS(t).start()
	f := &fixture{t: t, dir: filepath.Join(t.TempDir(), "data")}
	f.configure(lazada("a", s.inStream()))
	f.run(nil)
	f.mustSend("/shop/a", 0, 0)
	f.mustSend("/shop/a", 1, 0)
	f.mustSend("/shop/a", 1, 0) // the platform repeats
	f.eventually("both events are delivered", func() bool { return f.delivered("http://a.example.com/") == 2 })
	f.eventually("they are settled", func() bool { return strings.Contains(f.get("/metrics"), `hookbay_backlog_events{endpoint="shop/a"} 0`) })
	f.wantMetrics(`hookbay_callbacks_total{endpoint="shop/a",outcome="stored"} 2`, `hookbay_callbacks_total{endpoint="shop/a",outcome="duplicate"} 1`,
		`hookbay_buffer_ready{endpoint="shop/a",engine="JetStream"} 1`)
	if b := f.configz().Endpoints[0].Buffer; b == nil || b.Engine != "JetStream" || !b.Ready {
		t.Errorf("/configz shows the buffer %+v", b)
	}
	if err := f.end(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(f.dir); !os.IsNotExist(err) {
		t.Errorf("the data directory was touched: %v", err)
	}
	f.eventually("the connection is closed", func() bool { return s.server.NumClients() == 0 })
}

// What is stored and not delivered is delivered by the next receiver.
func TestStream_outlivesTheReceiver(t *testing.T) {
	s := newNATS(t).start()
	f := start(t, lazada("a", s.inStream(), suspended))
	f.mustSend("/shop/a", 0, 0)
	if err := f.end(); err != nil {
		t.Error(err)
	}
	next := start(t, lazada("a", s.inStream()))
	next.eventually("the event is delivered", func() bool { return next.delivered("http://a.example.com/") == 1 })
}

func TestStream_serversThatAreAway(t *testing.T) {
	s := newNATS(t)
	f := &fixture{t: t, dir: t.TempDir()}
	f.configure(lazada("a", s.inStream()))
	f.runAway()
	f.readyz("no connection to NATS at 127.0.0.1:" + strconv.Itoa(s.options.Port) + ": connection refused: nobody listens")
	if status, _, body := f.push(lazada("a"), nil, nil); status != http.StatusServiceUnavailable {
		t.Errorf("answered %d %s, want 503", status, body)
	}
	f.wantMetrics(`hookbay_buffer_ready{endpoint="shop/a",engine="JetStream"} 0`,
		`hookbay_buffer_unready{endpoint="shop/a",engine="JetStream",reason="refused"} 1`)
	if b := f.configz().Endpoints[0].Buffer; b == nil || b.Ready || !strings.Contains(b.Reason, "connection refused") {
		t.Errorf("/configz shows the buffer %+v", b)
	}

	for n := range 2 {
		s.start()
		f.readyz("ok")
		f.mustSend("/shop/a", n, n)
		f.eventually("the event is delivered", func() bool { return f.delivered("http://a.example.com/") == n+1 })
		s.stop()
		f.readyz("no connection to NATS")
	}
	if err := f.end(); err != nil { // it stops in order although there is nobody to tell
		t.Error(err)
	}
}

// One endpoint whose servers are away keeps no callbacks from the others.
func TestStream_besideOthers(t *testing.T) {
	away, s := newNATS(t), newNATS(t).start()
	f := start(t, lazada("away", away.inStream()), lazada("stream", s.inStream()), lazada("disk"), lazada("direct", unbuffered))
	f.wantStatus("/shop/away", http.StatusServiceUnavailable, 0)
	for _, name := range []string{"stream", "disk", "direct"} {
		f.eventually(name+" is delivered", func() bool {
			return f.send("/shop/"+name, "hunter2", 0, 0) == http.StatusOK && f.delivered("http://"+name) == 1
		})
	}
	f.readyz("ok")
	f.wantMetrics(`hookbay_buffer_ready{endpoint="shop/away",engine="JetStream"} 0`, `hookbay_buffer_ready{endpoint="shop/stream",engine="JetStream"} 1`,
		`hookbay_buffer_ready{endpoint="shop/disk",engine="Disk"} 1`)
	if strings.Contains(f.get("/metrics"), `hookbay_buffer_ready{endpoint="shop/direct"`) {
		t.Error("/metrics tells of a buffer that there is not")
	}
	away.start()
	f.eventually("the first one heals", func() bool { return f.send("/shop/away", "hunter2", 0, 0) == http.StatusOK })
	f.eventually("its event is delivered", func() bool { return f.delivered("http://away") == 1 })
}

// A credential is taken without the connection being given up, and is there when it is needed.
func TestStream_rotatedCredential(t *testing.T) {
	s := newNATS(t)
	s.options.Username, s.options.Password = "shop", "first"
	s.start()
	f := &fixture{t: t, dir: t.TempDir()}
	f.configure(lazada("a", s.inStream(password), to("http://blocked/")))
	f.login("first")
	f.run(nil)
	f.mustSend("/shop/a", 0, 0)
	before := s.server.NumClients()
	f.login("hunter4")
	f.polls()
	f.mustSend("/shop/a", 1, 1)
	if n := s.server.NumClients(); n != before {
		t.Errorf("the server has %d connections, want the %d as before", n, before)
	}
	s.stop()
	s.options.Password = "hunter4"
	s.start()
	f.readyz("ok")
	f.mustSend("/shop/a", 2, 2)
	for _, tg := range f.allTargets() {
		tg.open()
	}
	f.eventually("all is delivered", func() bool { return f.different() == 3 })
	if strings.Contains(f.log.String()+f.get("/metrics")+f.get("/configz"), "hunter4") {
		t.Error("a credential is shown")
	}
}

// An endpoint whose credential is missing or none is refused with 503, and heals.
func TestStream_brokenCredential(t *testing.T) {
	s := newNATS(t)
	s.options.Username, s.options.Password = "shop", "first"
	s.start()
	f := &fixture{t: t, dir: t.TempDir()}
	f.configure(lazada("a", s.inStream(password)), lazada("b", unbuffered))
	f.unreadable("password", `secret file "password" is missing`)
	f.run(nil)
	f.wantStatus("/shop/a", http.StatusServiceUnavailable, 0)
	if broken := f.configz().Broken; len(broken) != 1 || !strings.Contains(broken[0].Reason, `buffer.jetStream.passwordFile: secret file "password" is missing`) {
		t.Errorf("/configz shows as broken %v", broken)
	}
	f.mu.Lock()
	f.snapshot.Unreadable = nil
	f.mu.Unlock()
	f.login("wrong")
	f.eventually("the login is refused", func() bool {
		b := f.configz().Endpoints[0].Buffer
		return b != nil && strings.Contains(b.Reason, "the server refuses the login")
	})
	f.wantMetrics(`hookbay_buffer_unready{endpoint="shop/a",engine="JetStream",reason="auth"} 1`)
	f.wantStatus("/shop/a", http.StatusServiceUnavailable, 1)
	f.login("first")
	f.eventually("it works", func() bool { return f.send("/shop/a", "hunter2", 2, 2) == http.StatusOK })
	f.eventually("its event is delivered", func() bool { return f.delivered("http://a.example.com/") == 1 })
}

// Another address, or another setting of the stream, is taken while callbacks come, and nothing is lost.
func TestStream_opensAnew(t *testing.T) {
	s := newNATS(t).start()
	f := start(t, lazada("a", s.inStream(), to("http://blocked/1")))
	const each = 20
	sent := 0
	send := func() {
		for range each {
			f.mustSend("/shop/a", sent, sent)
			sent++
		}
	}
	send()
	byName := func(j *config.JetStream) { j.URLs = []string{"nats://localhost:" + strconv.Itoa(s.options.Port)} }
	f.reconfigure(lazada("a", s.inStream(byName), to("http://blocked/2"), generation))
	send()
	f.reconfigure(lazada("a", s.inStream(byName, func(j *config.JetStream) { j.MaxAge = config.Duration(time.Hour) }), to("http://b/"), generation))
	send()
	for _, tg := range f.allTargets() {
		tg.open()
	}
	f.eventually("all is delivered", func() bool { return f.different() == sent })
	f.eventually("one connection is left", func() bool { return s.server.NumClients() == 1 })
	f.eventually("nothing waits", func() bool { return strings.Contains(f.get("/metrics"), `hookbay_backlog_events{endpoint="shop/a"} 0`) })
	if err := f.end(); err != nil {
		t.Error(err)
	}
	if open := f.open(); open != 0 {
		t.Errorf("%d targets are open, want none", open)
	}
}

func TestStream_endpointsComeAndGo(t *testing.T) {
	s := newNATS(t).start()
	f := start(t, lazada("a", unbuffered))
	f.reconfigure(lazada("a", unbuffered), lazada("b", s.inStream()))
	f.eventually("b takes callbacks", func() bool { return f.send("/shop/b", "hunter2", 0, 0) == http.StatusOK })
	f.eventually("its event is delivered", func() bool { return f.delivered("http://b") == 1 })
	f.reconfigure(lazada("a", unbuffered))
	f.eventually("nothing waits", func() bool { return strings.Contains(f.get("/metrics"), `hookbay_backlog_events{endpoint="shop/b"} 0`) })
	f.ahead.Add(int64(linger))
	f.eventually("its connection is closed", func() bool { return s.server.NumClients() == 0 && !slices.Contains(f.configz().Leaving, "shop/b") })
	f.reconfigure(lazada("a", unbuffered), lazada("b", s.inStream()))
	f.eventually("it takes callbacks again", func() bool { return f.send("/shop/b", "hunter2", 1, 0) == http.StatusOK })
	f.eventually("the next is delivered", func() bool { return f.delivered("http://b") == 2 })
}

func TestStream_refusesAnotherType(t *testing.T) {
	s := newNATS(t).start()
	f := start(t, lazada("a", s.inStream()), lazada("b"))
	for _, tt := range []struct {
		want      string
		endpoints []config.Endpoint
	}{
		{"buffer.type of shop/a changed from JetStream to Disk: restart the receiver", []config.Endpoint{lazada("a"), lazada("b")}},
		{"buffer.type of shop/a changed from JetStream to None: restart the receiver", []config.Endpoint{lazada("a", unbuffered), lazada("b")}},
		{"buffer.type of shop/b changed from Disk to JetStream: restart the receiver", []config.Endpoint{lazada("a", s.inStream()), lazada("b", s.inStream())}},
	} {
		f.configure(tt.endpoints...)
		f.eventually("it is refused: "+tt.want, func() bool {
			refused := f.configz().Refused
			return refused != nil && refused.Reason == tt.want
		})
	}
	f.mustSend("/shop/a", 0, 0)
}

// A configuration that is refused leaves no connection behind.
func TestStream_discardsWhatIsNotUsed(t *testing.T) {
	s := newNATS(t).start()
	f := start(t, lazada("a", unbuffered))
	f.configure(lazada("a", unbuffered), lazada("b", s.inStream()), lazada("c", to("http://impossible/"), s.inStream()))
	f.eventually("it is refused", func() bool { return f.configz().Refused != nil })
	f.configure(lazada("a", unbuffered))
	f.eventually("it is the live one again", func() bool { return f.configz().Refused == nil })
	f.eventually("no connection is left", func() bool {
		f.app.buffers.streams.mu.Lock()
		defer f.app.buffers.streams.mu.Unlock()
		return len(f.app.buffers.streams.open) == 0 && s.server.NumClients() == 0
	})
}
