package cluster

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// dump shows what is in the cluster: statuses, pods, events and the ends of logs. It is for a person who looks at a failure.
func (c *cluster) dump(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	var b strings.Builder
	var endpoints hookbayv1alpha1.WebhookEndpointList
	if err := c.List(ctx, &endpoints); err != nil {
		fmt.Fprintln(&b, err)
	}
	for i := range endpoints.Items {
		status, _ := yaml.Marshal(endpoints.Items[i].Status) // a struct of plain values
		fmt.Fprintf(&b, "--- status of %s/%s, generation %d\n%s", endpoints.Items[i].Namespace, endpoints.Items[i].Name, endpoints.Items[i].Generation, status)
	}
	for _, namespace := range []string{system, shop, tools} {
		c.dumpEvents(ctx, &b, namespace)
		c.dumpPods(ctx, &b, namespace)
	}
	t.Log(b.String())
}

func (c *cluster) dumpEvents(ctx context.Context, b *strings.Builder, namespace string) {
	var events corev1.EventList
	if err := c.List(ctx, &events, client.InNamespace(namespace), client.Limit(500)); err != nil {
		fmt.Fprintln(b, err)
	}
	fmt.Fprintf(b, "--- events in %s\n", namespace)
	for _, e := range events.Items[max(0, len(events.Items)-60):] {
		fmt.Fprintf(b, "%s %s %s/%s: %s\n", e.LastTimestamp.Format(time.TimeOnly), e.Reason, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Message)
	}
}

func (c *cluster) dumpPods(ctx context.Context, b *strings.Builder, namespace string) {
	pods, err := c.pods(ctx, namespace, nil)
	if err != nil {
		fmt.Fprintln(b, err)
	}
	for i := range pods {
		p := &pods[i]
		fmt.Fprintf(b, "--- pod %s/%s on %s: %s, deleted %v, ready %t\n", namespace, p.Name, p.Spec.NodeName, p.Status.Phase, p.DeletionTimestamp, ready(p))
		for _, s := range p.Status.ContainerStatuses {
			fmt.Fprintf(b, "%s: %d restarts, %+v\n", s.Name, s.RestartCount, s.State)
		}
		log, err := c.kube.CoreV1().Pods(namespace).GetLogs(p.Name, &corev1.PodLogOptions{TailLines: new(int64(40))}).Stream(ctx)
		if err != nil {
			fmt.Fprintln(b, err)
			continue
		}
		_, _ = io.Copy(b, io.LimitReader(log, 64<<10)) // as much as there is
		_ = log.Close()
	}
}
