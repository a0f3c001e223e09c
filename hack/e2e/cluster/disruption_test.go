package cluster

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/envconf"
	"sigs.k8s.io/e2e-framework/pkg/features"
	frame "sigs.k8s.io/e2e-framework/pkg/types"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/hack/e2e/control"
)

// step is one that keeps the context: what steps share is in variables around them.
func step(do func(t *testing.T)) frame.StepFunc {
	return func(ctx context.Context, t *testing.T, _ *envconf.Config) context.Context {
		t.Helper()
		do(t)
		return ctx
	}
}

// noCallbackFailsWhile is the promise of this project: something happens under load, and neither platform notices, nor does the target.
func (c *cluster) noCallbackFailsWhile(what string, happens func(*testing.T, *callbacks)) frame.Feature {
	var (
		calls   *callbacks
		reports map[string]control.Report
	)
	return features.New("no callback fails while "+what).
		WithSetup("callbacks come", step(func(t *testing.T) {
			c.begin(t)
			calls = c.startCallbacks(t, c.samples()...)
		})).
		Assess("it happens", step(func(t *testing.T) {
			happens(t, calls)
			calls.waitAnswered(t)
		})).
		Assess("every event is delivered", step(func(t *testing.T) { reports = calls.end(t) })).
		Assess("no callback failed", step(func(t *testing.T) { noneFailed(t, reports) })).
		Assess("each subject's events came in order", step(func(t *testing.T) { inOrder(t, reports) })).
		Feature()
}

// begin prepares a feature: both endpoints are there and well. It is part of the feature's setup.
func (c *cluster) begin(t *testing.T) {
	t.Helper()
	c.watch(t)
	c.apply(t)
}

// watch shows what is in the cluster if the feature fails. What is to be undone at its end is left to its T from then on: those of steps end with these.
func (c *cluster) watch(t *testing.T) {
	t.Helper()
	c.feature = t
	t.Cleanup(func() {
		if t.Failed() {
			c.dump(t)
		}
	})
}

// upgrade is helm upgrade to the next version of both images.
func (c *cluster) upgrade(t *testing.T, _ *callbacks) {
	c.helm(t, "upgrade", release, *chartFlag, "--namespace", system, "--reuse-values",
		"--set", "image.tag="+*nextFlag, "--set", "receiverImage.tag="+*nextFlag, "--wait", "--timeout", patience.String())
	c.waitVersion(t, *nextFlag)
}

// rollBack is helm rollback to what was installed.
func (c *cluster) rollBack(t *testing.T, _ *callbacks) {
	c.helm(t, "rollback", release, "1", "--namespace", system, "--wait", "--timeout", patience.String())
	c.waitVersion(t, *versionFlag)
}

func (*cluster) helm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := helm(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// waitVersion waits until all that runs is of this version.
func (c *cluster) waitVersion(t *testing.T, tag string) {
	t.Helper()
	waitFor(t, "managers run "+tag, func(ctx context.Context) error { return c.managersReady(ctx, 2, imageTag(tag)) })
	c.waitWell(t, c.lazada, 2, imageTag(tag))
	c.waitWell(t, c.tencent, 2, imageTag(tag))
}

// killManagers deletes all managers at once, without giving them time, and then asks for something.
func (c *cluster) killManagers(t *testing.T, _ *callbacks) {
	pods, err := c.pods(t.Context(), system, managerLabels())
	if err != nil {
		t.Fatal(err)
	}
	for i := range pods {
		if err := c.Delete(t.Context(), &pods[i], client.GracePeriodSeconds(0)); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, "managers are back", func(ctx context.Context) error { return c.managersReady(ctx, 2, nil) })
	c.changeSpec(t, nil)
}

// doWithoutManager scales the manager away. A receiver whose pod is deleted comes back without it, and a change waits for it.
func (c *cluster) doWithoutManager(t *testing.T, calls *callbacks) {
	c.scaleManager(t, 0)
	waitFor(t, "there is no manager", func(ctx context.Context) error { return c.managersReady(ctx, 0, nil) })
	c.deleteOne(t, c.lazada)
	waitFor(t, "the pod is replaced", func(ctx context.Context) error {
		pods, err := c.pods(ctx, shop, c.lazada.podLabels())
		if err != nil {
			return err
		}
		return allReady(pods, 2, nil)
	})
	c.change(t, c.lazada, func(s *hookbayv1alpha1.WebhookEndpointSpec) { s.Delivery.MaxInFlight++ })
	calls.waitAnswered(t)
	c.scaleManager(t, 2)
	waitFor(t, "managers are back", func(ctx context.Context) error { return c.managersReady(ctx, 2, nil) })
	c.waitWell(t, c.lazada, 2, nil)
}

func (c *cluster) scaleManager(t *testing.T, replicas int) {
	t.Helper()
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: release + "-manager"}}
	if err := c.Patch(t.Context(), d, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))); err != nil {
		t.Fatal(err)
	}
}

