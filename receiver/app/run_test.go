package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/config"
)

func TestApp_deliversAfterARestartWhatItHadStored(t *testing.T) {
	f := start(t, lazada("a", suspended), lazada("gone", suspended))
	f.mustSend("/shop/a", 0, 0)
	f.mustSend("/shop/gone", 0, 0)
	f.mustSend("/shop/gone", 1, 0)
	if err := f.end(); err != nil {
		t.Fatal(err)
	}
	f.configure(lazada("a"))
	f.run(nil)
	f.eventually("the event is delivered", func() bool { return f.delivered("http://a") == 1 })
	if !strings.Contains(f.log.String(), `not configured are kept until it is again, or they are too old" endpoint=shop/gone pending=2`) {
		t.Error("nobody is told of events that nobody delivers")
	}
	if metrics := f.get("/metrics"); !strings.Contains(metrics, `hookbay_backlog_events{endpoint="shop/gone"} 2`) {
		t.Error("/metrics lacks the events that nobody delivers")
	}
}

func TestApp_stopsInOrder(t *testing.T) {
	f := &fixture{t: t, dir: t.TempDir()}
	f.configure(lazada("a", to("http://blocked/")))
	f.run(func(o *Options) { o.DrainDelay = 50 * time.Millisecond })
	f.mustSend("/shop/a", 0, 0)
	var tg *fakeTarget
	for _, tg = range f.allTargets() {
		f.eventually("the attempt is under way", func() bool { return tg.waiting.Load() == 1 })
	}

	// A callback whose body is on its way when the receiver stops.
	body, feed := io.Pipe()
	answer := make(chan int, 1)
	sim := simulator(t, "hunter2")
	push := sim.Vary(sim.Samples()[0], 1, 1)
	signed, err := sim.Sign(push, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+f.app.ListenAddr().String()+"/shop/a", body)
		if err != nil {
			answer <- 0
			return
		}
		r.Header = http.Header(signed.Header)
		res, err := (&http.Client{}).Do(r)
		if err != nil {
			answer <- 0
			return
		}
		_ = res.Body.Close()
		if !res.Close {
			answer <- -1
			return
		}
		answer <- res.StatusCode
	}()
	if _, err := feed.Write(push[:1]); err != nil {
		t.Fatal(err)
	}

	f.stop()
	f.eventually("the receiver is not ready", func() bool { return f.app.Ready() != nil })
	if got, want := f.get("/readyz"), "the receiver stops\n"; got != want {
		t.Errorf("/readyz says %q, want %q", got, want)
	}
	if _, err := feed.Write(push[1:]); err != nil {
		t.Fatal(err)
	}
	_ = feed.Close()
	if status := <-answer; status != http.StatusOK {
		t.Errorf("the callback under way is answered with %d (-1: on a connection that stays open), want 200", status)
	}
	f.eventually("the port is closed", func() bool {
		conn, err := net.Dial("tcp", f.app.ListenAddr().String())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-f.stopped:
		t.Fatalf("Run returned (%v) while an attempt was under way", err)
	default:
	}
	f.eventually("it is told what the receiver waits for", func() bool {
		return strings.Contains(f.log.String(), `msg="Receiver waits for deliveries under way" count=`)
	})
	tg.open()
	if err := f.end(); err != nil {
		t.Error(err)
	}
	if n := f.delivered("http://blocked/"); n == 0 || !tg.closed.Load() {
		t.Errorf("%d events are delivered and the target is closed: %t, want that under way and true", n, tg.closed.Load())
	}
}

// stuckBuffer never gets an outcome stored.
type stuckBuffer struct {
	buffer.Buffer
	closed chan struct{}
}

type stuckQueue struct {
	buffer.Queue
	b *stuckBuffer
}

func (b *stuckBuffer) Queue(name string, s buffer.Settings) (buffer.Queue, error) {
	q, err := b.Buffer.Queue(name, s)
	return stuckQueue{q, b}, err
}

func (b *stuckBuffer) Close() error {
	close(b.closed)
	return b.Buffer.Close()
}

func (q stuckQueue) Settle(context.Context, *buffer.Delivery, buffer.Outcome) error {
	select {
	case <-q.b.closed:
		return buffer.ErrClosed
	default:
		return errors.New("the disk is away")
	}
}

