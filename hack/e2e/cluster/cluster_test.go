package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/envconf"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// The namespaces. shop and system enforce Pod Security "restricted".
const (
	shop   = "shop"           // endpoints, their receivers and their target
	system = "hookbay-system" // the manager
	tools  = "hookbay-e2e"    // what the tests run with more rights
)

const (
	// patience is how long a test waits for something that takes seconds on an idle machine. Only a hang exceeds it.
	patience = 5 * time.Minute
	pause    = 500 * time.Millisecond
)

// cluster is what features work on.
type cluster struct {
	config *rest.Config
	client.Client
	kube kubernetes.Interface

	// feature is what is being tested: see watch.
	feature *testing.T
	// home is the node of the counterpart, which no test drains or kills.
	home string
	// lostNode is the one that was killed, if one was.
	lostNode string
	// loads counts them, to name them.
	loads int
	// made are the namespaces that this run made.
	made []string
	// definedBefore: the definition of WebhookEndpoint is somebody else's, and stays.
	definedBefore bool
	// The endpoints that most features have in common.
	lazada, tencent *endpoint
}

// connect reads the kubeconfig.
func (c *cluster) connect(ctx context.Context, cfg *envconf.Config) (context.Context, error) {
	r := cfg.Client().Resources() // takes -kubeconfig, $KUBECONFIG and -context
	for _, add := range []func(*runtime.Scheme) error{hookbayv1alpha1.AddToScheme, apiextensionsv1.AddToScheme, gatewayv1.Install} {
		if err := add(r.GetScheme()); err != nil {
			return ctx, err
		}
	}
	c.config = rest.CopyConfig(r.GetConfig())
	c.config.QPS = -1
	var err error
	if c.Client, err = client.New(c.config, client.Options{Scheme: r.GetScheme()}); err != nil {
		return ctx, err
	}
	c.kube, err = kubernetes.NewForConfig(c.config)
	return ctx, err
}

// waitFor polls until check returns nil.
func waitFor(t *testing.T, what string, check func(ctx context.Context) error) {
	t.Helper()
	if err := poll(t.Context(), check); err != nil {
		t.Fatalf("waiting until %s: %v", what, err)
	}
}

// poll calls check until it returns nil, and returns its last error when that takes longer than patience.
func poll(ctx context.Context, check func(ctx context.Context) error) error {
	deadline := time.After(patience)
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(pause):
		case <-deadline:
			return err
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// pods of a namespace that have these labels.
func (c *cluster) pods(ctx context.Context, namespace string, labels map[string]string) ([]corev1.Pod, error) {
	var list corev1.PodList
	err := c.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabels(labels))
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	return list.Items, err
}

// ready pods can be counted on.
func ready(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// managerLabels are those of the manager's pods.
func managerLabels() map[string]string {
	return map[string]string{"app.kubernetes.io/name": "hookbay", "app.kubernetes.io/instance": release, "app.kubernetes.io/component": "manager"}
}

// managersReady is nil if n managers are ready, there are no others, and all are as wanted.
func (c *cluster) managersReady(ctx context.Context, n int, wanted func(*corev1.Pod) error) error {
	pods, err := c.pods(ctx, system, managerLabels())
	if err != nil {
		return err
	}
	return allReady(pods, n, wanted)
}

func allReady(pods []corev1.Pod, n int, wanted func(*corev1.Pod) error) error {
	if len(pods) != n {
		return fmt.Errorf("there are %d pods, want %d", len(pods), n)
	}
	for i := range pods {
		if !ready(&pods[i]) {
			return fmt.Errorf("pod %s is not ready", pods[i].Name)
		}
		if wanted == nil {
			continue
		}
		if err := wanted(&pods[i]); err != nil {
			return fmt.Errorf("pod %s: %w", pods[i].Name, err)
		}
	}
	return nil
}

// imageTag wants a pod to run an image with this tag.
func imageTag(tag string) func(*corev1.Pod) error {
	return func(p *corev1.Pod) error {
		if image := p.Spec.Containers[0].Image; !hasTag(image, tag) {
			return fmt.Errorf("runs %s, want tag %s", image, tag)
		}
		return nil
	}
}

func hasTag(image, tag string) bool {
	return len(image) > len(tag) && image[len(image)-len(tag)-1:] == ":"+tag
}

// condition of an endpoint; never nil.
func condition(e *hookbayv1alpha1.WebhookEndpoint, name string) *metav1.Condition {
	if found := meta.FindStatusCondition(e.Status.Conditions, name); found != nil {
		return found
	}
	return &metav1.Condition{Type: name, Status: metav1.ConditionUnknown, Reason: "Absent"}
}