// rotateCredential is what the README says: name the new one beside the old one, wait, change it at the platform, remove the old one.
func (c *cluster) rotateCredential(t *testing.T, calls *callbacks) {
	e := c.lazada
	old := hookbayv1alpha1.SecretKeyRef{Name: e.secret, Key: e.key}
	e.secret, e.credential = "lazada-app-2", "Zq3vB8nM1xW6cR9tY4uP7sK2fH5jD0gL"
	next := hookbayv1alpha1.SecretKeyRef{Name: e.secret, Key: e.key}
	c.create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: e.secret}, StringData: map[string]string{e.key: e.credential},
	})
	c.change(t, e, func(s *hookbayv1alpha1.WebhookEndpointSpec) {
		s.Source.Lazada.AppSecretRefs = []hookbayv1alpha1.SecretKeyRef{old, next}
	})
	c.waitWell(t, e, 2, nil)
	calls.sign(t, e)
	calls.waitAnswered(t)
	c.change(t, e, func(s *hookbayv1alpha1.WebhookEndpointSpec) {
		s.Source.Lazada.AppSecretRefs = []hookbayv1alpha1.SecretKeyRef{next}
	})
	c.waitWell(t, e, 2, nil)
}

// changeSpec changes what takes no restart, and wants no pod to have been restarted.
func (c *cluster) changeSpec(t *testing.T, _ *callbacks) {
	for _, e := range c.samples() {
		before := uids(c.receivers(t, e))
		c.change(t, e, func(s *hookbayv1alpha1.WebhookEndpointSpec) { s.Delivery.MaxInFlight++ })
		c.waitWell(t, e, 2, func(p *corev1.Pod) error {
			if !slices.Contains(before, p.UID) {
				return fmt.Errorf("was not there before")
			}
			return nil
		})
	}
}

func uids(pods []corev1.Pod) []types.UID {
	var list []types.UID
	for i := range pods {
		list = append(list, pods[i].UID)
	}
	return list
}

// deletePod deletes one receiver's pod of each endpoint.
func (c *cluster) deletePod(t *testing.T, _ *callbacks) {
	for _, e := range c.samples() {
		c.deleteOne(t, e)
	}
	for _, e := range c.samples() {
		c.waitWell(t, e, 2, nil)
	}
}

// deleteOne deletes a receiver's pod. When it returns, the API server knows that the pod goes.
func (c *cluster) deleteOne(t *testing.T, e *endpoint) {
	t.Helper()
	victim := c.receivers(t, e)[0]
	if err := c.Delete(t.Context(), &victim); err != nil {
		t.Fatal(err)
	}
}

// drainNode does what kubectl drain does, and lets the node be used again when it is empty.
func (c *cluster) drainNode(t *testing.T, calls *callbacks) {
	node := c.nodeOfReceivers(t)
	c.cordon(t, node, true)
	c.feature.Cleanup(func() { c.cordon(c.feature, node, false) })
	waitFor(t, "node "+node+" is drained", func(ctx context.Context) error { return c.evictAll(ctx, node) })
	calls.waitAnswered(t)
	c.cordon(t, node, false)
	c.waitWell(t, c.lazada, 2, nil)
	c.waitWell(t, c.tencent, 2, nil)
	waitFor(t, "managers are back", func(ctx context.Context) error { return c.managersReady(ctx, 2, nil) })
}

