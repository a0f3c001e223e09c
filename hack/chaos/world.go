package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/source"
	"github.com/hookbay/hookbay/receiver/sources"
)

// hangs is how long something may take before it counts as never. Nothing comes near it unless it hangs, or the machine is busy with much else.
const hangs = 3 * time.Minute

// world is all there is in one story: platforms, target, clock, configuration, and the receiver's lives one after the other.
type world struct {
	seed   uint64
	random *rand.Rand // of the story; senders, crashes and targets have their own
	model  *model
	log    *logBook
	mood   atomic.Pointer[mood]
	ahead  atomic.Int64 // of the clock, in nanoseconds
	latest int64        // the most that ahead was
	sent   atomic.Int64 // callbacks that are through with, one way or the other
	lives  int

	endpoints []*endpoint
	turns     chan struct{} // each lets a platform send one callback more
	freely    chan struct{} // closed when they need none any more
	through   chan struct{} // closed when all are through

	mu       sync.Mutex
	snapshot config.Snapshot
	revision int
	counts   map[string]int
	live     *life
	arrived  chan struct{} // closed when there is a life again
	over     bool
}

func newWorld(seed uint64, verbose io.Writer) *world {
	w := &world{
		seed: seed, random: rand.New(rand.NewPCG(seed, 0)), //nolint:gosec // a repeatable story
		model: newModel(), log: &logBook{out: verbose, start: time.Now()}, counts: map[string]int{}, arrived: make(chan struct{}),
		turns: make(chan struct{}, 1000), freely: make(chan struct{}), through: make(chan struct{}),
	}
	w.mood.Store(&mood{})
	w.log.damage = func() {
		w.count(effectDamage, "")
		w.model.set(&w.model.damaged)
	}
	return w
}

// The endpoints: two of Lazada, so that one can go and come back while the other stays, and one of Tencent.
func (w *world) found() error {
	for i, name := range []string{"orders", "chat", "guest"} {
		e := &endpoint{key: "shop/" + name, path: "/shop/" + name}
		if name == "chat" {
			e.source = config.Source{Type: config.SourceTencentIM, TencentIM: &config.TencentIM{
				SDKAppID: 1400000001, TokenFiles: []config.SecretFile{config.SecretFile(name)},
			}}
		} else {
			e.source = config.Source{Type: config.SourceLazada, Lazada: &config.Lazada{
				AppKey: fmt.Sprint(100132 + i), AppSecretFiles: []config.SecretFile{config.SecretFile(name)},
			}}
		}
		secrets := config.Secrets{config.SecretFile(name): "the first of " + name}
		var err error
		if e.sim, err = sources.NewSimulator(e.source, secrets); err != nil {
			return err
		}
		w.endpoints = append(w.endpoints, e)
		w.snapshot.Config.Endpoints = append(w.snapshot.Config.Endpoints, config.Endpoint{
			Namespace: "shop", Name: name, Path: e.path, Source: e.source,
			Target: config.Target{Type: config.TargetHTTP, URL: "http://target.example.com/"},
			Delivery: config.Delivery{Retry: config.Retry{
				InitialInterval: config.Duration(time.Millisecond), MaxInterval: config.Duration(20 * time.Millisecond),
				MaxAge: config.Duration(90 * 24 * time.Hour), // the clock goes its own ways
			}},
		})
		if w.snapshot.Secrets == nil {
			w.snapshot.Secrets = config.Secrets{}
		}
		maps.Copy(w.snapshot.Secrets, secrets)
	}
	return nil
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

func (w *world) load() (config.Snapshot, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.snapshot
	s.Secrets = maps.Clone(s.Secrets)
	s.Config.Endpoints = append([]config.Endpoint(nil), s.Config.Endpoints...)
	return s, nil
}

// configure changes the configuration and returns its revision.
func (w *world) configure(change func(*config.Snapshot)) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := w.snapshot
	next.Secrets = maps.Clone(next.Secrets)
	next.Config.Endpoints = append([]config.Endpoint(nil), next.Config.Endpoints...)
	change(&next)
	w.revision++
	next.Revision = fmt.Sprint(w.revision)
	w.snapshot = next
	return next.Revision
}

// count counts what happened under a class of faults or an effect.
func (w *world) count(what, _ string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

// current waits for a life to talk to; nil when ctx ends or the story is over.
func (w *world) current(ctx context.Context) *life {
	for {
		w.mu.Lock()
		l, arrived, over := w.live, w.arrived, w.over
		w.mu.Unlock()
		if over {
			return nil
		}
		if l != nil {
			alive := false
			l.while(func() { alive = true })
			if alive {
				return l
			}
		}
		wait := time.NewTimer(time.Millisecond)
		select {
		case <-arrived:
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return nil
		}
		wait.Stop()
	}
}

func (w *world) enter(l *life) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live = l
	close(w.arrived)
	w.arrived = make(chan struct{})
}

// logBook writes the receiver's log and the steps, and notices reports of damage.
type logBook struct {
	out    io.Writer // nil: nobody listens
	damage func()
	start  time.Time

	mu sync.Mutex
}

// Enabled implements slog.Handler.
func (b *logBook) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler. What loggers add does not matter here.
func (b *logBook) WithAttrs([]slog.Attr) slog.Handler { return b }

// WithGroup implements slog.Handler.
func (b *logBook) WithGroup(string) slog.Handler { return b }

// Handle implements slog.Handler.
func (b *logBook) Handle(_ context.Context, r slog.Record) error {
	var line bytes.Buffer
	fmt.Fprintf(&line, "%s %s", r.Level, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&line, " %s=%q", a.Key, a.Value.String())
		return true
	})
	text := strings.ToLower(r.Message)
	if r.Level >= slog.LevelError && (strings.Contains(text, "damaged") || strings.Contains(text, "corrupt")) {
		b.damage()
	}
	b.note(line.String())
	return nil
}

// note adds a line of the story.
func (b *logBook) note(line string) {
	if b.out == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	_, _ = fmt.Fprintf(b.out, "%6d ms %s\n", time.Since(b.start).Milliseconds(), line) // a pipe, or the terminal
}

// simulate returns a simulator that signs with this credential.
func (e *endpoint) simulate(file config.SecretFile, secret string) (source.Simulator, error) {
	c := e.source
	if c.Lazada != nil {
		c.Lazada = &config.Lazada{AppKey: c.Lazada.AppKey, AppSecretFiles: []config.SecretFile{file}}
	} else {
		c.TencentIM = &config.TencentIM{SDKAppID: c.TencentIM.SDKAppID, TokenFiles: []config.SecretFile{file}}
	}
	return sources.NewSimulator(c, config.Secrets{file: secret})
}
