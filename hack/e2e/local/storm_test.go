package local

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hookbay/hookbay/hack/e2e/platform"
	"github.com/hookbay/hookbay/hack/nats"
	"github.com/hookbay/hookbay/receiver/config"
)

var (
	stormFlag         = flag.Duration("e2e.storm", 30*time.Second, "how long the storm on receivers and NATS servers lasts, at least; every fault comes once")
	stormRateFlag     = flag.Int("e2e.storm-rate", 200, "callbacks a second in the storm")
	stormSubjectsFlag = flag.Int("e2e.storm-subjects", 400, "subjects that they belong to")
	stormHoldFlag     = flag.Duration("e2e.storm-hold", 4*time.Second, "how long each fault of the storm lasts")
)

// TestJetStreamStorm: three receivers share a stream of three NATS servers, R3. While callbacks pour in, each receiver and each server is killed with SIGKILL in turn and started again,
// and the stream's leader is cut off from the others and from all clients. Every callback that was acknowledged must be delivered, each subject's in order; what is delivered again
// must be explained by a receiver's end or by a partition that moved; and nothing may be stored twice, however often the platform sent it.
func TestJetStreamStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	cluster := startNATS(t, nats.Options{Partitionable: true})
	s := newStorm(t, func(who, target string) config.Endpoint {
		e := lazadaEndpoint(config.Target{Type: config.TargetHTTP, URL: target + "/" + who})
		e.Buffer = config.Buffer{Type: config.BufferJetStream, JetStream: &config.JetStream{NATS: config.NATS{URLs: cluster.URLs()}}}
		return e
	})
	s.fleet.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	watched := s.fleet.watch(ctx)
	sent := s.send(ctx)
	js := jetStream(t, cluster)

	for began := time.Now(); ; {
		s.round(t, cluster, js)
		if time.Since(began) >= *stormFlag {
			break
		}
	}
	s.tell(t, "the storm is over")
	cancel()
	watched()
	sent()
	s.drain(t)
	s.judge(t, js)
}

// storm is a load on a fleet, and the books of it.
type storm struct {
	fleet  *fleet
	ledger *ledger
	client *http.Client

	refused, broken, late atomic.Int64
	longest               atomic.Int64 // nanoseconds between two acknowledgements, at most
}

func newStorm(t *testing.T, endpoint func(who, target string) config.Endpoint) *storm {
	t.Helper()
	s := &storm{ledger: newLedger(*stormSubjectsFlag)}
	s.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: *stormSubjectsFlag}}
	target := httptest.NewServer(http.HandlerFunc(s.take))
	t.Cleanup(target.Close)
	s.fleet = newFleet(t, receiverProgram(t), 3, func(who string) config.Endpoint { return endpoint(who, target.URL) })
	return s
}

// take is the target: it takes everything, and books through whom it came.
func (s *storm) take(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the receiver was killed while it sent: no attempt was made
	}
	var marked struct{ Mark string }
	var c callback
	_ = json.Unmarshal(body, &marked) // what has no mark was sent by nobody, which the ledger says
	if _, err := fmt.Sscanf(marked.Mark, "%d/%d", &c.subject, &c.n); err != nil {
		c = callback{-1, -1}
	}
	s.ledger.arrive(c.subject, c.n, path.Base(r.URL.Path))
}

// maxBehind is how far a subject's callbacks catch up with their times after they were held up.
const maxBehind = 20 * time.Second

// send sends callbacks at the rate until ctx ends. What it returns waits for the last to be acknowledged.
func (s *storm) send(ctx context.Context) (wait func()) {
	interval := time.Second * time.Duration(*stormSubjectsFlag) / time.Duration(*stormRateFlag) // of one subject
	begin := time.Now()
	var last atomic.Int64
	last.Store(begin.UnixNano())
	var group sync.WaitGroup
	for subject := range *stormSubjectsFlag {
		group.Go(func() {
			next := begin.Add(interval * time.Duration(subject) / time.Duration(*stormSubjectsFlag))
			for n := 0; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Until(next)):
				}
				// The last one too: what was sent may be stored, and is sent until it is acknowledged.
				s.insist(context.WithoutCancel(ctx), callback{subject, n})
				s.ledger.acknowledge(subject, n)
				now := time.Now().UnixNano()
				quiet := now - last.Swap(now)
				for old := s.longest.Load(); quiet > old && !s.longest.CompareAndSwap(old, quiet); old = s.longest.Load() {
				}
				if next = next.Add(interval); time.Since(next) > maxBehind {
					next = time.Now() // no flood when a machine that stood still goes on
				}
			}
		})
	}
	return group.Wait
}

