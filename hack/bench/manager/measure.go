package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

const (
	// writers is how many requests at once create and change endpoints.
	writers = 8
	// patience is far longer than anything takes here.
	patience = time.Hour
	// quiet is how long the manager must have asked nothing of the API server to count as done.
	quiet = 3 * time.Second
)

// result is what one number of endpoints showed.
type result struct {
	endpoints     int
	version       string // of Kubernetes
	create        phase
	rest          phase
	atRest        state // at its end
	change        phase
	restart       phase
	restartMemory float64 // resident, in bytes
}

// phase is what happened between two moments, the second of them when the manager was quiet.
type phase struct {
	took           time.Duration // until the last endpoint was there
	wall           time.Duration
	cpu            time.Duration // of the manager
	reads, writes  float64       // requests to the API server
	written        requests      // what for
	rounds, failed float64
}

// measure measures one number of endpoints, with an API server and a manager of its own.
func measure(ctx context.Context, o options, n int) (_ result, err error) {
	dir, err := os.MkdirTemp("", "hookbay-bench-")
	if err != nil {
		return result{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // scratch space
	progress("%d endpoints: starting an API server", n)
	server, err := startAPIServer(ctx, dir)
	defer func() { err = errors.Join(err, server.stop()) }()
	if err != nil {
		return result{}, err
	}
	clusterCtx, cancel := context.WithCancel(ctx)
	cluster, err := startCluster(clusterCtx, server)
	if err != nil {
		cancel()
		return result{}, err
	}
	defer func() {
		cancel()
		err = errors.Join(err, cluster.stop())
	}()
	b := &bench{options: o, n: n, server: server, cluster: cluster, log: filepath.Join(dir, "manager.log")}
	return b.run(ctx)
}

// bench is one measurement under way.
type bench struct {
	options

	n       int
	server  *apiServer
	cluster *cluster
	manager *manager
	log     string
}

func (b *bench) run(ctx context.Context) (r result, err error) {
	r = result{endpoints: b.n, version: b.server.version}
	if err := b.prepare(ctx); err != nil {
		return r, err
	}
	if b.manager, err = startManager(ctx, b.options, b.server.kubeconfig, b.log); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, b.manager.stop()) }()
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"creating endpoints", func() (err error) { r.create, err = b.converge(ctx, 1, b.create); return err }},
		{"at rest for " + b.rest.String(), func() (err error) { r.rest, r.atRest, err = b.watch(ctx); return err }},
		{"changing all", func() (err error) { r.change, err = b.converge(ctx, 2, b.change); return err }},
		{"starting the manager anew", func() (err error) { r.restart, r.restartMemory, err = b.restart(ctx); return err }},
	} {
		progress("%d endpoints: %s", b.n, step.name)
		if err := step.run(); err != nil {
			return r, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return r, nil
}

// prepare makes what is there before the endpoints.
func (b *bench) prepare(ctx context.Context) error {
	return b.each(ctx, (b.n+b.perNamespace-1)/b.perNamespace, func(ctx context.Context, i int) error {
		name := fmt.Sprintf("shop-%d", i)
		return errors.Join(
			b.cluster.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}),
			b.cluster.client.Create(ctx, &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "lazada-app"}, StringData: map[string]string{"app-secret": "of-the-benchmark"},
			}))
	})
}

// create makes endpoint i, as small as people write one.
func (b *bench) create(ctx context.Context, i int) error {
	return b.cluster.client.Create(ctx, &hookbayv1alpha1.WebhookEndpoint{
		ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprintf("shop-%d", i/b.perNamespace), Name: fmt.Sprintf("orders-%d", i)},
		Spec: hookbayv1alpha1.WebhookEndpointSpec{
			Source: hookbayv1alpha1.Source{Type: hookbayv1alpha1.SourceLazada, Lazada: &hookbayv1alpha1.LazadaSource{
				AppKey: "100132", AppSecretRefs: []hookbayv1alpha1.SecretKeyRef{{Name: "lazada-app", Key: "app-secret"}},
			}},
			Target: hookbayv1alpha1.Target{
				Type: hookbayv1alpha1.TargetService, Service: &hookbayv1alpha1.ServiceTarget{Name: "shop", Port: 8080},
			},
		},
	})
}

