package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hookbay/hookbay/receiver/app"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/delivery/target"
)

// dataDir is where the receiver keeps its buffer on the file system in memory.
const dataDir = "data"

// life is one process of the receiver, from start to its end. When it crashes, its file system is cloned as the crash leaves it, and from that
// instant on nothing that the old one still does counts: no answer, no delivery.
type life struct {
	w      *world
	number int
	mem    *vfs.MemFS
	faults *faults
	random *rand.Rand // of crashes
	app    *app.App
	client *http.Client
	cancel context.CancelFunc
	ended  chan error  // what Run returned
	up     atomic.Bool // it has started
	doom   atomic.Pointer[doom]

	mu    sync.RWMutex // held for writing by a crash, for reading by whoever notes what happened
	alive bool
	after *vfs.MemFS    // what the crash left
	died  chan struct{} // closed by the crash
}

func (w *world) newLife(mem *vfs.MemFS) *life {
	w.lives++
	l := &life{
		w: w, number: w.lives, mem: mem, alive: true, died: make(chan struct{}),
		random: rand.New(rand.NewPCG(w.seed, uint64(w.lives))), //nolint:gosec // a repeatable story
		ended:  make(chan error, 1),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 5 * time.Second},
	}
	l.faults = &faults{count: l.struck}
	return l
}

// struck notes that a fault happened.
func (l *life) struck(class, what string) {
	l.w.count(class, what)
	switch {
	case class == classFull: // thousands
	case l.up.Load():
		l.w.log.note(fmt.Sprintf("STORY %s: %s strikes life %d", class, what, l.number))
	default:
		l.w.log.note(fmt.Sprintf("STORY %s: %s strikes life %d as it starts", class, what, l.number))
	}
}

// start starts the receiver. The error is the receiver's own reason not to start; a crash on the way is errDied.
func (l *life) start() error {
	type made struct {
		app *app.App
		err error
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	fresh := make(chan made, 1)
	go func() {
		a, err := app.New(ctx, app.Options{
			Load: l.w.load, Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", DataDir: dataDir,
			FS: &faultFS{l.mem, l.faults}, Fatal: l.fatal, Now: l.w.now, Log: slog.New(l.w.log),
			NewTarget:    func(e config.Endpoint, _ config.Secrets) (target.Target, error) { return l.target(&e) },
			PollInterval: 5 * time.Millisecond, DrainTimeout: hangs,
		})
		fresh <- made{a, err}
	}()
	select {
	case m := <-fresh:
		if m.err != nil {
			cancel()
			return m.err
		}
		l.app = m.app
		l.up.Store(true)
	case <-l.died:
		cancel()
		return errDied
	}
	go func() { l.ended <- l.app.Run(ctx) }()
	return nil
}

// errDied says that the process ended while it started.
var errDied = errors.New("the receiver died")

// crash ends the life at this instant. percent is how much of what was not synced the file system keeps: 100 when only the process goes. It
// does nothing if the life is over.
func (l *life) crash(percent int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.alive {
		return
	}
	l.alive = false
	l.after = l.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: l.random})
	l.w.model.died()
	l.faults.end()
	close(l.died)
	if l.cancel != nil {
		l.cancel() // the old one goes on its own, on files that nobody looks at any more
	}
	l.client.CloseIdleConnections()
}

// fatal is how the receiver ends its own process: after a failed sync the file system may have kept anything of what was not synced.
func (l *life) fatal(detail string) {
	l.w.count(effectExit, detail)
	l.crash(pick(l.random, 0, 50, 100))
	select {} // it must not return, and its process is gone
}

// while calls note if the life is on, and no crash comes meanwhile.
func (l *life) while(note func()) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.alive {
		note()
	}
	return l.alive
}

// stop ends the life in order.
func (l *life) stop() error {
	l.cancel()
	// A connection that was dialled and not used counts as one that is about to be, for a few seconds.
	l.client.CloseIdleConnections()
	select {
	case err := <-l.ended:
		l.crash(100) // nothing more can happen in it
		return err
	case <-l.died:
		return errDied
	case <-time.After(2 * hangs):
		return fmt.Errorf("the receiver did not stop within %s", 2*hangs)
	}
}

// over waits for the end of the life, for so many looks at most.
func (l *life) over(looks int) {
	eventually(time.Duration(looks)*poll, func() bool {
		select {
		case <-l.died:
			return true
		default:
			return false
		}
	})
}

// ready waits until the receiver is ready, or dies. False: it did neither.
func (l *life) ready(limit time.Duration) bool {
	return eventually(limit, func() bool {
		select {
		case <-l.died:
			return true
		default:
			return l.app.Ready() == nil
		}
	})
}

// poll is how often something is looked at that is waited for.
const poll = 2 * time.Millisecond

// eventually polls until cond holds or the limit has passed. It counts the time by its own looks: when the whole machine stands still, or is busy
// with something else, that is no time in which anything could have happened.
func eventually(limit time.Duration, cond func() bool) bool {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for left := limit; !cond(); left -= poll {
		if left <= 0 {
			return false
		}
		<-tick.C
	}
	return true
}

// pick returns one of some.
func pick[T any](random *rand.Rand, some ...T) T { return some[random.IntN(len(some))] }
