package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/hookbay/hookbay/hack/process"
)

// stopTimeout is how long the manager may take to end.
const stopTimeout = 30 * time.Second

// manager is `hookbay manager` as a process.
type manager struct {
	cmd     *exec.Cmd
	metrics string // address
	log     string // file
	client  *http.Client
	ended   chan error
}

// startManager starts it. It is at work when its metrics can be read.
func startManager(ctx context.Context, o options, kubeconfig, log string) (*manager, error) {
	m := &manager{log: log, client: &http.Client{Timeout: 30 * time.Second}, ended: make(chan error, 1)}
	var err error
	if m.metrics, err = process.FreeAddress(ctx); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(filepath.Clean(log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the process has it
	args := append([]string{
		"manager", "--kubeconfig=" + kubeconfig, "--leader-elect=false", "--receiver-image=example.com/receiver:v1",
		"--metrics-secure=false", "--metrics-bind-address=" + m.metrics, "--health-probe-bind-address=0",
	}, o.args...)
	m.cmd = exec.CommandContext(ctx, o.program, args...) //nolint:gosec // the program to be measured
	m.cmd.Stdout, m.cmd.Stderr = out, out
	m.cmd.Cancel = func() error { return m.cmd.Process.Signal(syscall.SIGTERM) }
	m.cmd.WaitDelay = stopTimeout
	if err := m.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the manager: %w", err)
	}
	go func() { m.ended <- m.cmd.Wait() }() // ends with the process
	err = poll(ctx, 20*time.Millisecond, startTimeout, "the manager's metrics", func() (bool, error) {
		_, err := m.state(ctx)
		return err == nil, m.alive()
	})
	return m, err
}

// alive is an error when the process has ended by itself.
func (m *manager) alive() error {
	select {
	case err := <-m.ended:
		m.ended <- err
		text, readErr := os.ReadFile(m.log)
		return errors.Join(fmt.Errorf("the manager ended: %w\n%s", err, text), readErr)
	default:
		return nil
	}
}

func (m *manager) stop() error {
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if err := <-m.ended; err != nil {
		return fmt.Errorf("the manager did not stop in good order: %w", err)
	}
	return nil
}

// state is what the manager says of itself at one moment.
type state struct {
	at                         time.Time
	cpu                        time.Duration // since its start
	resident, heap, goroutines float64
	reads, writes              float64 // requests to the API server
	rounds, failed             float64 // reconciles
	waiting                    float64 // endpoints that wait for a round
	busy                       float64 // rounds under way
}

func (m *manager) state(ctx context.Context) (state, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.metrics+"/metrics", http.NoBody)
	if err != nil {
		return state{}, err
	}
	resp, err := m.client.Do(req)
	if err != nil {
		return state{}, err
	}
	defer func() { _ = resp.Body.Close() }() // what was read is all that counts
	s := state{at: time.Now()}
	fields := map[string]*float64{
		"process_resident_memory_bytes": &s.resident, "go_memstats_heap_inuse_bytes": &s.heap, "go_goroutines": &s.goroutines,
		"workqueue_depth": &s.waiting, "controller_runtime_active_workers": &s.busy,
		"controller_runtime_reconcile_total": &s.rounds, "controller_runtime_reconcile_errors_total": &s.failed,
	}
	err = eachSample(resp.Body, "", func(m sample) {
		field := fields[m.name]
		switch {
		case field != nil:
			*field += m.value
		case m.name == "process_cpu_seconds_total":
			s.cpu = time.Duration(m.value * float64(time.Second))
		case m.name == "rest_client_requests_total" && m.labels["method"] == http.MethodGet:
			s.reads += m.value
		case m.name == "rest_client_requests_total":
			s.writes += m.value
		}
	})
	return s, err
}

// sample is one line of metrics.
type sample struct {
	name   string
	labels map[string]string
	value  float64
}

// eachSample calls f for each counter and gauge of this name; "": of all.
func eachSample(body io.Reader, name string, f func(sample)) error {
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if name != "" { // the rest of an API server's metrics is megabytes
		var wanted strings.Builder
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, name+"{") {
				wanted.WriteString(line)
			}
		}
		text = []byte(wanted.String())
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
	if err != nil {
		return fmt.Errorf("read metrics: %w", err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			s := sample{name: family.GetName(), labels: map[string]string{}}
			s.value = m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue() // it has one of them
			for _, l := range m.GetLabel() {
				s.labels[l.GetName()] = l.GetValue()
			}
			f(s)
		}
	}
	return nil
}

// poll calls check until it is true, fails, or time is up.
func poll(ctx context.Context, pause, limit time.Duration, what string, check func() (bool, error)) error {
	deadline := time.After(limit)
	for {
		done, err := check()
		if done || err != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-deadline:
			return fmt.Errorf("waited %v for %s", limit, what)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
