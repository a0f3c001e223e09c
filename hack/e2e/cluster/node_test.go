package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"
	frame "sigs.k8s.io/e2e-framework/pkg/types"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/hack/e2e/control"
)

// nodeLost ends a node that has receivers with events on their volumes. Until the cluster has noticed, which takes most of a minute, any Service goes
// on leading callbacks there; from then on none fails. What is on the node's volumes waits there, and the status says so.
func (c *cluster) nodeLost() frame.Feature {
	var (
		before, meanwhile, afterwards *callbacks

		node string
		lost []lostReceiver

		waiting = map[string]int64{} // on that node, by the endpoint's name
	)
	f := features.New("a node that is lost keeps what is on its volumes, and the status tells how much")
	if os.Getenv(killNodeHook) == "" {
		return f.Assess("a node is killed", step(func(t *testing.T) { t.Skip(killNodeHook + " is not set") })).Feature()
	}
	return f.
		WithSetup("events wait for the target", step(func(t *testing.T) {
			c.begin(t)
			c.tell(t, "target", control.Target{Status: http.StatusServiceUnavailable})
			c.feature.Cleanup(func() { c.targetBack(c.feature) })
			before = c.startCallbacks(t, c.samples()...)
			before.stop(t)
			for _, e := range c.samples() {
				c.waitCounted(t, e, before)
			}
			node = c.nodeOfReceivers(t)
			lost = c.receiversOn(t, node)
		})).
		Assess("the cluster leads callbacks to the other receivers", step(func(t *testing.T) {
			c.lostNode = node
			if err := callHook(t.Context(), os.Getenv(killNodeHook), node); err != nil {
				t.Fatal(err)
			}
			killed := time.Now()
			meanwhile = c.beginCallbacks(t, c.serviceAddress, c.samples()...)
			for _, r := range lost {
				c.waitOutOfService(t, r.endpoint, r.ip)
			}
			// That is what the API server knows; the nodes' proxies hear of it later.
			for _, e := range c.samples() {
				c.waitServed(t, e, control.Load{URL: e.url(), Dial: c.secondAddress(t, e), Interval: time.Second}, 40)
			}
			t.Logf("Callbacks were led to %s, too, for %s.", node, time.Since(killed).Round(time.Second))
		})).
		Assess("no callback fails from then on", step(func(t *testing.T) {
			afterwards = c.beginCallbacks(t, c.secondAddress, c.samples()...)
			afterwards.waitAnswered(t)
			noneFailed(t, afterwards.stop(t))
		})).
		Assess("the status says how many events wait, and on which node", step(func(t *testing.T) {
			for _, r := range lost {
				s := c.waitStatus(t, r, func(s *hookbayv1alpha1.ReceiverStatus, workload string) bool {
					return s.Node == node && !s.Ready && s.SilentSince != nil && s.Backlog != nil && strings.Contains(workload, node)
				})
				waiting[r.endpoint.name] += *s.Backlog
				t.Logf("%s: %d events wait on node %s, silent since %s", s.Name, *s.Backlog, s.Node, s.SilentSince.UTC().Format(time.TimeOnly))
			}
		})).
		Assess("all other events are delivered, in order", step(func(t *testing.T) {
			c.targetBack(t)
			inOrder(t, afterwards.end(t))
			reports := meanwhile.end(t)
			inOrder(t, reports)
			onlyConnectionsFailed(t, reports)
			for _, e := range c.samples() {
				before.waitAllBut(t, e, waiting[e.name])
			}
		})).
		Assess("what the status says to do brings receivers on other nodes", step(func(t *testing.T) {
			c.replaceLost(t, node, lost)
			again := c.beginCallbacks(t, c.secondAddress, c.samples()...)
			again.waitAnswered(t)
			reports := again.end(t)
			noneFailed(t, reports)
			inOrder(t, reports)
		})).
		Feature()
}

// replaceLost does what the status says of a node that is gone for good, with volumes that no other node can have: it deletes the node, and gives up what
// is on the volumes.
func (c *cluster) replaceLost(t *testing.T, node string, lost []lostReceiver) {
	t.Helper()
	if err := c.Delete(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}); err != nil {
		t.Fatal(err)
	}
	for _, r := range lost {
		advice := "kubectl delete pvc -n " + shop + " " + r.name
		c.waitStatus(t, r, func(s *hookbayv1alpha1.ReceiverStatus, workload string) bool {
			return s.Backlog != nil && strings.Contains(workload, advice) && !strings.Contains(workload, "kubectl delete node")
		})
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: r.name}}
		if err := c.Delete(t.Context(), claim); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range c.samples() {
		c.waitWell(t, e, 2, nil)
	}
}

// lostReceiver is a receiver on a node that is lost.
type lostReceiver struct {
	endpoint *endpoint
	name, ip string // its Deployment, and its pod's address
}

