package jetstream_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/jetstream"
)

func TestShare_betterMemberGoesBeforeTheHandover(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	o := jetstream.Options{Prefix: newPrefix(), LeaseTime: 10 * time.Minute}
	a := join(t, s, o)
	const subjects = 64
	var leased []*buffer.Delivery
	for i := range subjects {
		a.append(t, numbered(fmt.Sprint(i), 0), numbered(fmt.Sprint(i), 1))
	}
	for range subjects {
		leased = append(leased, a.next(t))
	}
	b := join(t, s, o)
	within(t, "the first receiver wants to hand over partitions", func() bool { return a.Owned(endpoint) < jetstream.Partitions })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	within(t, "the first receiver keeps them", func() bool { return a.Owned(endpoint) == jetstream.Partitions })
	for i, d := range leased {
		if i%2 == 0 {
			a.queue.Release(d)
			continue
		}
		a.delivered(t, d)
	}
	for range subjects + subjects/2 {
		a.delivered(t, a.next(t))
	}
	within(t, "nothing is pending", func() bool { return a.queue.Stats().Pending == 0 })
}

func TestShare_nothingIsHandedOutAfterItsLease(t *testing.T) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	var later atomic.Int64
	o := jetstream.Options{
		Prefix: newPrefix(), LeaseTime: time.Second, Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) },
	}
	a := join(t, s, o)
	a.append(t, numbered("x", 0))
	again := buffer.Outcome{Verdict: buffer.Retry, RetryAt: time.Now().Add(time.Hour)}
	if err := a.queue.Settle(t.Context(), a.next(t), again); err != nil {
		t.Fatal(err)
	}
	b := join(t, s, o)
	within(t, "the receivers share the partitions", func() bool { return spread(a, b) })
	first, second := a, b
	if a.queue.Stats().Pending == 0 {
		first, second = b, a
	}
	// What is due now is read from the stream, and the answer comes when another receiver has delivered it.
	first.line.freeze()
	later.Store(int64(2 * time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	handed := make(chan *buffer.Delivery, 1)
	go func() {
		d, _ := first.queue.Next(ctx)
		handed <- d
	}()
	within(t, "the other receiver has all partitions", func() bool { return second.Owned(endpoint) == jetstream.Partitions })
	second.delivered(t, second.next(t))
	first.line.thaw()
	within(t, "the first receiver is back", func() bool { return first.Owned(endpoint) > 0 && spread(first, second) })
	cancel()
	if d := <-handed; d != nil {
		t.Errorf("event %s of %s is handed out, which another receiver has delivered", d.Event.Body, d.Event.Subject)
	}
}
