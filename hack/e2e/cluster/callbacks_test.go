package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookbay/hookbay/hack/e2e/control"
)

// ask talks to the counterpart, through the API server.
func (c *cluster) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	return c.kube.CoreV1().RESTClient().Verb(method).Namespace(shop).Resource("pods").
		Name(net.JoinHostPort(counterpart, strconv.Itoa(control.Port))).SubResource("proxy").Suffix(path).Body(body).Do(ctx).Raw()
}

// tell is ask with a request in JSON, which must succeed.
func (c *cluster) tell(t *testing.T, path string, request any) {
	t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := c.ask(t.Context(), http.MethodPut, path, body); err != nil {
		t.Fatalf("counterpart: %s: %v: %s", path, err, answer)
	}
}

// callbacks are loads on endpoints, one each.
type callbacks struct {
	c     *cluster
	loads map[string]string // by the endpoint's name
}

// startCallbacks has the platforms call back, through the endpoints' Services, until the feature ends, and returns when they are answered.
func (c *cluster) startCallbacks(t *testing.T, to ...*endpoint) *callbacks {
	t.Helper()
	f := c.beginCallbacks(t, c.serviceAddress, to...)
	f.waitAnswered(t)
	return f
}

// beginCallbacks is startCallbacks by any way, without the wait.
func (c *cluster) beginCallbacks(t *testing.T, way func(*testing.T, *endpoint) (address string), to ...*endpoint) *callbacks {
	t.Helper()
	f := &callbacks{c: c, loads: map[string]string{}}
	for _, e := range to {
		f.start(t, e, control.Load{URL: e.url(), Dial: way(t, e), Subjects: *rateFlag, Interval: time.Second})
	}
	return f
}

// start starts one load; what it does not say is the endpoint's.
func (f *callbacks) start(t *testing.T, e *endpoint, load control.Load) {
	t.Helper()
	f.c.loads++
	name := fmt.Sprintf("%s-%d", e.name, f.c.loads)
	load.Source, load.App, load.Credential = e.source, e.app, e.credential
	f.c.tell(t, "loads/"+name, load)
	f.loads[e.name] = name
	f.c.feature.Cleanup(func() { // also when the test has failed
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if _, err := f.c.ask(ctx, http.MethodDelete, "loads/"+name, nil); err != nil {
			f.c.feature.Errorf("stop the callbacks: %v", err)
		}
	})
}

// serviceAddress is the endpoint's inside of the cluster. Platforms don't ask the cluster's DNS, so neither does the counterpart.
func (c *cluster) serviceAddress(t *testing.T, e *endpoint) string {
	t.Helper()
	var s corev1.Service
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: shop, Name: e.name + "-receiver"}, &s); err != nil {
		t.Fatal(err)
	}
	return address(&s)
}

func address(s *corev1.Service) string {
	return net.JoinHostPort(s.Spec.ClusterIP, strconv.Itoa(int(s.Spec.Ports[0].Port)))
}

// sign has the platform of an endpoint sign with its credential, which has changed.
func (f *callbacks) sign(t *testing.T, e *endpoint) {
	t.Helper()
	if answer, err := f.c.ask(t.Context(), http.MethodPut, "loads/"+f.loads[e.name]+"/credential", []byte(e.credential)); err != nil {
		t.Fatalf("counterpart: %v: %s", err, answer)
	}
}

// report is about the callbacks to one endpoint so far.
func (f *callbacks) report(ctx context.Context, endpoint string) (control.Report, error) {
	var r control.Report
	body, err := f.c.ask(ctx, http.MethodGet, "loads/"+f.loads[endpoint], nil)
	if err != nil {
		return r, fmt.Errorf("counterpart: %w", err)
	}
	return r, json.Unmarshal(body, &r)
}

