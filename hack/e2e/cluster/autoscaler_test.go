package cluster

import (
	"context"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"
	frame "sigs.k8s.io/e2e-framework/pkg/types"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/hack/e2e/control"
)

// streamAutoscaled leaves the number of receivers to Kubernetes' own autoscaler, where the cluster measures CPU. It is seen to add some under load; to
// take them away again it waits for minutes, and what comes of that is streamScaled's.
func (c *cluster) streamAutoscaled() frame.Feature {
	var (
		rooms   = roomsEndpoint()
		calls   *callbacks
		reports map[string]control.Report
	)
	const most = 4
	return features.New("no callback fails while an autoscaler adds receivers that share a stream").
		WithSetup("receivers that have little CPU reserved", step(func(t *testing.T) {
			c.watch(t)
			if _, err := c.kube.Discovery().ServerResourcesForGroupVersion("metrics.k8s.io/v1beta1"); apierrors.IsNotFound(err) {
				t.Skip("the cluster does not measure CPU: it has no metrics-server")
			}
			c.startNATS(t)
			c.makeRooms(t, rooms, func(r *hookbayv1alpha1.Receiver) {
				r.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m")}
			})
			calls = c.startRooms(t, rooms)
		})).
		Assess("there are as many as may be", step(func(t *testing.T) {
			c.change(t, rooms, func(s *hookbayv1alpha1.WebhookEndpointSpec) {
				s.Receiver.Autoscaling = &hookbayv1alpha1.Autoscaling{MinReplicas: 2, MaxReplicas: most, TargetCPUUtilizationPercentage: 10}
			})
			waitFor(t, "the autoscaler has added receivers", func(ctx context.Context) error {
				var d appsv1.Deployment
				err := c.Get(ctx, client.ObjectKey{Namespace: shop, Name: rooms.name + "-receiver"}, &d)
				if err == nil && *d.Spec.Replicas != most {
					err = fmt.Errorf("%d receivers", *d.Spec.Replicas)
				}
				return err
			})
			c.waitWell(t, rooms, most, nil)
			calls.waitAnswered(t)
		})).
		Assess("every event is delivered", step(func(t *testing.T) { reports = calls.end(t) })).
		Assess("no callback failed", step(func(t *testing.T) { noneFailed(t, reports) })).
		Assess("each subject's events came in order", step(func(t *testing.T) { inOrder(t, reports) })).
		Feature()
}