// A buffer that fails must not keep the receiver from stopping: what it could not settle is delivered again by the next process.
func TestApp_stopsAlthoughTheBufferFails(t *testing.T) {
	f := &fixture{t: t, dir: t.TempDir()}
	f.configure(lazada("a"))
	f.run(func(o *Options) {
		o.DrainTimeout = time.Millisecond
		o.openBuffer = func() (buffer.Buffer, error) {
			return &stuckBuffer{openDisk(t, f.dir), make(chan struct{})}, nil
		}
	})
	f.mustSend("/shop/a", 0, 0)
	f.eventually("the event is delivered", func() bool { return f.delivered("http://a") == 1 })
	if err := f.end(); err == nil || !strings.Contains(err.Error(), "could not be settled") {
		t.Errorf("Run returned %v, want what could not be done", err)
	}
	f.run(nil)
	f.eventually("the event is delivered again", func() bool { return f.delivered("http://a") == 2 })
}

func TestApp_failsWhenAServerFails(t *testing.T) {
	f := start(t, lazada("a"))
	if err := f.app.callbacks.listener.Close(); err != nil {
		t.Fatal(err)
	}
	err := <-f.stopped
	f.stopped <- nil
	if err == nil || !strings.Contains(err.Error(), "serve callbacks") {
		t.Errorf("Run returned %v, want the server's failure", err)
	}
}

func TestNew_refuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // Nothing is lost.
	good := func() (config.Snapshot, error) {
		return config.Snapshot{Config: config.Config{Endpoints: []config.Endpoint{lazada("a")}}, Secrets: config.Secrets{"secret": "hunter2"}}, nil
	}
	tests := map[string]struct {
		change  func(*Options)
		wantErr string
	}{
		"a configuration that cannot be read": {func(o *Options) {
			o.Load = func() (config.Snapshot, error) { return config.Snapshot{}, errors.New("gone") }
		}, "load the configuration: gone"},
		"a configuration that is wrong": {func(o *Options) {
			o.Load = func() (config.Snapshot, error) {
				return config.Snapshot{Config: config.Config{Endpoints: make([]config.Endpoint, 1)}}, nil
			}
		}, "endpoints[0].namespace: "},
		"an address that is taken":        {func(o *Options) { o.Listen = taken.Addr().String() }, "address already in use"},
		"an admin address that is taken":  {func(o *Options) { o.Admin = taken.Addr().String() }, "address already in use"},
		"a data directory that is a file": {func(o *Options) { o.DataDir = "/dev/null" }, "the buffer in /dev/null: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			free, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			_ = free.Close()
			o := Options{
				Load: good, Listen: free.Addr().String(), Admin: "127.0.0.1:0", DataDir: dir, Log: slog.New(slog.DiscardHandler),
			}
			wrong := o
			tt.change(&wrong)
			if _, err := New(t.Context(), wrong); err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Fatalf("error is %v, want one with %q", err, tt.wantErr)
			}
			// Everything is given back: the same address and the same directory serve a good receiver.
			a, err := New(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := a.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// Where a pod is replaced, the next receiver starts while the one before still has the volume.
func TestNew_waitsForTheReceiverBefore(t *testing.T) {
	var tries int
	a := &App{o: Options{DataDirWait: time.Minute}, log: slog.New(slog.DiscardHandler)}
	_, err := a.whenFree(t.Context(), func() (buffer.Buffer, error) {
		if tries++; tries < 3 {
			return nil, fmt.Errorf("open: %w", syscall.EAGAIN)
		}
		return nil, nil
	})
	if err != nil || tries != 3 {
		t.Errorf("opened at try %d with %v, want 3 without an error", tries, err)
	}

	tries = 0
	damaged := errors.New("damaged")
	if _, err := a.whenFree(t.Context(), func() (buffer.Buffer, error) { tries++; return nil, damaged }); !errors.Is(err, damaged) || tries != 1 {
		t.Errorf("a damaged store was tried %d times: %v", tries, err)
	}
	a.o.DataDirWait = 0
	if _, err := a.whenFree(t.Context(), func() (buffer.Buffer, error) { return nil, syscall.EAGAIN }); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("without patience: %v", err)
	}
}