// change changes the spec of endpoint i in a way that running receivers take.
func (b *bench) change(ctx context.Context, i int) error {
	e := &hookbayv1alpha1.WebhookEndpoint{ObjectMeta: metav1.ObjectMeta{
		Namespace: fmt.Sprintf("shop-%d", i/b.perNamespace), Name: fmt.Sprintf("orders-%d", i),
	}}
	return b.cluster.client.Patch(ctx, e, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"delivery":{"maxInFlight":7}}}`)))
}

// each does something n times, a few at once.
func (b *bench) each(ctx context.Context, n int, do func(context.Context, int) error) error {
	var (
		next atomic.Int64
		wg   sync.WaitGroup
		errs = make([]error, writers)
	)
	for w := range writers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[w] == nil; i = int(next.Add(1)) - 1 {
				errs[w] = do(ctx, i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// converge does something to all endpoints, and waits until all have reached a generation and the manager is quiet.
func (b *bench) converge(ctx context.Context, generation int64, do func(context.Context, int) error) (phase, error) {
	before, err := b.reading(ctx)
	if err != nil {
		return phase{}, err
	}
	if err := b.each(ctx, b.n, do); err != nil {
		return phase{}, err
	}
	err = poll(ctx, 100*time.Millisecond, patience, "all endpoints", func() (bool, error) {
		n, _ := b.cluster.endpoints.at(generation)
		return n == b.n, b.manager.alive()
	})
	if err != nil {
		n, _ := b.cluster.endpoints.at(generation)
		return phase{}, fmt.Errorf("%w: %d of %d have reached generation %d", err, n, b.n, generation)
	}
	_, last := b.cluster.endpoints.at(generation)
	if err := b.settle(ctx); err != nil {
		return phase{}, err
	}
	after, err := b.reading(ctx)
	p := before.until(after)
	p.took = last.Sub(before.at)
	return p, err
}

// settle waits until the manager has asked nothing of the API server for a while.
func (b *bench) settle(ctx context.Context) error {
	asked, since := -1.0, time.Now()
	return poll(ctx, 500*time.Millisecond, patience, "the manager to be quiet", func() (bool, error) {
		s, err := b.manager.state(ctx)
		if now := s.reads + s.writes; now != asked {
			asked, since = now, time.Now()
		}
		return time.Since(since) > quiet, errors.Join(err, b.manager.alive())
	})
}

// watch looks at a manager at rest.
func (b *bench) watch(ctx context.Context) (phase, state, error) {
	before, err := b.reading(ctx)
	if err != nil {
		return phase{}, state{}, err
	}
	select {
	case <-time.After(b.rest):
	case <-ctx.Done():
		return phase{}, state{}, ctx.Err()
	}
	after, err := b.reading(ctx)
	return before.until(after), after.state, err
}

// restart stops the manager and starts it again. It has made its first pass when it has come to each endpoint and none waits.
func (b *bench) restart(ctx context.Context) (phase, float64, error) {
	if err := b.manager.stop(); err != nil {
		return phase{}, 0, err
	}
	asked, err := b.server.asked(ctx)
	if err != nil {
		return phase{}, 0, err
	}
	before := reading{state: state{at: time.Now()}, requests: asked}
	next, err := startManager(ctx, b.options, b.server.kubeconfig, b.log)
	if err != nil {
		return phase{}, 0, err
	}
	b.manager = next
	var passed time.Time
	err = poll(ctx, 50*time.Millisecond, patience, "the first pass", func() (bool, error) {
		s, err := b.manager.state(ctx)
		passed = s.at
		return s.rounds >= float64(b.n) && s.waiting == 0 && s.busy == 0, errors.Join(err, b.manager.alive())
	})
	if err != nil {
		return phase{}, 0, err
	}
	if err := b.settle(ctx); err != nil {
		return phase{}, 0, err
	}
	after, err := b.reading(ctx)
	p := before.until(after)
	p.took = passed.Sub(before.at)
	return p, after.resident, err
}

// reading is what both ends say at one moment.
type reading struct {
	state
	requests
}

func (b *bench) reading(ctx context.Context) (reading, error) {
	s, err := b.manager.state(ctx)
	if err != nil {
		return reading{}, fmt.Errorf("ask the manager for its metrics: %w", err)
	}
	r, err := b.server.asked(ctx)
	return reading{s, r}, err
}

func (r reading) until(after reading) phase {
	return phase{
		wall: after.at.Sub(r.at), cpu: after.cpu - r.cpu, reads: after.reads - r.reads, writes: after.writes - r.writes,
		written: after.minus(r.requests), rounds: after.rounds - r.rounds, failed: after.failed - r.failed,
	}
}
