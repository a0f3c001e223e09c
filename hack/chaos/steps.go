package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
)

// fork returns a source of chance of its own.
func (w *world) fork(n uint64) *rand.Rand { return rand.New(rand.NewPCG(w.seed, n)) } //nolint:gosec // a repeatable story

// step lets one fault of a class happen, and puts the receiver back on its feet if it fell.
func (s *story) step(class string) error {
	switch class {
	case classKill:
		return s.end(class, 100)
	case classPower:
		return s.end(class, pick(s.random, 0, 0, 30, 60, 90))
	case classTorn, classFlip, classCut:
		return s.damage(class)
	case classStop:
		s.count(class, "")
		return s.reopen()
	case classFull:
		s.live.faults.fill(true, s.random.IntN(2) == 0)
		s.pause(30 + s.random.IntN(200))
		s.live.faults.fill(false, false)
	case classWrite:
		s.live.faults.arm(rule{
			class: class, err: syscall.EIO, skip: s.random.IntN(6), times: 1 + s.random.IntN(3),
			kinds: []kind{pick(s.random, opWrite, opWrite, opWrite, opCreate, opRename)}, files: s.someFile(fileWAL, fileTable, fileManifest, fileMarker, fileOptions),
		})
		s.startOver()
	case classSync:
		s.live.faults.arm(rule{
			class: class, err: syscall.EIO, skip: s.random.IntN(6), times: 1 + s.random.IntN(3),
			kinds: []kind{opSync}, files: s.someFile(fileWAL, fileTable, fileManifest, fileMarker, fileDir),
		})
		s.startOver()
	case classSlow:
		s.live.faults.arm(rule{
			class: class, slow: 600*time.Millisecond + time.Duration(s.random.IntN(900))*time.Millisecond, times: 1 + s.random.IntN(2),
			kinds: []kind{opSync}, files: s.someFile(fileWAL, fileWAL, fileTable, fileManifest),
		})
	case classClock:
		s.count(class, "")
		s.model.set(&s.model.jumped)
		s.jump(s.ahead.Load() + int64(pick(s.random, -1, 1))*s.random.Int64N(int64(pick(s.random, time.Minute, time.Hour, 10*time.Hour))))
	case classConfig:
		s.count(class, "")
		return s.swap()
	case classSecret:
		s.count(class, "")
		return s.rotate(pick(s.random, s.endpoints...))
	}
	return s.recover()
}

// someFile draws a kind of file, or all.
func (s *story) someFile(some ...fileKind) []fileKind {
	if s.random.IntN(2) == 0 {
		return nil
	}
	return []fileKind{pick(s.random, some...)}
}

// startOver restarts the receiver now and then, so that what only happens at a start is struck too.
func (s *story) startOver() {
	if s.random.IntN(3) > 0 {
		return
	}
	l := s.live
	rules := l.faults.armed()
	l.crash(100)
	next := s.newLife(l.after)
	for _, r := range rules {
		next.faults.arm(*r)
	}
	if err := s.begin(next); err != nil {
		s.model.complain("%v", err)
	}
}

// pause lets the story go on for a while.
func (s *story) pause(milliseconds int) {
	wait(context.Background(), time.Duration(milliseconds)*time.Millisecond)
}

// recover starts the receiver again if it died.
func (s *story) recover() error {
	select {
	case <-s.live.died:
		return s.again(s.live)
	default:
		return nil
	}
}

// jump sets the clock.
func (s *story) jump(ahead int64) {
	for _, e := range s.endpoints {
		defer e.change()()
	}
	s.latest = max(s.latest, ahead)
	s.ahead.Store(ahead)
	s.pause(5)
}

// swap changes the configuration of one endpoint, and waits until it is live.
func (s *story) swap() error {
	i := s.random.IntN(len(s.endpoints))
	e := s.endpoints[i]
	index := func(c *config.Snapshot) int {
		return slices.IndexFunc(c.Config.Endpoints, func(x config.Endpoint) bool { return x.Key() == e.key })
	}
	what := pick(s.random, "target", "suspend", "ordering", "in flight", "gone")
	if what == "ordering" {
		s.model.loosen(e.key)
	}
	var before config.Endpoint
	defer e.change()()
	revision := s.configure(func(c *config.Snapshot) {
		at := index(c)
		before = c.Config.Endpoints[at]
		switch x := &c.Config.Endpoints[at]; what {
		case "target":
			x.Target.URL += "x"
		case "suspend":
			x.Delivery.Suspend = !x.Delivery.Suspend
		case "ordering":
			x.Delivery.Ordering = pick(s.random, config.OrderingNone, config.OrderingSubject)
		case "in flight":
			x.Delivery.MaxInFlight = 1 + s.random.IntN(8)
		case "gone":
			c.Config.Endpoints = slices.Delete(c.Config.Endpoints, at, at+1)
		}
	})
	if err := s.live1(revision); err != nil || what != "gone" {
		return err
	}
	s.progress(s.random.IntN(20))
	return s.live1(s.configure(func(c *config.Snapshot) { c.Config.Endpoints = append(c.Config.Endpoints, before) }))
}