func (c *cluster) receiversOn(t *testing.T, node string) []lostReceiver {
	t.Helper()
	var lost []lostReceiver
	for _, e := range c.samples() {
		for _, p := range c.receivers(t, e) {
			if p.Spec.NodeName == node {
				lost = append(lost, lostReceiver{endpoint: e, name: deploymentOf(&p), ip: p.Status.PodIP})
			}
		}
	}
	return lost
}

// deploymentOf is the pod's name without what Deployment and ReplicaSet append.
func deploymentOf(p *corev1.Pod) string {
	parts := strings.Split(p.Name, "-")
	return strings.Join(parts[:len(parts)-2], "-")
}

// waitStatus waits until an entry of status.receivers, and the message of WorkloadReady, are as wanted.
func (c *cluster) waitStatus(t *testing.T, r lostReceiver, wanted func(s *hookbayv1alpha1.ReceiverStatus, workload string) bool) *hookbayv1alpha1.ReceiverStatus {
	t.Helper()
	var found *hookbayv1alpha1.ReceiverStatus
	waitFor(t, "the status tells of "+r.name, func(ctx context.Context) error {
		w, err := c.get(ctx, r.endpoint)
		if err != nil {
			return err
		}
		workload := condition(w, hookbayv1alpha1.ConditionWorkloadReady).Message
		for i := range w.Status.Receivers {
			if s := &w.Status.Receivers[i]; s.Name == r.name && wanted(s, workload) {
				found = s
				return nil
			}
		}
		return fmt.Errorf("receivers: %+v; WorkloadReady: %s", w.Status.Receivers, workload)
	})
	return found
}

// secondAddress is that of one more Service of the endpoint's receivers. When a connection got no answer, the kernel leads the next one from the same
// port to the same Service to the same place, for two minutes: as good as nothing to platforms, whose addresses are many, but not to one pod.
func (c *cluster) secondAddress(t *testing.T, e *endpoint) string {
	t.Helper()
	var first corev1.Service
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: shop, Name: e.name + "-receiver"}, &first); err != nil {
		t.Fatal(err)
	}
	second := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: e.name + "-second"},
		Spec:       corev1.ServiceSpec{Selector: first.Spec.Selector, Ports: first.Spec.Ports},
	}
	c.create(t, second)
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(second), second); err != nil {
		t.Fatal(err)
	}
	return address(second)
}

// onlyConnectionsFailed counts the callbacks that nobody answered, and wants no others to have failed.
func onlyConnectionsFailed(t *testing.T, reports map[string]control.Report) {
	t.Helper()
	for e, r := range reports {
		t.Logf("%s: %d of %d callbacks failed until the cluster had noticed", e, r.Failed, r.Sent)
		for _, f := range r.Failures {
			if f.Kind == control.Answer {
				t.Errorf("failed otherwise than by a connection: %s", f)
			}
		}
	}
}

// waitAllBut waits until all events of an endpoint are delivered but so many.
func (f *callbacks) waitAllBut(t *testing.T, e *endpoint, waiting int64) {
	t.Helper()
	waitFor(t, fmt.Sprintf("all events of %s are delivered but %d", e.name, waiting), func(ctx context.Context) error {
		r, err := f.report(ctx, e.name)
		if err == nil && int64(r.Missing) != waiting {
			err = fmt.Errorf("%s", &r)
		}
		return err
	})
}

// waitCounted waits until the status of an endpoint counts as many events as are acknowledged and not delivered.
func (c *cluster) waitCounted(t *testing.T, e *endpoint, calls *callbacks) {
	t.Helper()
	waitFor(t, "the status of "+e.name+" counts what is not delivered", func(ctx context.Context) error {
		r, err := calls.report(ctx, e.name)
		if err != nil {
			return err
		}
		w, err := c.get(ctx, e)
		if err != nil {
			return err
		}
		counted := int64(0)
		for _, s := range w.Status.Receivers {
			if s.Backlog != nil {
				counted += *s.Backlog
			}
		}
		if counted != int64(r.Missing) {
			return fmt.Errorf("%d are not delivered, receivers: %+v", r.Missing, w.Status.Receivers)
		}
		return nil
	})
}

// inService is an error while the endpoint's Service leads callbacks to this address.
func (c *cluster) inService(ctx context.Context, e *endpoint, ip string) error {
	var slices discoveryv1.EndpointSliceList
	err := c.List(ctx, &slices, client.InNamespace(shop), client.MatchingLabels{discoveryv1.LabelServiceName: e.name + "-receiver"})
	if err != nil {
		return err
	}
	for _, s := range slices.Items {
		for _, p := range s.Endpoints {
			if p.Addresses[0] == ip && (p.Conditions.Ready == nil || *p.Conditions.Ready) {
				return errors.New("it is still ready")
			}
		}
	}
	return nil
}
