package target

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// An event that has the server close the connection for good must not keep those after it from being delivered, and what fails with it is a failure of the target,
// not an attempt that the receiver's stop ended: nobody would hear of it.
func TestJetStream_connectionEndsAndIsMadeAnew(t *testing.T) {
	s := natsServer(t, func(o *server.Options) { o.MaxControlLine = 1024 })
	stream(t, s, nil)
	j := newJetStream(t, natsURL(s), nil)
	fine, poison := sampleEvent(), sampleEvent()
	poison.Subject = strings.Repeat("é", 250)
	delivered(t, j.Send(t.Context(), fine, 1))
	for n := range 3 {
		if r := j.Send(t.Context(), poison, n+1); r.Class != Retryable || r.Outcome != OutcomeNetwork {
			t.Errorf("got %+v for what ends the connection, want a failure of the network", r)
		}
		for end := time.Now().Add(time.Duration(longEnough)); ; {
			r := j.Send(t.Context(), fine, n+2)
			if r.Class == Delivered {
				break
			}
			if r.Class != Retryable || r.Outcome != OutcomeNetwork {
				t.Errorf("got %+v while there is no connection, want a failure of the network", r)
			}
			if time.Now().After(end) {
				t.Fatalf("nothing is delivered any more: %+v", r)
			}
			select {
			case <-t.Context().Done():
				t.Fatal("the test ends")
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

// What the target's end does to an attempt whose own context goes on is no cancellation either.
func TestJetStream_closedUnderAnAttempt(t *testing.T) {
	j := newJetStream(t, natsURL(natsServer(t, nil)), nil)
	j.Close()
	checkFailure(t, j.Send(t.Context(), sampleEvent(), 1), Result{Outcome: OutcomeNetwork, Detail: "it is closed"})
}
