package delivery

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/delivery/target"
)

// nameServer answers every question for an IPv4 address with the same one, or says that there is no such name.
type nameServer struct {
	conn    net.PacketConn
	address atomic.Pointer[[4]byte] // nil: no such name
	done    sync.WaitGroup
}

func startNameServer(t *testing.T) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{conn: conn}
	s.done.Go(s.serve)
	t.Cleanup(func() {
		_ = conn.Close()
		s.done.Wait()
	})
	return s
}

func (s *nameServer) serve() {
	packet := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(packet)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(packet[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		m.Response, m.Authoritative, m.Additionals = true, true, nil
		address := s.address.Load()
		switch {
		case address == nil:
			m.RCode = dnsmessage.RCodeNameError
		case m.Questions[0].Type == dnsmessage.TypeA:
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
				Body:   &dnsmessage.AResource{A: *address},
			}}
		}
		if answer, err := m.Pack(); err == nil {
			_, _ = s.conn.WriteTo(answer, from)
		}
	}
}

func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

// A name that is gone is tried again until it is back; connections that are kept outlive it, but not for long; and when it leads elsewhere,
// deliveries do too, even though the old address still answers.
func TestBadTargets_nameMoves(t *testing.T) {
	dns := startNameServer(t)
	oldPlace := startBadServer(t, nil, nil)
	_, port, _ := net.SplitHostPort(oldPlace.listener.Addr().String())
	l, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Skipf("there is no second address: %v", err)
	}
	newPlace := &badServer{listener: l, conns: map[net.Conn]struct{}{}}
	newPlace.done.Go(newPlace.accept)
	t.Cleanup(newPlace.close)

	var passed atomic.Int64
	h, err := target.NewHTTP(config.Target{Type: config.TargetHTTP, URL: "http://target.example.com.:" + port}, nil, target.HTTPOptions{
		Resolver: dns.resolver(), Now: func() time.Time { return time.Unix(1_700_000_000+passed.Load(), 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	q, m := newMemoryQueue(sampleEvent("a", 1)), NewMetrics(nil)
	run(t, Options{Queue: q, Target: h, Metrics: m, Policy: Policy{MaxInFlight: 1, InitialInterval: time.Millisecond, MaxInterval: 5 * time.Millisecond}})
	failedByName := func() float64 { return testutil.ToFloat64(m.attempts.WithLabelValues("shop/im", target.OutcomeDNS)) }

	eventually(t, "there is no such name", func() bool { return failedByName() > 0 })
	dns.address.Store(&[4]byte{127, 0, 0, 1})
	eventually(t, "the name is there", func() bool { return q.finished() == 1 })

	dns.address.Store(nil)
	failures := failedByName()
	q.add(sampleEvent("b", 1))
	eventually(t, "a connection that is kept does without the name", func() bool { return q.finished() == 2 })
	if failedByName() != failures {
		t.Error("the name was looked up for a connection that was kept")
	}

	passed.Add(61)
	q.add(sampleEvent("c", 1))
	eventually(t, "after a minute the name is needed again", func() bool { return failedByName() > failures })
	dns.address.Store(&[4]byte{127, 0, 0, 1})
	eventually(t, "the name is back", func() bool { return q.finished() == 3 })

	dns.address.Store(&[4]byte{127, 0, 0, 2})
	passed.Add(61)
	q.add(sampleEvent("d", 1))
	eventually(t, "it is delivered to the new address", func() bool { return q.finished() == 4 })
	eventually(t, "all connections are to the new address", func() bool { return oldPlace.open() == 0 && newPlace.open() == 1 })
}

// A target with a certificate of another authority is not delivered to until the bundle is changed, live.
func TestBadTargets_certificateChanges(t *testing.T) {
	before, after := newAuthority(t, "before"), newAuthority(t, "after")
	s := startBadServer(t, nil, before.issue(t, nil))
	newTarget := func(bundle string) *target.HTTP {
		h, err := target.NewHTTP(config.Target{Type: config.TargetHTTP, URL: "https://" + s.listener.Addr().String(), CABundleFile: "ca"},
			config.Secrets{"ca": bundle}, target.HTTPOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.Close)
		return h
	}
	q, m := newMemoryQueue(sampleEvent("a", 1)), NewMetrics(nil)
	policy := Policy{InitialInterval: time.Millisecond, MaxInterval: 5 * time.Millisecond}
	first := run(t, Options{Queue: q, Target: newTarget(before.bundle()), Metrics: m, Policy: policy})
	eventually(t, "the first certificate is good", func() bool { return q.finished() == 1 })

	s.tls.Store(after.issue(t, nil))
	s.dropConnections()
	q.add(sampleEvent("b", 1))
	eventually(t, "the second is not", func() bool {
		return testutil.ToFloat64(m.attempts.WithLabelValues("shop/im", target.OutcomeTLS)) > 0
	})
	first.stop()
	<-first.stopped
	run(t, Options{Queue: q, Target: newTarget(before.bundle() + after.bundle()), Metrics: m, Policy: policy})
	eventually(t, "with the new bundle it is", func() bool { return q.finished() == 2 })
}
