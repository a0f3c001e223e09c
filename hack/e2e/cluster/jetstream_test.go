package cluster

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"
	frame "sigs.k8s.io/e2e-framework/pkg/types"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/hack/e2e/control"
)

// streamRate is how many callbacks a second come to the endpoint of a stream, at most: six receivers and three servers share the machine with
// all else.
const streamRate = 50

func roomsEndpoint() *endpoint {
	return &endpoint{
		name: "rooms", sample: "lazada", source: control.Lazada, app: "100132", secret: "rooms", key: "app-secret", credential: "r4TgB8nMk2WxQ6zLpV1c",
	}
}

// streamScaled has receivers without volumes share a stream of three NATS servers, and come and go under load. Order and loss are judged over all of
// them, as their pods are of one Deployment, which the counterpart takes for one replica.
func (c *cluster) streamScaled() frame.Feature {
	var (
		rooms   = roomsEndpoint()
		calls   *callbacks
		reports map[string]control.Report
	)
	scaleTo := func(replicas int32) features.Func {
		return step(func(t *testing.T) {
			c.scale(t, rooms, replicas)
			c.waitWell(t, rooms, int(replicas), nil)
			calls.waitAnswered(t)
		})
	}
	return features.New("no callback fails while receivers that share a stream are scaled from 2 to 6 and back").
		WithSetup("three servers of NATS, and an endpoint whose events they keep", step(func(t *testing.T) {
			c.watch(t)
			c.startNATS(t)
			c.makeRooms(t, rooms, func(*hookbayv1alpha1.Receiver) {})
			calls = c.startRooms(t, rooms)
		})).
		Assess("there are two receivers, without volumes", step(func(t *testing.T) { c.noVolumes(t, rooms) })).
		Assess("there are six", scaleTo(6)).
		Assess("there are two again", scaleTo(2)).
		Assess("an autoscaler decides", step(func(t *testing.T) {
			c.autoscale(t, rooms)
			calls.waitAnswered(t)
		})).
		Assess("every event is delivered", step(func(t *testing.T) { reports = calls.end(t) })).
		Assess("no callback failed", step(func(t *testing.T) { noneFailed(t, reports) })).
		Assess("each subject's events came in order, whichever receiver delivered them", step(func(t *testing.T) { inOrder(t, reports) })).
		Assess("nothing is lost while each server is lost with its disk, one after another", step(func(t *testing.T) {
			calls = c.startRooms(t, rooms)
			c.loseServers(t, calls)
			reports = calls.end(t)
			onlyRefused(t, reports)
			inOrder(t, reports)
		})).
		Assess("the status tells of no backlog", step(func(t *testing.T) {
			waitFor(t, "the backlog is told", func(ctx context.Context) error {
				w, err := c.get(ctx, rooms)
				if err == nil && (w.Status.Traffic == nil || w.Status.Traffic.Backlog != 0 || w.Status.Traffic.LastAcceptedTime == nil) {
					err = fmt.Errorf("traffic: %+v", w.Status.Traffic)
				}
				return err
			})
		})).
		Assess("the status says when the servers are away", step(func(t *testing.T) {
			c.stopNATS(t)
			waitFor(t, "WorkloadReady says so", func(ctx context.Context) error {
				w, err := c.get(ctx, rooms)
				if err != nil {
					return err
				}
				is := condition(w, hookbayv1alpha1.ConditionWorkloadReady)
				if is.Status != metav1.ConditionFalse || is.Reason != hookbayv1alpha1.ReasonBufferAway {
					return fmt.Errorf("%s: %s: %s", is.Status, is.Reason, is.Message)
				}
				t.Log(is.Message)
				return nil
			})
		})).
		Feature()
}

// startRooms has callbacks come.
func (c *cluster) startRooms(t *testing.T, e *endpoint) *callbacks {
	t.Helper()
	calls := &callbacks{c: c, loads: map[string]string{}}
	calls.start(t, e, control.Load{URL: e.url(), Dial: c.serviceAddress(t, e), Subjects: min(*rateFlag, streamRate), Interval: time.Second})
	calls.waitAnswered(t)
	return calls
}

// onlyRefused checks that callbacks which failed were refused with 503, so that the platform knows that they were not stored.
func onlyRefused(t *testing.T, reports map[string]control.Report) {
	t.Helper()
	for e, r := range reports {
		t.Logf("%d of %d callbacks to %s were refused", r.Failed+r.Slow, r.Sent, e)
		for _, f := range r.Failures {
			if f.Kind != control.Answer || f.Status != http.StatusServiceUnavailable {
				t.Errorf("failed otherwise than by a refusal: %s", f)
			}
		}
	}
}

// makeRooms makes the endpoint, and waits until it is well. It goes before the servers do.
func (c *cluster) makeRooms(t *testing.T, e *endpoint, change func(*hookbayv1alpha1.Receiver)) {
	t.Helper()
	c.create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: e.secret}, StringData: map[string]string{e.key: e.credential},
	})
	w := sample(t, e)
	w.Name = e.name
	w.Spec.Source.Lazada.AppSecretRefs = []hookbayv1alpha1.SecretKeyRef{{Name: e.secret, Key: e.key}}
	w.Spec.Buffer = hookbayv1alpha1.Buffer{Type: hookbayv1alpha1.BufferJetStream, JetStream: &hookbayv1alpha1.JetStreamBuffer{
		NATS: hookbayv1alpha1.NATS{URLs: []string{natsURL()}}, Replicas: natsServers, MaxBytes: new(resource.MustParse("256Mi")), // which servers reserve
	}}
	change(&w.Spec.Receiver)
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

// scale is kubectl scale.
func (c *cluster) scale(t *testing.T, e *endpoint, replicas int32) {
	t.Helper()
	w := &hookbayv1alpha1.WebhookEndpoint{ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: e.name}}
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
	if err := c.SubResource("scale").Patch(t.Context(), w, patch, client.WithSubResourceBody(&autoscalingv1.Scale{})); err != nil {
		t.Fatal(err)
	}
}

// noVolumes checks that one Deployment has all receivers, and that there is no claim.
func (c *cluster) noVolumes(t *testing.T, e *endpoint) {
	t.Helper()
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: shop, Name: e.name + "-receiver"}, &appsv1.Deployment{}); err != nil {
		t.Fatal(err)
	}
	var claims corev1.PersistentVolumeClaimList
	if err := c.List(t.Context(), &claims, client.InNamespace(shop), client.MatchingLabels(e.podLabels())); err != nil {
		t.Fatal(err)
	}
	if n := len(claims.Items); n > 0 {
		t.Errorf("there are %d volume claims", n)
	}
}

// autoscale leaves the number to an autoscaler. Not every cluster measures CPU, so what the autoscaler would do to the Deployment is done here: the
// manager must leave it as it is.
func (c *cluster) autoscale(t *testing.T, e *endpoint) {
	t.Helper()
	c.change(t, e, func(s *hookbayv1alpha1.WebhookEndpointSpec) {
		s.Receiver.Autoscaling = &hookbayv1alpha1.Autoscaling{MinReplicas: 2, MaxReplicas: 6}
	})
	key := client.ObjectKey{Namespace: shop, Name: e.name + "-receiver"}
	waitFor(t, "there is an autoscaler", func(ctx context.Context) error { return c.Get(ctx, key, &autoscalingv2.HorizontalPodAutoscaler{}) })
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":3}}`))
	if err := c.SubResource("scale").Patch(t.Context(), d, patch, client.WithSubResourceBody(&autoscalingv1.Scale{})); err != nil {
		t.Fatal(err)
	}
	c.waitWell(t, e, 3, nil)
}