// now is the time by the counterpart's clock.
func (f *callbacks) now(t *testing.T) time.Time {
	t.Helper()
	for e := range f.loads {
		r, err := f.report(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		return r.Now
	}
	t.Fatal("there are no callbacks")
	return time.Time{}
}

// waitAnswered waits until each endpoint has acknowledged some more callbacks than it had.
func (f *callbacks) waitAnswered(t *testing.T) {
	t.Helper()
	for e := range f.loads {
		before, err := f.report(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		waitFor(t, "callbacks to "+e+" are acknowledged", func(ctx context.Context) error {
			r, err := f.report(ctx, e)
			if err == nil && r.Acknowledged < before.Acknowledged+*rateFlag {
				err = fmt.Errorf("%s", &r)
			}
			return err
		})
	}
}

// waitServed waits until one callback of each of so many subjects is acknowledged, over as many ways as there are.
func (c *cluster) waitServed(t *testing.T, e *endpoint, load control.Load, subjects int) {
	t.Helper()
	load.Subjects = subjects
	waitFor(t, load.URL+" is served", func(ctx context.Context) error {
		probe := &callbacks{c: c, loads: map[string]string{}}
		probe.start(t, e, load)
		if err := poll(ctx, func(ctx context.Context) error {
			r, err := probe.report(ctx, e.name)
			if err == nil && r.Sent < subjects {
				err = fmt.Errorf("%s", &r)
			}
			return err
		}); err != nil {
			return err
		}
		probe.stop(t)
		r, err := probe.report(ctx, e.name)
		if err == nil && r.Failed > 0 {
			err = fmt.Errorf("%s\n%s", &r, list(r.Failures))
		}
		return err
	})
}

// stop ends the callbacks. The last of them have been answered, or have failed, when it reports.
func (f *callbacks) stop(t *testing.T) map[string]control.Report {
	t.Helper()
	var stopping sync.WaitGroup
	for _, load := range f.loads {
		stopping.Go(func() {
			if _, err := f.c.ask(t.Context(), http.MethodDelete, "loads/"+load, nil); err != nil {
				t.Errorf("stop the callbacks: %v", err)
			}
		})
	}
	stopping.Wait()
	reports := map[string]control.Report{}
	for e := range f.loads {
		r, err := f.report(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		reports[e] = r
	}
	return reports
}

// end ends the callbacks and waits until everything that was acknowledged is delivered. It fails when that makes no progress.
func (f *callbacks) end(t *testing.T) map[string]control.Report {
	t.Helper()
	reports := f.stop(t)
	for e := range f.loads {
		missing, since := -1, time.Now()
		for {
			r, err := f.report(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			reports[e] = r
			if r.Missing == 0 {
				break
			}
			if r.Missing != missing {
				missing, since = r.Missing, time.Now()
			}
			if time.Since(since) > patience {
				t.Fatalf("events of %s are acknowledged and not delivered: %s", e, &r)
			}
			select {
			case <-time.After(pause):
			case <-t.Context().Done():
				t.Fatal("the test was ended while it waited")
			}
		}
		r := reports[e]
		t.Logf("%s: %s", e, &r)
	}
	return reports
}

// noneFailed checks that no callback failed. Answers that were too late count with -e2e.in-time only: they tell more about the machine.
func noneFailed(t *testing.T, reports map[string]control.Report) {
	t.Helper()
	for e, r := range reports {
		if r.Failed > 0 {
			t.Errorf("%d of %d callbacks to %s failed:\n%s", r.Failed, r.Sent, e, list(r.Failures))
		}
		if *inTimeFlag && r.Late+r.Slow > 0 {
			t.Errorf("%d of %d callbacks to %s were answered too late, and %d refused as it was too late to store them", r.Late, r.Sent, e, r.Slow)
		}
	}
}

// inOrder checks that each subject's events came in order within a replica, and none twice.
func inOrder(t *testing.T, reports map[string]control.Report) {
	t.Helper()
	for e, r := range reports {
		if len(r.Disordered) > 0 {
			t.Errorf("events of %s came out of order:\n%s", e, strings.Join(r.Disordered[:min(len(r.Disordered), 20)], "\n"))
		}
	}
}

func list(failures []control.Failure) string {
	var lines []string
	for _, f := range failures[:min(len(failures), 20)] {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}
