package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/envconf"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/hack/e2e/control"
)

// counterpartImage is that of hack/e2e/counterpart.
func counterpartImage() string { return "ghcr.io/hookbay/e2e:" + *versionFlag }

// loadImages brings all archives to all nodes.
func (*cluster) loadImages(ctx context.Context, _ *envconf.Config) (context.Context, error) {
	hook := os.Getenv(loadImageHook)
	if hook == "" {
		return ctx, errors.New(loadImageHook + " is not set: write a command that brings image archives to the cluster's nodes")
	}
	var archives []string
	for _, pattern := range []string{"*.tar", "*/*.tar"} {
		found, err := filepath.Glob(filepath.Join(*imagesFlag, pattern))
		if err != nil {
			return ctx, err
		}
		archives = append(archives, found...)
	}
	if len(archives) == 0 {
		return ctx, errors.New("no image archive is in " + *imagesFlag)
	}
	return ctx, callHook(ctx, hook, archives...)
}

// callHook runs a shell command with further arguments.
func callHook(ctx context.Context, hook string, args ...string) error {
	out, err := exec.CommandContext(ctx, "sh", append([]string{"-c", hook + ` "$@"`, "sh"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", hook, err, out)
	}
	return nil
}

// makePlaces makes the namespaces, and the counterpart in them.
func (c *cluster) makePlaces(ctx context.Context, _ *envconf.Config) (context.Context, error) {
	err := c.Get(ctx, client.ObjectKeyFromObject(definition()), definition())
	if client.IgnoreNotFound(err) != nil {
		return ctx, err
	}
	c.definedBefore = err == nil
	const enforce = "pod-security.kubernetes.io/enforce"
	for _, place := range []struct{ name, level string }{{system, "restricted"}, {shop, "restricted"}, {tools, "privileged"}} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: place.name, Labels: map[string]string{enforce: place.level}}}
		if err := c.Create(ctx, namespace); err != nil {
			return ctx, fmt.Errorf("%w: remove what an earlier run left, or let the other run end", err)
		}
		c.made = append(c.made, place.name)
	}
	if c.home, err = c.chooseHome(ctx); err != nil {
		return ctx, err
	}
	return ctx, c.makeCounterpart(ctx)
}

// chooseHome returns the node that must stay: where the cluster's own parts are, without which nobody finds a Service by its name.
func (c *cluster) chooseHome(ctx context.Context) (string, error) {
	nodes, err := c.nodes(ctx)
	if err != nil {
		return "", err
	}
	if len(nodes) < 2 {
		return "", fmt.Errorf("%d nodes can be used: the tests need two, better three", len(nodes))
	}
	for i := range nodes {
		if _, ok := nodes[i].Labels["node-role.kubernetes.io/control-plane"]; ok {
			return nodes[i].Name, nil
		}
	}
	dns, err := c.pods(ctx, metav1.NamespaceSystem, map[string]string{"k8s-app": "kube-dns"})
	if err != nil || len(dns) == 0 {
		return nodes[0].Name, err
	}
	return dns[0].Spec.NodeName, nil
}

// nodes that take pods.
func (c *cluster) nodes(ctx context.Context) ([]corev1.Node, error) {
	var list corev1.NodeList
	if err := c.List(ctx, &list); err != nil {
		return nil, err
	}
	var usable []corev1.Node
	for _, n := range list.Items {
		free := !n.Spec.Unschedulable
		for _, taint := range n.Spec.Taints {
			free = free && taint.Effect == corev1.TaintEffectPreferNoSchedule
		}
		if free {
			usable = append(usable, n)
		}
	}
	return usable, nil
}

// counterpart is the name of its pod and its Service: the one that the samples deliver to.
const counterpart = "chat"

