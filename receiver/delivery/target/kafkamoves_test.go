package target

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hookbay/hookbay/receiver/config"
)

// While leaders move and brokers answer that they can't, each subject's events come in order and none is missing: each is sent until it is delivered, as the
// dispatcher does. What comes twice is told from its neighbour.
func TestKafka_keepsOrderWhileLeadersMove(t *testing.T) {
	c := brokers(t)
	k := newKafka(t, c.ListenAddrs(), func(c *config.Target, _ config.Secrets, _ *BrokerOptions) {
		c.Timeout = config.Duration(2 * time.Second)
	})
	const subjects, each = 8, 600
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	var chaos, senders sync.WaitGroup
	chaos.Go(func() { disturb(ctx, c) })
	for s := range subjects {
		senders.Go(func() {
			for n := range each {
				e := sampleEvent()
				e.Subject, e.Body = fmt.Sprint("subject ", s), []byte(strconv.Itoa(n))
				attempts := 1
				for k.Send(ctx, e, attempts).Class != Delivered && ctx.Err() == nil {
					attempts++
				}
			}
		})
	}
	senders.Wait()
	stop()
	chaos.Wait()
	total := 0
	for _, p := range c.PartitionInfos("events") {
		total += int(p.HighWatermark)
	}
	if total < subjects*each {
		t.Fatalf("the topic has %d records, want %d at least", total, subjects*each)
	}
	next := map[string]int{}
	for _, r := range readTopic(t, c, total) {
		key := string(r.Key)
		n, err := strconv.Atoi(string(r.Value))
		if err != nil {
			t.Fatal(err)
		}
		switch n {
		case next[key]:
			next[key]++
		case next[key] - 1: // once more
		default:
			t.Errorf("%s has %d where %d must be", key, n, next[key])
		}
	}
	for s := range subjects {
		if got := next[fmt.Sprint("subject ", s)]; got != each {
			t.Errorf("subject %d has %d events, want %d", s, got, each)
		}
	}
}

// disturb moves leaders, and has some requests answered with errors that say to try again, until ctx ends.
func disturb(ctx context.Context, c *kfake.Cluster) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	errs := []*kerr.Error{kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut, kerr.NotLeaderForPartition}
	var fault *kfake.FaultHandle
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n%80 == 2 { // slower than the client looks for new leaders
			c.ShufflePartitionLeaders()
		}
		if n%40 == 0 {
			if fault != nil {
				fault.Remove() // they must not pile up
			}
			fault = c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: errs[n/40%len(errs)]})
		}
	}
}
