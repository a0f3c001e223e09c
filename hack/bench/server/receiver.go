//go:build linux

package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hookbay/hookbay/hack/bench/load"
	"github.com/hookbay/hookbay/hack/process"
	"github.com/hookbay/hookbay/receiver/config"
)

// ReceiverOptions say what a receiver is measured with.
type ReceiverOptions struct {
	// Program is the receiver's program.
	Program string
	// Dir is where its configuration, its credentials and its data are, as in a pod. What is there already is used again.
	Dir string
	// Sources are the types of the sources, an endpoint each.
	Sources []string
	// Target is the URL that is delivered to. Empty: delivery is suspended.
	Target string
	// To, if set, is where is delivered to in place of Target.
	To *config.Target
	// Buffer is how events are kept.
	Buffer config.Buffer
	// CPUs are the processors that it may use; none means all.
	CPUs []int
}

// Receiver is the receiver under load.
type Receiver struct {
	*Process
	// Admin is where it tells of itself.
	Admin string
	// Started is the moment before it was started, and Ready how long it took from there until it said that it can store.
	Started time.Time
	Ready   time.Duration
}

// readyTimeout is how long a receiver may take to be ready.
const readyTimeout = 5 * time.Minute

// StartReceiver starts a receiver, and waits until it is ready.
func StartReceiver(ctx context.Context, o ReceiverOptions) (*Receiver, error) {
	if err := o.write(); err != nil {
		return nil, err
	}
	addresses, err := process.FreeAddresses(ctx, 2)
	if err != nil {
		return nil, err
	}
	listen, admin := addresses[0], addresses[1]
	r := &Receiver{Admin: admin, Started: time.Now()}
	r.Process, err = start(exec.CommandContext(ctx, o.Program, //nolint:gosec // the program to be measured
		"-config", filepath.Join(o.Dir, "config.json"), "-secrets-dir", filepath.Join(o.Dir, "secrets"), "-data-dir", filepath.Join(o.Dir, "data"),
		"-listen", listen, "-admin", admin, "-forbid-loopback=false", "-drain-delay", "0s", "-log-level", "warn"), o.CPUs)
	if err != nil {
		return nil, err
	}
	r.Addr = listen
	if err := r.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, r.Kill())
	}
	return r, nil
}

func (r *Receiver) awaitReady(ctx context.Context) error {
	for time.Since(r.Started) < readyTimeout {
		_, err := get(ctx, "http://"+r.Admin+"/readyz")
		if err == nil {
			r.Ready = time.Since(r.Started)
			return nil
		}
		if err := r.Alive(); err != nil {
			return err
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("the receiver is not ready after %v", readyTimeout)
}

// write writes configuration and credentials.
func (o *ReceiverOptions) write() error {
	var c config.Config
	for _, name := range []string{"secrets", "data"} {
		if err := os.MkdirAll(filepath.Join(o.Dir, name), 0o750); err != nil {
			return err
		}
	}
	for _, typ := range o.Sources {
		source, secrets := load.Source(typ)
		e := config.Endpoint{
			Namespace: "bench", Name: strings.ToLower(typ), Path: load.Path(typ), Source: source, Buffer: o.Buffer,
			Target: config.Target{Type: config.TargetHTTP, URL: o.Target},
		}
		switch {
		case o.To != nil:
			e.Target = *o.To
		case o.Target == "":
			e.Delivery.Suspend, e.Target.URL = true, "http://127.0.0.1:1/"
		}
		c.Endpoints = append(c.Endpoints, e)
		for file, secret := range secrets {
			if err := os.WriteFile(filepath.Join(o.Dir, "secrets", string(file)), []byte(secret), 0o600); err != nil {
				return err
			}
		}
	}
	document, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.Dir, "config.json"), document, 0o600)
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