func (c *cluster) makeCounterpart(ctx context.Context) error {
	labels := map[string]string{"app": counterpart}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: counterpart, Labels: labels},
		Spec: corev1.PodSpec{
			NodeName:                     c.home,
			AutomountServiceAccountToken: new(false),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: counterpart, Image: counterpartImage(), ImagePullPolicy: corev1.PullIfNotPresent,
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
				ReadinessProbe: &corev1.Probe{
					ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(control.Port)}},
					PeriodSeconds: 1,
					// It is to be there whenever it is slow for the load, which is what it measures.
					FailureThreshold: 60, TimeoutSeconds: 5,
				},
			}},
		},
	}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: counterpart},
		Spec:       corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: control.TargetPort}}},
	}
	for _, o := range []client.Object{service, pod} {
		if err := c.Create(ctx, o); err != nil {
			return err
		}
	}
	return poll(ctx, func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return err
		}
		if !ready(pod) {
			return fmt.Errorf("counterpart is not ready: %s", pod.Status.String())
		}
		return nil
	})
}

// definition is the CustomResourceDefinition, which Helm keeps.
func definition() *apiextensionsv1.CustomResourceDefinition {
	return &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "webhookendpoints." + hookbayv1alpha1.GroupVersion.Group}}
}

// install installs the chart as a user would, from the images that were loaded.
func (c *cluster) install(ctx context.Context, _ *envconf.Config) (context.Context, error) {
	_, err := helm(ctx, "install", release, *chartFlag, "--namespace", system, "--set", "image.tag="+*versionFlag,
		"--set", "receiverImage.tag="+*versionFlag, "--wait", "--timeout", patience.String())
	return ctx, err
}

// release is the name of the Helm release.
const release = "hookbay"

// helm runs the program, and returns what it prints.
func helm(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, *helmFlag, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("helm %v: %w\n%s", args, err, out)
	}
	return string(out), nil
}

// remove takes away all that was made, as far as it is there.
func (c *cluster) remove(ctx context.Context, _ *envconf.Config) (context.Context, error) {
	if *keepFlag || len(c.made) == 0 { // what is there may be another run's
		return ctx, nil
	}
	var errs []error
	note := func(err error) { errs = append(errs, client.IgnoreNotFound(err)) }
	if slices.Contains(c.made, shop) {
		note(c.DeleteAllOf(ctx, &hookbayv1alpha1.WebhookEndpoint{}, client.InNamespace(shop)))
	}
	if _, err := helm(ctx, "uninstall", release, "--namespace", system, "--ignore-not-found", "--wait"); err != nil {
		note(err)
	}
	note(c.forgetLostNode(ctx))
	for _, name := range c.made {
		note(c.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	}
	if !c.definedBefore {
		note(c.Delete(ctx, definition()))
	}
	for _, name := range c.made {
		note(poll(ctx, func(ctx context.Context) error {
			err := c.Get(ctx, client.ObjectKey{Name: name}, &corev1.Namespace{})
			if err == nil {
				return errors.New("namespace " + name + " is still there")
			}
			return client.IgnoreNotFound(err)
		}))
	}
	err := errors.Join(errs...)
	if err != nil {
		fmt.Fprintln(os.Stderr, "Not everything could be removed:", err) // the framework does not show it
	}
	return ctx, err
}

// forgetLostNode removes the node that was killed: until then its pods, and with them the namespaces, cannot end. Its volumes have nobody to remove them.
func (c *cluster) forgetLostNode(ctx context.Context) error {
	if c.lostNode == "" {
		return nil
	}
	var volumes corev1.PersistentVolumeList
	errs := []error{
		client.IgnoreNotFound(c.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: c.lostNode}})),
		c.List(ctx, &volumes),
	}
	for i := range volumes.Items {
		v := &volumes.Items[i]
		if v.Spec.ClaimRef != nil && v.Spec.ClaimRef.Namespace == shop && boundTo(v, c.lostNode) {
			errs = append(errs, client.IgnoreNotFound(c.Delete(ctx, v)))
		}
	}
	return errors.Join(errs...)
}

// boundTo says whether a volume can be used on one node only, and that it is this one.
func boundTo(v *corev1.PersistentVolume, node string) bool {
	if v.Spec.NodeAffinity == nil || v.Spec.NodeAffinity.Required == nil {
		return false
	}
	for _, term := range v.Spec.NodeAffinity.Required.NodeSelectorTerms {
		for _, e := range append(term.MatchExpressions, term.MatchFields...) {
			if slices.Equal(e.Values, []string{node}) {
				return true
			}
		}
	}
	return false
}