// restore brings back all deliveries.
func (s *story) restore() error {
	return s.live1(s.configure(func(c *config.Snapshot) {
		for i := range c.Config.Endpoints {
			c.Config.Endpoints[i].Delivery.Suspend = false
		}
	}))
}

// rotate changes an endpoint's credential as people should: the new one is added, the platform changes, the old one goes.
func (s *story) rotate(e *endpoint) error {
	old := s.files(e)[0]
	fresh := config.SecretFile(fmt.Sprintf("%s-%d", e.key[5:], s.random.Uint32()))
	secret := fmt.Sprintf("secret %d", s.random.Uint32())
	set := func(files ...config.SecretFile) error {
		return s.live1(s.configure(func(c *config.Snapshot) {
			c.Secrets[fresh] = secret
			for i := range c.Config.Endpoints {
				x := &c.Config.Endpoints[i]
				if x.Key() != e.key {
					continue
				}
				if x.Source.Lazada != nil {
					lazada := *x.Source.Lazada
					lazada.AppSecretFiles = files
					x.Source.Lazada = &lazada
				} else {
					tencent := *x.Source.TencentIM
					tencent.TokenFiles = files
					x.Source.TencentIM = &tencent
				}
			}
		}))
	}
	if err := set(old, fresh); err != nil {
		return err
	}
	sim, err := e.simulate(fresh, secret)
	if err != nil {
		return err
	}
	// What was signed before is on its way still: the old one goes only when that has arrived, but for the last few.
	done := e.change()
	e.mu.Lock()
	e.sim = sim
	e.mu.Unlock()
	s.progress(s.random.IntN(20))
	defer done()
	return set(fresh)
}

// files are the credentials of an endpoint.
func (s *story) files(e *endpoint) []config.SecretFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.snapshot.Config.Endpoints {
		if x := &s.snapshot.Config.Endpoints[i]; x.Key() == e.key {
			return x.Source.SecretFiles()
		}
	}
	return []config.SecretFile{config.SecretFile(e.key[5:])}
}

// live1 waits until a revision of the configuration is live, in whatever life.
func (s *story) live1(revision string) error {
	var refused string
	ok := eventually(hangs, func() bool {
		if err := s.recover(); err != nil {
			refused = err.Error()
			return true
		}
		var page struct {
			Revision string
			Refused  *struct{ Reason string }
		}
		if err := json.Unmarshal(s.get("/configz"), &page); err != nil {
			return false
		}
		if page.Refused != nil {
			refused = page.Refused.Reason
		}
		return page.Revision == revision
	})
	if !ok {
		return fmt.Errorf("configuration %s is not live after %s: %s", revision, hangs, refused)
	}
	if strings.Contains(refused, "does not start") {
		return errors.New(refused)
	}
	return nil
}

// holdings is what the receiver says that it holds.
type holdings struct{ pending, dead int }

// holdings reads the receiver's metrics.
func (s *story) holdings() holdings {
	h := holdings{pending: -1}
	for line := range strings.Lines(string(s.get("/metrics"))) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		n, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil:
		case strings.HasPrefix(name, "hookbay_backlog_events{"):
			h.pending = max(h.pending, 0) + int(n)
		case strings.HasPrefix(name, "hookbay_dead_letters{"):
			h.dead += int(n)
		}
	}
	return h
}

// get reads a page of the admin port; nil if it does not answer.
func (s *story) get(path string) []byte {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.live.app.AdminAddr().String()+path, http.NoBody)
	if err != nil {
		return nil
	}
	res, err := s.live.client.Do(req)
	if err != nil {
		return nil
	}
	defer func() { _ = res.Body.Close() }() // only read
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil
	}
	return body
}
