package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/hack/e2e/control"
)

// endpoint is a WebhookEndpoint and what its platform knows of it.
type endpoint struct {
	name        string
	sample      string // folder in config/samples
	source, app string
	secret, key string
	credential  string // that the platform signs with
}

// The samples, as they are in config/samples.
func lazadaSample() *endpoint {
	return &endpoint{
		name: "lazada-im", sample: "lazada", source: control.Lazada, app: "100132",
		secret: "lazada-app", key: "app-secret", credential: "kX7s2Qv9LmT4bWn8RcYd1ZpE6HgJ0uAf",
	}
}

func tencentSample() *endpoint {
	return &endpoint{
		name: "tencent-im", sample: "tencentim", source: control.TencentIM, app: "1400000001",
		secret: "tencent-im", key: "token", credential: "tok-3f9A7c2E5b8D1064",
	}
}

func (e *endpoint) objectKey() client.ObjectKey {
	return client.ObjectKey{Namespace: shop, Name: e.name}
}

// podLabels are those of all receivers of the endpoint.
func (e *endpoint) podLabels() map[string]string {
	return map[string]string{"app.kubernetes.io/managed-by": "hookbay", "app.kubernetes.io/instance": e.name}
}

// url is what is entered at the platform.
func (e *endpoint) url() string { return "http://hooks.example.com/" + shop + "/" + e.name }

// apply creates the Secrets and WebhookEndpoints of the samples, unless they are there, and waits until the endpoints are well.
func (c *cluster) apply(t *testing.T) {
	t.Helper()
	for _, e := range c.samples() {
		c.create(t, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: e.secret}, StringData: map[string]string{e.key: e.credential},
		})
		c.create(t, sample(t, e))
	}
	for _, e := range c.samples() {
		c.waitWell(t, e, 2, nil)
	}
}

// samples are the endpoints that features have in common.
func (c *cluster) samples() []*endpoint { return []*endpoint{c.lazada, c.tencent} }

// create creates an object that may be there already.
func (c *cluster) create(t *testing.T, o client.Object) {
	t.Helper()
	if err := c.Create(t.Context(), o); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
}

// sample is the endpoint's manifest, which retries often: the tests wait for it.
func sample(t *testing.T, e *endpoint) *hookbayv1alpha1.WebhookEndpoint {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../../config/samples", e.sample, "endpoint.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	w := &hookbayv1alpha1.WebhookEndpoint{}
	if err := yaml.UnmarshalStrict(text, w); err != nil {
		t.Fatal(err)
	}
	w.Spec.Delivery.Retry.MaxInterval = &metav1.Duration{Duration: 5 * time.Second}
	return w
}

// get reads the endpoint.
func (c *cluster) get(ctx context.Context, e *endpoint) (*hookbayv1alpha1.WebhookEndpoint, error) {
	w := &hookbayv1alpha1.WebhookEndpoint{}
	return w, c.Get(ctx, e.objectKey(), w)
}

// change changes the endpoint's spec.
func (c *cluster) change(t *testing.T, e *endpoint, mutate func(*hookbayv1alpha1.WebhookEndpointSpec)) {
	t.Helper()
	w, err := c.get(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	before := w.DeepCopy()
	mutate(&w.Spec)
	if err := c.Patch(t.Context(), w, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// waitWell waits until the endpoint is Ready, as of its newest generation, and has so many receivers, all ready and as wanted, and no others.
func (c *cluster) waitWell(t *testing.T, e *endpoint, replicas int, wanted func(*corev1.Pod) error) {
	t.Helper()
	waitFor(t, e.name+" is well", func(ctx context.Context) error {
		pods, err := c.pods(ctx, shop, e.podLabels())
		if err != nil {
			return err
		}
		if err := allReady(pods, replicas, wanted); err != nil {
			return err
		}
		w, err := c.get(ctx, e)
		if err != nil {
			return err
		}
		r := condition(w, hookbayv1alpha1.ConditionReady)
		if w.Status.ObservedGeneration != w.Generation || r.ObservedGeneration != w.Generation || r.Status != metav1.ConditionTrue {
			return fmt.Errorf("generation %d, seen %d, Ready %s as of %d: %s: %s",
				w.Generation, w.Status.ObservedGeneration, r.Status, r.ObservedGeneration, r.Reason, r.Message)
		}
		return nil
	})
}

// receivers are the endpoint's pods.
func (c *cluster) receivers(t *testing.T, e *endpoint) []corev1.Pod {
	t.Helper()
	pods, err := c.pods(t.Context(), shop, e.podLabels())
	if err != nil {
		t.Fatal(err)
	}
	return pods
}
