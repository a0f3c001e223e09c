package delivery

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/delivery/target"
)

// impatient is the timeout of targets that are known to use it up.
const impatient = 150 * time.Millisecond

// badTarget is one row of docs/targets.md.
type badTarget struct {
	bad         func(c net.Conn)
	tls         func(t *testing.T, ca *authority) *tls.Config
	plain       bool // TLS is asked for, and not spoken
	alone       bool // there is one way only
	bodySize    int
	timeout     time.Duration // zero: ten seconds, which is not used up
	wantOutcome string
	wantDetail  string // in the log, of a failure or a dead letter; empty: it is a delivery
	wantDead    bool
}

func badTargets() map[string]badTarget {
	return map[string]badTarget{
		"never answers":           {bad: hang, timeout: impatient, wantOutcome: "timeout", wantDetail: "no answer within 150ms"},
		"accepts and never reads": {bad: never, bodySize: 8 << 20, timeout: impatient, wantOutcome: "timeout", wantDetail: "no answer within 150ms"},
		"a header of a byte now and then": {
			bad: answeringOnAndOn("HTTP/1.1 200 OK\r\nX: ", "x", 10*time.Millisecond), timeout: impatient, wantOutcome: "timeout", wantDetail: "no answer within 150ms",
		},
		"a body of a byte now and then": {
			bad: answeringOnAndOn("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "x", 10*time.Millisecond), wantOutcome: "2xx",
		},
		"an error with a body of a byte now and then": {
			bad:         answeringOnAndOn("HTTP/1.1 500 Oops\r\nContent-Length: 1000\r\n\r\n", "x", 10*time.Millisecond),
			wantOutcome: "5xx", wantDetail: "target answered 500 Internal Server Error",
		},
		"a body without end":          {bad: answeringOnAndOn("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 4096), 0), wantOutcome: "2xx"},
		"interim answers without end": {bad: answeringOnAndOn("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 0), wantOutcome: "not_http", wantDetail: "the answer's header, interim answers (1xx) included, is longer than 64 KiB"},
		"a header without end":        {bad: answeringOnAndOn("HTTP/1.1 200 OK\r\n", "X-Header: "+strings.Repeat("x", 4000)+"\r\n", 0), wantOutcome: "not_http", wantDetail: "is longer than 64 KiB"},
		"a redirect": {
			bad:         answeringWith("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
			wantOutcome: "3xx", wantDetail: "target answered 302 Found: redirects are not followed, give the final address as the target", wantDead: true,
		},
		"another protocol": {
			bad:         answeringWithoutEnd("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"),
			wantOutcome: "odd_status", wantDetail: "target answered 101 Switching Protocols", wantDead: true,
		},
		"a body shorter than it says": {bad: answeringWith("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"), wantOutcome: "2xx"},
		"a body longer than it says":  {bad: answeringWith("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more"), wantOutcome: "2xx"},
		"a length that is no number": {
			bad: answeringWith("HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok"), wantOutcome: "not_http", wantDetail: "what came back is not an HTTP answer",
		},
		"a reset before the answer": {bad: reset(""), wantOutcome: "reset", wantDetail: "the target closed the connection without an answer"},
		"a reset in the header":     {bad: reset("HTTP/1.1 200 OK\r\nX: y\r\n"), wantOutcome: "reset", wantDetail: "the target closed the connection without an answer"},
		"a reset in the body":       {bad: reset("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"), wantOutcome: "2xx"},
		"garbage":                   {bad: answeringWith("220 mail.example.com ESMTP\r\n"), wantOutcome: "not_http", wantDetail: "what came back is not an HTTP answer: does another service listen at the target's port?"},
		"overloaded":                {bad: answeringWith("HTTP/1.1 503 Later\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"), wantOutcome: "5xx", wantDetail: "target answered 503 Service Unavailable"},
		"throttles":                 {bad: answeringWith("HTTP/1.1 429 Slower\r\nContent-Length: 0\r\n\r\n"), wantOutcome: "throttled", wantDetail: "target answered 429 Too Many Requests"},
		"TLS where it is not asked for": {
			alone:       true,
			bad:         func(c net.Conn) { _ = tls.Server(c, &tls.Config{MinVersion: tls.VersionTLS12}).Handshake() },
			wantOutcome: "reset", wantDetail: "the target closed the connection without an answer; if it speaks TLS, write https:// in the target",
		},
		"a certificate that has expired": {
			tls: func(t *testing.T, ca *authority) *tls.Config {
				return ca.issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
			},
			wantOutcome: "tls", wantDetail: "the target's certificate is not accepted: x509: certificate has expired or is not yet valid",
		},
		"a certificate for another name": {
			tls: func(t *testing.T, ca *authority) *tls.Config {
				return ca.issue(t, func(c *x509.Certificate) { c.IPAddresses = nil })
			},
			wantOutcome: "tls", wantDetail: "the target's certificate is not accepted: x509: cannot validate certificate for 127.0.0.1",
		},
		"a certificate of an unknown authority": {
			tls:         func(t *testing.T, _ *authority) *tls.Config { return newAuthority(t, "another").issue(t, nil) },
			wantOutcome: "tls", wantDetail: "certificate signed by unknown authority; name its CA in target.caBundleRef",
		},
		"HTTP/2 that goes away at every request": {tls: trustedHTTP2, bad: overHTTP2(goAway), wantOutcome: "reset", wantDetail: "the target closed 5 connections, one after another, without an answer"},
		"HTTP/2 that asks for calm":              {tls: trustedHTTP2, bad: overHTTP2(calmDown), wantOutcome: "reset", wantDetail: "the target closed the connection without an answer"},
		"HTTP/2 that resets every stream":        {tls: trustedHTTP2, bad: overHTTP2(resetStream), wantOutcome: "reset", wantDetail: "the target closed the connection without an answer"},
		"HTTP/2 that refuses every stream":       {tls: trustedHTTP2, bad: overHTTP2(refuseStream), timeout: impatient, wantOutcome: "timeout", wantDetail: "no answer within 150ms"},
		"HTTP/2 that resets without end":         {tls: trustedHTTP2, bad: overHTTP2(resetAndOn), wantOutcome: "reset", wantDetail: "the target closed the connection without an answer"},
		"HTTP/2 that pings without end":          {tls: trustedHTTP2, bad: overHTTP2(pingAndOn), timeout: impatient, wantOutcome: "timeout", wantDetail: "no answer within 150ms"},
		"a TLS handshake that does not come":     {bad: hang, plain: true, timeout: impatient, wantOutcome: "timeout", wantDetail: "no answer within 150ms"},
		"no TLS where it is asked for":           {bad: notTLS, plain: true, wantOutcome: "tls", wantDetail: "the target does not speak TLS: write http:// or the port that does"},
	}
}

// trusted is a good certificate.
func trusted(t *testing.T, ca *authority) *tls.Config { return ca.issue(t, nil) }

// ways are the ways to a target, which differ in who sends: the receiver itself, or net/http because there is much to send, or because it is
// encrypted.
func ways() map[string]func(tc *badTarget) {
	return map[string]func(tc *badTarget){
		"plain":       func(*badTarget) {},
		"plain, much": func(tc *badTarget) { tc.bodySize = max(tc.bodySize, 32<<10) },
		"TLS":         func(tc *badTarget) { tc.tls = trusted },
	}
}

// notTLS answers a TLS handshake as HTTP servers do.
func notTLS(c net.Conn) {
	_, _ = c.Read(make([]byte, 1024))
	_, _ = io.WriteString(c, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request to an HTTP port.\n")
}

// never reads, for as long as the connection is open.
func never(c net.Conn) {
	for c.SetDeadline(time.Time{}) == nil {
		<-time.After(10 * time.Millisecond)
	}
}

// reset returns a handler that reads a request, writes this and resets the connection.
func reset(text string) func(c net.Conn) {
	return func(c net.Conn) {
		if !readRequest(c) {
			return
		}
		_, _ = io.WriteString(c, text)
		if over, ok := c.(*tls.Conn); ok {
			c = over.NetConn()
		}
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
	}
}

func TestBadTargets(t *testing.T) {
	for name, tc := range badTargets() {
		for way, change := range ways() {
			over := tc
			switch {
			case tc.tls == nil && !tc.plain && !tc.alone:
				change(&over)
			case way != "plain":
				continue
			}
			t.Run(name+"/"+way, func(t *testing.T) { testBadTarget(t, over) })
		}
	}
}

func testBadTarget(t *testing.T, tc badTarget) {
	t.Helper()
	ca := newAuthority(t, "ours")
	cfg := config.Target{Type: config.TargetHTTP, URL: "http://", Timeout: config.Duration(tc.timeout)}
	secrets := config.Secrets{"ca": ca.bundle()}
	var bad *tls.Config
	if tc.tls != nil || tc.plain {
		cfg.URL, cfg.CABundleFile = "https://", "ca"
	}
	if tc.tls != nil {
		bad = tc.tls(t, ca)
	}
	s := startBadServer(t, tc.bad, bad)
	cfg.URL += s.listener.Addr().String()
	h, err := target.NewHTTP(cfg, secrets, target.HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	first, second := sampleEvent("a", 1), sampleEvent("b", 1)
	if tc.bodySize > 0 {
		first.Body = make([]byte, tc.bodySize)
	}
	q := newMemoryQueue(first)
	m, logs := NewMetrics(nil), newLogRecorder()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	// One worker: if it does not come free, nothing else is delivered.
	d := run(t, Options{Queue: q, Target: h, Metrics: m, Log: logs.logger(), Policy: Policy{MaxInFlight: 1, InitialInterval: time.Millisecond, MaxInterval: 20 * time.Millisecond}})
	defer func() {
		if t.Failed() {
			t.Log(logs.text())
		}
	}()
	eventually(t, "the attempt ends as "+tc.wantOutcome, func() bool {
		return testutil.ToFloat64(m.attempts.WithLabelValues("shop/im", tc.wantOutcome)) > 0
	})
	if cfg.CABundleFile != "" {
		s.tls.Store(ca.issue(t, nil))
	}
	s.well.Store(true)
	s.dropConnections()
	q.add(second)
	eventually(t, "all else is delivered", func() bool { return q.finished() == 2 })
	runtime.ReadMemStats(&after)
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 16<<20+uint64(tc.bodySize) {
		t.Errorf("%d MiB were allocated for it", spent>>20)
	}
	checkEnd(t, tc, q, logs)
	d.stop()
	<-d.stopped
	h.Close()
	eventually(t, "no connection is left", func() bool { return s.open() == 0 })
	s.close()
	eventually(t, "no goroutine is left", func() bool { return clientGoroutines() == 0 })
}

// checkEnd checks what became of the two events, and what was told.
func checkEnd(t *testing.T, tc badTarget, q *memoryQueue, logs *logRecorder) {
	t.Helper()
	end := "delivered a1"
	if tc.wantDead {
		end = "dead a1"
	}
	got := strings.Join(q.history(), ", ")
	if !strings.Contains(got, end) || !strings.Contains(got, "delivered b1") || strings.Contains(got, "retry a1") == (tc.wantDetail == "" || tc.wantDead) {
		t.Errorf("got %s", got)
	}
	for _, line := range logs.lines(t) {
		said, _ := line["detail"].(string)
		if tc.wantDead {
			said, _ = line["reason"].(string)
		}
		if tc.wantDetail != "" && strings.Contains(said, tc.wantDetail) {
			return
		}
	}
	if tc.wantDetail != "" {
		t.Errorf("%q is not in the log:\n%s", tc.wantDetail, logs.text())
	}
}

// A target without a listener, then with one.
func TestBadTargets_refused(t *testing.T) {
	s := startBadServer(t, nil, nil)
	address := s.listener.Addr().String()
	s.close()
	h, err := target.NewHTTP(config.Target{Type: config.TargetHTTP, URL: "http://" + address}, nil, target.HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	q, m := newMemoryQueue(sampleEvent("a", 1)), NewMetrics(nil)
	run(t, Options{Queue: q, Target: h, Metrics: m, Policy: Policy{InitialInterval: time.Millisecond, MaxInterval: 10 * time.Millisecond}})
	eventually(t, "it is refused", func() bool {
		return testutil.ToFloat64(m.attempts.WithLabelValues("shop/im", target.OutcomeRefused)) > 0
	})
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("the port was taken meanwhile: %v", err)
	}
	back := &badServer{listener: l, conns: map[net.Conn]struct{}{}}
	back.done.Go(back.accept)
	defer back.close()
	eventually(t, "it is delivered", func() bool { return q.finished() == 1 })
}
