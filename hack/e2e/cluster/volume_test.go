package cluster

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"
	frame "sigs.k8s.io/e2e-framework/pkg/types"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/hack/e2e/control"
)

// volumeFull fills the volume of one of two receivers, while the target takes nothing.
func (c *cluster) volumeFull() frame.Feature {
	var (
		small         = &endpoint{name: "small", sample: "lazada", source: control.Lazada, app: "100132", secret: "small", key: "app-secret", credential: "s9DfG3hJk5LqW7eR1tYu"}
		full          corev1.Pod
		flood, calls  *callbacks
		flooded, came map[string]control.Report
	)
	return features.New("a volume that is full takes its receiver out of the Service until there is room").
		WithSetup("an endpoint with small volumes", step(func(t *testing.T) {
			c.begin(t)
			c.makeSmall(t, small)
		})).
		Assess("a receiver that can't store refuses with 503", step(func(t *testing.T) {
			c.tell(t, "target", control.Target{Status: http.StatusServiceUnavailable})
			c.feature.Cleanup(func() { c.targetBack(c.feature) })
			full = c.receivers(t, small)[0]
			flood = &callbacks{c: c, loads: map[string]string{}}
			straight := net.JoinHostPort(full.Status.PodIP, "8080")
			flood.start(t, small, control.Load{URL: small.url(), Dial: straight, Subjects: 20, Interval: 100 * time.Millisecond, Padding: 200_000})
			waitFor(t, "callbacks are refused", func(ctx context.Context) error {
				r, err := flood.report(ctx, small.name)
				if err == nil && r.Failed+r.Slow == 0 {
					err = fmt.Errorf("%s", &r)
				}
				return err
			})
		})).
		Assess("the status says that it is full", step(func(t *testing.T) {
			waitFor(t, "WorkloadReady is False because of "+full.Name, func(ctx context.Context) error {
				w, err := c.get(ctx, small)
				if err != nil {
					return err
				}
				is := condition(w, hookbayv1alpha1.ConditionWorkloadReady)
				if is.Status != metav1.ConditionFalse || is.Reason != hookbayv1alpha1.ReasonReceiversNotReady || !strings.Contains(is.Message, full.Name) {
					return fmt.Errorf("%s: %s: %s", is.Status, is.Reason, is.Message)
				}
				t.Logf("WorkloadReady: %s", is.Message)
				return nil
			})
			c.waitOutOfService(t, small, full.Status.PodIP)
		})).
		Assess("the other serves without a failed callback", step(func(t *testing.T) {
			calls = &callbacks{c: c, loads: map[string]string{}}
			calls.start(t, small, control.Load{URL: small.url(), Dial: c.serviceAddress(t, small), Subjects: 50, Interval: time.Second})
			calls.waitAnswered(t)
		})).
		Assess("there is room when the target takes events again", step(func(t *testing.T) {
			flood.stop(t)
			c.targetBack(t)
			c.waitWell(t, small, 2, nil)
			calls.waitAnswered(t)
		})).
		Assess("every event is delivered, in order", step(func(t *testing.T) {
			flooded, came = flood.end(t), calls.end(t)
			inOrder(t, flooded)
			inOrder(t, came)
		})).
		Assess("nothing failed but what the full receiver refused", step(func(t *testing.T) {
			noneFailed(t, came)
			for _, f := range flooded[small.name].Failures {
				if f.Status != http.StatusServiceUnavailable {
					t.Errorf("want answer 503: %s", f)
				}
			}
		})).
		Feature()
}

// makeSmall makes an endpoint whose volumes hold about a hundred MiB, and removes it at the end of the feature, with its volumes.
func (c *cluster) makeSmall(t *testing.T, e *endpoint) {
	t.Helper()
	c.create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: e.secret}, StringData: map[string]string{e.key: e.credential},
	})
	w := sample(t, e)
	w.Name = e.name
	w.Spec.Source.Lazada.AppSecretRefs = []hookbayv1alpha1.SecretKeyRef{{Name: e.secret, Key: e.key}}
	w.Spec.Buffer.Disk = &hookbayv1alpha1.DiskBuffer{Size: new(resource.MustParse("128Mi")), WhenDeleted: hookbayv1alpha1.WhenDeletedDelete}
	c.create(t, w)
	c.feature.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if err := c.Delete(ctx, w); client.IgnoreNotFound(err) != nil {
			c.feature.Error(err)
		}
	})
	c.waitWell(t, e, 2, nil)
}

// waitOutOfService waits until the Service leads nobody to this address.
func (c *cluster) waitOutOfService(t *testing.T, e *endpoint, ip string) {
	t.Helper()
	waitFor(t, ip+" is out of the Service", func(ctx context.Context) error {
		return c.inService(ctx, e, ip)
	})
}
