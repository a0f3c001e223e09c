package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/hookbay/hookbay/receiver/app"
	"github.com/hookbay/hookbay/receiver/config"
)

// What -serve takes.
const (
	serveBare      = "bare"
	serveSuspended = "suspended"
	serveDraining  = "draining"
)

const benchPath = "/bench/lazada"

// The endpoint under load. Its credential signs nothing but the benchmark.
var (
	benchSource  = config.Source{Type: config.SourceLazada, Lazada: &config.Lazada{AppKey: "100132", AppSecretFiles: []config.SecretFile{"secret"}}}
	benchSecrets = config.Secrets{"secret": "a-secret-of-the-benchmark"}
)

// process is a server under load, in a process of its own so that its CPU time is its own.
type process struct {
	cmd       *exec.Cmd
	stdin     io.Closer
	addr, url string
}

// start starts this program as a server and waits for its address.
func start(ctx context.Context, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, self, args...)} //nolint:gosec // this program itself
	p.cmd.Stderr = os.Stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("server %v did not start: %w", args, err), p.cmd.Wait())
	}
	p.addr = strings.TrimSpace(line)
	p.url = "http://" + p.addr + benchPath
	return p, nil
}

// stop ends the server and returns the CPU time that it took.
func (p *process) stop() (time.Duration, error) {
	if err := p.stdin.Close(); err != nil {
		return 0, err
	}
	err := p.cmd.Wait()
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime(), err
}

// runServer is what the processes under load run. They end when their standard input does.
func runServer(ctx context.Context, serve, data, target, profile string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until bench closes it, or is gone
		cancel()
	}()
	if profile != "" {
		stop, err := startProfile(filepath.Join(profile, serve+".pprof"))
		if err != nil {
			return err
		}
		defer stop()
	}
	if serve == serveBare {
		return runBare(ctx)
	}
	return runReceiver(ctx, data, target, serve == serveSuspended)
}

func startProfile(file string) (stop func(), err error) {
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close() // a profile that is cut off says so when it is read
	}, nil
}

// runBare reads the body and answers 200: the baseline, and the target that deliveries go to.
func runBare(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a body that breaks off ends the connection
		w.WriteHeader(http.StatusOK)
	})}
	defer context.AfterFunc(ctx, func() { _ = s.Close() })() // nothing is under way by then
	fmt.Println(l.Addr())
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// runReceiver is the whole receiver, as in a pod.
func runReceiver(ctx context.Context, data, target string, suspend bool) error {
	snapshot := config.Snapshot{Secrets: benchSecrets, Config: config.Config{Endpoints: []config.Endpoint{{
		Namespace: "bench", Name: "lazada", Path: benchPath, Source: benchSource,
		Target:   config.Target{Type: config.TargetHTTP, URL: max(target, "http://127.0.0.1:1"+benchPath)},
		Delivery: config.Delivery{Suspend: suspend},
	}}}}
	app.SetUpProcess()
	a, err := app.New(ctx, app.Options{
		Load: func() (config.Snapshot, error) { return snapshot, nil }, Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", DataDir: data,
		DrainTimeout: time.Second, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	fmt.Println(a.ListenAddr())
	return a.Run(ctx)
}