// insist sends a callback to one receiver after the other until it is acknowledged, as a platform does, only sooner.
func (s *storm) insist(ctx context.Context, c callback) {
	for {
		began := time.Now()
		status, err := s.once(ctx, s.fleet.pick().listen, c)
		took := time.Since(began)
		switch {
		case err == nil && status == http.StatusOK:
			if took > platform.LazadaLimit {
				s.late.Add(1)
			}
			return
		case err == nil:
			s.refused.Add(1)
		default:
			s.broken.Add(1)
		}
		<-time.After(100*time.Millisecond + rand.N(200*time.Millisecond))
	}
}

var errOther = errors.New("answered neither 200 in the right words nor 503")

func (s *storm) once(ctx context.Context, address string, c callback) (int, error) {
	body := platform.LazadaMessage(platform.Message{Conversation: c.subject, N: c.n, Mark: c.String(), Padding: 600})
	r, err := lazadaRequest(ctx, "http://"+address, lazadaSecret, body)
	if err != nil {
		return 0, err
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end, or broken
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusServiceUnavailable && (resp.StatusCode != http.StatusOK || string(answer) != platform.LazadaOK) {
		s.ledger.mu.Lock()
		s.ledger.object("%s is answered %d %q", c, resp.StatusCode, answer)
		s.ledger.mu.Unlock()
		return 0, errOther
	}
	return resp.StatusCode, nil
}

// round is every fault once: each receiver and each server dies, and the stream's leader is cut off.
func (s *storm) round(t *testing.T, cluster *nats.Cluster, js jetstream.JetStream) {
	t.Helper()
	for i, r := range s.fleet.replicas {
		s.tell(t, r.name+" is killed")
		r.ready.Store(false)
		s.ledger.dead(r.who())
		r.kill(t)
		s.hold(t)
		r.start(t)
		r.await(t)
		s.recover(t)

		n := cluster.Nodes[i%len(cluster.Nodes)]
		s.tell(t, n.Name+" is killed")
		if err := n.Kill(); err != nil {
			t.Fatal(err)
		}
		s.hold(t)
		if err := n.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.recover(t)
	}
	n := leaderOf(t, cluster, js)
	s.tell(t, n.Name+", the stream's leader, is cut off")
	if err := n.Cut(); err != nil {
		t.Fatal(err)
	}
	s.hold(t)
	s.hold(t)
	n.Heal()
	s.tell(t, n.Name+" is back")
	if err := cluster.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.recover(t)
	s.hold(t)
}

// drain waits until all that was acknowledged is delivered, or nothing is any longer.
func (s *storm) drain(t *testing.T) {
	t.Helper()
	acknowledged, _, _ := s.ledger.counts()
	last, since := -1, time.Now()
	for time.Since(since) < patience {
		n := s.ledger.settled()
		if n == acknowledged {
			s.tell(t, "all is delivered")
			return
		}
		if n != last {
			last, since = n, time.Now()
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("the test was ended")
		}
	}
	s.tell(t, fmt.Sprintf("only %d are delivered", last))
}

// hold lets a fault last, and tells how long nothing was acknowledged after it began.
func (s *storm) hold(t *testing.T) {
	t.Helper()
	before, _, _ := s.ledger.counts()
	began, again := time.Now(), time.Duration(0)
	for time.Since(began) < *stormHoldFlag {
		// What was under way may be answered yet: only the answers of many mean that it goes on.
		if n, _, _ := s.ledger.counts(); again == 0 && n >= before+goesOn {
			again = time.Since(began)
		}
		pause(t)
	}
	if again == 0 {
		t.Logf("  no more than a few callbacks were acknowledged in these %v", *stormHoldFlag)
		return
	}
	t.Logf("  %d callbacks were acknowledged in the first %v", goesOn, again.Round(time.Millisecond))
}

// goesOn is how many callbacks are acknowledged when it goes on.
const goesOn = 50

// recover waits until callbacks are acknowledged, so that faults come one after another.
func (s *storm) recover(t *testing.T) {
	t.Helper()
	before, _, _ := s.ledger.counts()
	began := time.Now()
	waitProgress(t, "callbacks are acknowledged", before+goesOn, func() int {
		n, _, _ := s.ledger.counts()
		return n
	})
	if took := time.Since(began); took > time.Second {
		t.Logf("  %d callbacks were acknowledged only %v after that was over", goesOn, took.Round(time.Millisecond))
	}
}

// tell logs how far it is.
func (s *storm) tell(t *testing.T, what string) {
	t.Helper()
	acknowledged, arrived, repeats := s.ledger.counts()
	t.Logf("%v: %d acknowledged, %d delivered, %d again; %d refused, %d broken, %d late: %s", time.Since(s.ledger.began).Round(100*time.Millisecond),
		acknowledged, arrived, repeats, s.refused.Load(), s.broken.Load(), s.late.Load(), what)
}

// judge holds what happened against the promises.
func (s *storm) judge(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	for _, problem := range s.ledger.verdict() {
		t.Error(problem)
	}
	acknowledged, _, repeats := s.ledger.counts()
	t.Logf("of %d callbacks, %d deliveries were repeated (%.2f %%); the longest time without an acknowledgement was %v", acknowledged, repeats,
		100*float64(repeats)/float64(max(acknowledged, 1)), time.Duration(s.longest.Load()).Round(time.Millisecond))
	for cause, n := range s.ledger.causes {
		t.Logf("%d again: %s", n, cause)
	}
	name := streamName(t, js)
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter("hookbay.*.*.e.>"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("stream %s: %d messages of events, %d bytes with all else", name, len(info.State.Subjects), info.State.Bytes)
	if got := len(info.State.Subjects); got != acknowledged {
		t.Errorf("%d events are stored, want %d: one for each callback, however often it was sent", got, acknowledged)
	}
}

// startNATS starts servers for a test.
func startNATS(t *testing.T, o nats.Options) *nats.Cluster {
	t.Helper()
	o.Dir = t.TempDir()
	c, err := nats.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// jetStream is a connection of the test's own.
func jetStream(t *testing.T, c *nats.Cluster) jetstream.JetStream {
	t.Helper()
	o := client.GetDefaultOptions()
	o.Servers, o.MaxReconnect, o.PingInterval, o.ReconnectWait = c.URLs(), -1, time.Second, 100*time.Millisecond
	conn, err := o.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// streamName is the name of the only stream.
func streamName(t *testing.T, js jetstream.JetStream) string {
	t.Helper()
	var names []string
	waitFor(t, "there is a stream", func() error {
		list := js.StreamNames(t.Context())
		names = nil
		for name := range list.Name() {
			names = append(names, name)
		}
		if list.Err() == nil && len(names) != 1 {
			return fmt.Errorf("there are %q", names)
		}
		return list.Err()
	})
	return names[0]
}

// leaderOf is the server that leads the only stream.
func leaderOf(t *testing.T, c *nats.Cluster, js jetstream.JetStream) *nats.Node {
	t.Helper()
	var found *nats.Node
	waitFor(t, "the stream has a leader", func() error {
		stream, err := js.Stream(t.Context(), streamName(t, js))
		if err != nil {
			return err
		}
		leader := stream.CachedInfo().Cluster.Leader
		if i := slices.IndexFunc(c.Nodes, func(n *nats.Node) bool { return n.Name == leader }); i >= 0 {
			found = c.Nodes[i]
			return nil
		}
		return fmt.Errorf("it is %q", leader)
	})
	return found
}
