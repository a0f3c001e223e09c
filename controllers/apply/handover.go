package apply

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// handoverManager owns a Deployment's number of replicas from when we let go of it until whoever scales it takes it.
const handoverManager = "hookbay-handover"

// handOver keeps the number of replicas of a Deployment that is scaled by somebody else from now on. Without another owner the API server would
// take the number away with our ownership, and the default is 1: all receivers but one would stop until the autoscaler has measured.
func (a *Applier) handOver(ctx context.Context, c *child, owned *fieldpath.Set, live map[string]any) error {
	if _, ok := c.live.(*appsv1.Deployment); !ok || !owned.Has(fieldpath.MakePathOrDie("spec", "replicas")) {
		return nil
	}
	if _, wanted, err := unstructured.NestedInt64(c.want, "spec", "replicas"); wanted || err != nil {
		return err
	}
	replicas, found, err := unstructured.NestedInt64(live, "spec", "replicas")
	if !found || err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"replicas": replicas}}}
	u.SetGroupVersionKind(c.gvk)
	u.SetNamespace(c.ref.Namespace)
	u.SetName(c.ref.Name)
	u.SetUID(c.live.GetUID())
	a.writes.Count(c.ref.Kind, "apply")
	return refusal(c, live, a.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(handoverManager)))
}