// nodeOfReceivers is a node that has receivers, as many as possible, and may go.
func (c *cluster) nodeOfReceivers(t *testing.T) string {
	t.Helper()
	count := map[string]int{}
	for _, e := range c.samples() {
		for _, p := range c.receivers(t, e) {
			count[p.Spec.NodeName]++
		}
	}
	delete(count, c.home)
	best := ""
	for node, n := range count {
		if best == "" || n > count[best] || n == count[best] && node < best {
			best = node
		}
	}
	if best == "" {
		t.Fatalf("no receiver is on a node other than %s", c.home)
	}
	return best
}

// cordon keeps new pods from a node, or lets them come again. It works after the test's end, too.
func (c *cluster) cordon(t *testing.T, node string, yes bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}
	if err := c.Patch(ctx, n, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"unschedulable":%t}}`, yes))); err != nil {
		t.Errorf("cordon node %s (%t): %v", node, yes, err)
	}
}

// evictAll asks for the eviction of each pod of a node, but for those of DaemonSets and of the node itself, which nobody can move. It returns nil when
// they are gone. A budget that a pod is under may refuse for the moment.
func (c *cluster) evictAll(ctx context.Context, node string) error {
	var list corev1.PodList
	if err := c.List(ctx, &list, client.MatchingFields{"spec.nodeName": node}); err != nil {
		return err
	}
	var left []string
	for i := range list.Items {
		p := &list.Items[i]
		owner := metav1.GetControllerOf(p)
		if owner != nil && owner.Kind == "DaemonSet" || p.Annotations[corev1.MirrorPodAnnotationKey] != "" {
			continue
		}
		left = append(left, p.Name)
		if p.DeletionTimestamp != nil {
			continue
		}
		err := c.kube.PolicyV1().Evictions(p.Namespace).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name}})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsTooManyRequests(err) {
			return err
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("still there: %v", left)
	}
	return nil
}

// scaleOutAndIn goes from two receivers to four and back, as kubectl scale does.
func (c *cluster) scaleOutAndIn(t *testing.T, calls *callbacks) {
	for _, replicas := range []int32{4, 2} {
		for _, e := range c.samples() {
			c.change(t, e, func(s *hookbayv1alpha1.WebhookEndpointSpec) { s.Receiver.Replicas = &replicas })
		}
		for _, e := range c.samples() {
			c.waitWell(t, e, int(replicas), nil)
		}
		calls.waitAnswered(t)
	}
}

// targetAway takes the target away, for -e2e.away. What has been acknowledged waits, and the status says how much.
func (c *cluster) targetAway(t *testing.T, calls *callbacks) {
	c.tell(t, "target", control.Target{Away: true})
	c.feature.Cleanup(func() { c.targetBack(c.feature) })
	select { // not to wait for something: this is how long the load is to last
	case <-time.After(*awayFlag):
	case <-t.Context().Done():
	}
	for _, e := range c.samples() {
		waitFor(t, "the status of "+e.name+" tells of the backlog", func(ctx context.Context) error {
			w, err := c.get(ctx, e)
			if err == nil && (w.Status.Traffic == nil || w.Status.Traffic.Backlog == 0) {
				err = fmt.Errorf("traffic: %+v", w.Status.Traffic)
			}
			return err
		})
	}
	c.targetBack(t)
	calls.waitAnswered(t)
}

// targetBack has the target take everything again. It works after the test's end, too.
func (c *cluster) targetBack(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	if answer, err := c.ask(ctx, "PUT", "target", []byte("{}")); err != nil {
		t.Errorf("the target does not come back: %v: %s", err, answer)
	}
}

// reinstall uninstalls the release, and installs it again while callbacks keep coming. What it looked after stays as it is meanwhile.
func (c *cluster) reinstall(t *testing.T, calls *callbacks) {
	before := append(uids(c.receivers(t, c.lazada)), uids(c.receivers(t, c.tencent))...)
	c.helm(t, "uninstall", release, "--namespace", system, "--wait")
	waitFor(t, "there is no manager", func(ctx context.Context) error { return c.managersReady(ctx, 0, nil) })
	calls.waitAnswered(t)
	if _, err := c.install(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, e := range c.samples() {
		c.change(t, e, func(s *hookbayv1alpha1.WebhookEndpointSpec) { s.Delivery.MaxInFlight++ }) // shows that there is a manager
		c.waitWell(t, e, 2, func(p *corev1.Pod) error {
			if !slices.Contains(before, p.UID) {
				return fmt.Errorf("was not there before")
			}
			return nil
		})
	}
}
