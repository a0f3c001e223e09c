package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/jetstream"
	"github.com/hookbay/hookbay/receiver/event"
)

// story is what may be known of the deliveries of all receivers.
type story struct {
	t        testing.TB
	mu       sync.Mutex
	subjects map[string][]fate
	again    int // hand-outs of events that had been delivered before, but without that being known to be stored
	strict   bool
}

// fate is what came of an event.
type fate int

const (
	untouched fate = iota
	perhaps        // an attempt has succeeded, and it is not known whether that is stored
	forEver        // that is stored
)

// handedOut checks a hand-out: nothing that is stored as delivered, and nothing before all that comes before it.
func (y *story) handedOut(d *buffer.Delivery) (subject string, n int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	subject = d.Event.Subject
	n, _ = strconv.Atoi(string(d.Event.Body))
	fates := y.subjects[subject]
	if fates[n] == forEver {
		y.t.Errorf("event %d of subject %s is handed out after it was settled", n, subject)
	}
	if fates[n] == perhaps {
		y.again++
		if y.strict {
			y.t.Errorf("event %d of subject %s is handed out twice", n, subject)
		}
	}
	for i, f := range fates[:n] {
		if f == untouched {
			y.t.Errorf("event %d of subject %s is handed out before event %d was delivered", n, subject, i)
			break
		}
	}
	return subject, n
}

func (y *story) set(subject string, n int, f fate) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.subjects[subject][n] = max(f, y.subjects[subject][n])
}

// undelivered counts the events that no attempt has succeeded with.
func (y *story) undelivered() int {
	y.mu.Lock()
	defer y.mu.Unlock()
	n := 0
	for _, fates := range y.subjects {
		for _, f := range fates {
			if f == untouched {
				n++
			}
		}
	}
	return n
}

// worker delivers, fails and gives back at random until ctx ends.
func (y *story) worker(ctx context.Context, r *receiver, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 2))
	for {
		d, err := r.queue.Next(ctx)
		if ctx.Err() != nil {
			if err == nil {
				r.queue.Release(d)
			}
			return
		}
		if errors.Is(err, buffer.ErrClosed) {
			return
		}
		if err != nil {
			y.t.Logf("Next: %v", err)
			continue
		}
		subject, n := y.handedOut(d)
		o := buffer.Outcome{Verdict: buffer.Delivered}
		switch random.IntN(6) {
		case 0:
			o = buffer.Outcome{Verdict: buffer.Retry, RetryAt: time.Now().Add(time.Duration(random.IntN(30)) * time.Millisecond)}
		case 1:
			r.queue.Release(d)
			continue
		default:
			y.set(subject, n, perhaps)
		}
		err = r.queue.Settle(context.Background(), d, o)
		switch {
		case err == nil && o.Verdict == buffer.Delivered:
			y.set(subject, n, forEver)
		case err == nil, errors.Is(err, buffer.ErrLeaseLost):
			if y.strict && err != nil {
				y.t.Errorf("Settle: %v", err)
			}
		case errors.Is(err, buffer.ErrClosed):
			return
		default:
			y.t.Errorf("Settle: %v", err)
		}
	}
}

// crew is a receiver with its workers.
type crew struct {
	*receiver
	stop context.CancelFunc
	wg   sync.WaitGroup
}

func (y *story) hire(t testing.TB, r *receiver, seed uint64) *crew {
	ctx, cancel := context.WithCancel(t.Context())
	c := &crew{receiver: r, stop: cancel}
	for i := range 6 {
		c.wg.Go(func() { y.worker(ctx, r, seed*100+uint64(i)) })
	}
	return c
}

// testHammer has receivers come and go while events are appended and delivered.
func testHammer(t *testing.T, crash bool) {
	s := natsServer(t, t.TempDir(), -1)
	t.Cleanup(func() { stop(s) })
	o := jetstream.Options{Prefix: newPrefix(), LeaseTime: 10 * time.Minute}
	if crash {
		o.LeaseTime = time.Second
	}
	const subjects, each, rounds = 24, 60, 6
	y := &story{t: t, subjects: map[string][]fate{}, strict: !crash}
	for i := range subjects {
		y.subjects[fmt.Sprint("s", i)] = make([]fate, each)
	}
	var mu sync.Mutex
	var crews []*crew
	for i := range 3 {
		crews = append(crews, y.hire(t, join(t, s, o), uint64(i)))
	}
	var producers sync.WaitGroup
	for subject := range y.subjects {
		producers.Go(func() {
			for n := range each {
				appendSomewhere(t, numbered(subject, n), func() buffer.Queue {
					mu.Lock()
					defer mu.Unlock()
					return crews[rand.IntN(len(crews))].queue
				})
			}
		})
	}
	var paused []*crew
	for round := range rounds {
		progress := y.undelivered()
		within(t, "deliveries go on", func() bool { return y.undelivered() < progress-20 || y.undelivered() == 0 })
		fresh := y.hire(t, join(t, s, o), uint64(10+round))
		mu.Lock()
		gone := crews[0]
		crews = append(crews[1:], fresh)
		mu.Unlock()
		if crash && round%3 != 2 {
			gone.line.freeze() // its workers stay in the middle of what they do
			if round%3 == 0 {
				paused = append(paused, gone)
			}
			continue
		}
		for _, p := range paused { // they wake up, after others have taken over
			p.line.thaw()
			mu.Lock()
			crews = append(crews, p)
			mu.Unlock()
		}
		paused = nil
		gone.stop()
		gone.wg.Wait() // drained, as a receiver is before it stops
		if err := gone.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	producers.Wait()
	within(t, "every event is delivered", func() bool { return y.undelivered() == 0 })
	within(t, "nothing is pending", func() bool {
		var n int64
		owned := 0
		for _, c := range crews {
			n += c.queue.Stats().Pending
			owned += c.Owned(endpoint)
		}
		return n == 0 && owned == jetstream.Partitions
	})
	for _, c := range crews {
		if err := c.Consistent(endpoint); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d events, %d delivered once more", subjects*each, y.again)
	for _, c := range crews {
		c.stop()
	}
}

// appendSomewhere appends an event with one receiver after another until one has stored it.
func appendSomewhere(t testing.TB, e event.Event, pick func() buffer.Queue) {
	for t.Context().Err() == nil {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := pick().Append(ctx, []event.Event{e})
		cancel()
		if err == nil {
			return
		}
	}
}

func TestHammer_receiversComeAndGo(t *testing.T)     { testHammer(t, false) }
func TestHammer_receiversComeAndVanish(t *testing.T) { testHammer(t, true) }
