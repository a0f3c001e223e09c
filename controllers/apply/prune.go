package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
)

// prunable returns empty lists of the kinds that are pruned, in the order in which they go: first what leads callbacks to the receivers. Volume
// claims are not among them: they hold events.
func prunable() []client.ObjectList {
	return []client.ObjectList{
		&networkingv1.IngressList{},
		&gatewayv1.HTTPRouteList{},
		&autoscalingv2.HorizontalPodAutoscalerList{},
		&corev1.ServiceList{},
		&appsv1.DeploymentList{},
		&policyv1.PodDisruptionBudgetList{},
		&networkingv1.NetworkPolicyList{},
		&corev1.ConfigMapList{},
		&corev1.ServiceAccountList{},
	}
}

// Prune deletes the children of an endpoint that are not among those to keep, which are told by kind and name. Volume claims stay. Kinds that the
// cluster does not know have no children.
func (a *Applier) Prune(ctx context.Context, owner *hookbayv1alpha1.WebhookEndpoint, keep []client.Object) error {
	kept := make(map[Ref]bool, len(keep))
	for _, o := range keep {
		ref, err := a.refOf(o)
		if err != nil {
			return err
		}
		kept[ref] = true
	}
	var problems []error
	for _, list := range prunable() {
		problems = append(problems, a.pruneKind(ctx, owner, list, kept))
	}
	return errors.Join(problems...)
}

func (a *Applier) pruneKind(ctx context.Context, owner *hookbayv1alpha1.WebhookEndpoint, list client.ObjectList, kept map[Ref]bool) error {
	gvk, err := apiutil.GVKForObject(list, a.client.Scheme())
	if err != nil {
		return fmt.Errorf("find the kind of what to prune: %w", err)
	}
	if a.kinds.isAbsent(gvk.Kind) {
		return nil
	}
	labels := client.MatchingLabels{manifests.LabelManagedBy: manifests.ManagedBy, manifests.LabelInstance: owner.Name}
	mine := []client.ListOption{client.InNamespace(owner.Namespace), labels, client.UnsafeDisableDeepCopy} // they are looked at, or deleted
	if a.index != "" {
		mine = append(mine, client.MatchingFields{a.index: owner.Name})
	}
	err = a.client.List(ctx, list, mine...)
	if isNotCached(err) {
		err = a.live.List(ctx, list, client.InNamespace(owner.Namespace), labels)
	}
	if err != nil {
		if meta.IsNoMatchError(err) {
			a.kinds.noteAbsent(gvk.Kind)
			return nil
		}
		return fmt.Errorf("list every %s of the endpoint: %w", strings.TrimSuffix(gvk.Kind, "List"), err)
	}
	var problems []error
	err = meta.EachListItem(list, func(item runtime.Object) error {
		o, ok := item.(client.Object)
		if !ok || !metav1.IsControlledBy(o, owner) || o.GetDeletionTimestamp() != nil {
			return nil
		}
		ref, err := a.refOf(o)
		if err == nil && !kept[ref] {
			err = a.Delete(ctx, o)
			a.memory.forgetChild(client.ObjectKeyFromObject(owner), ref)
		}
		problems = append(problems, err)
		return nil
	})
	return errors.Join(append(problems, err)...)
}

// Delete deletes an object of an endpoint, claims too, if it is still as it was read; if it has changed since, that is a conflict
// (apierrors.IsConflict). One that is gone already is fine.
func (a *Applier) Delete(ctx context.Context, o client.Object) error {
	ref, err := a.refOf(o)
	if err != nil {
		return err
	}
	uid, version := o.GetUID(), o.GetResourceVersion()
	a.writes.Count(ref.Kind, "delete")
	err = a.client.Delete(ctx, o, client.Preconditions{UID: &uid, ResourceVersion: &version}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete %s: %w", ref, err)
	}
	return nil
}

func (a *Applier) refOf(o client.Object) (Ref, error) {
	gvk, err := apiutil.GVKForObject(o, a.client.Scheme())
	if err != nil {
		return Ref{}, fmt.Errorf("find the kind of a child: %w", err)
	}
	return Ref{Kind: gvk.Kind, Namespace: o.GetNamespace(), Name: o.GetName()}, nil
}

// absence is how long a kind that the cluster did not know is not asked for again: each time costs requests for what the cluster knows.
const absence = time.Minute

// kinds remembers which kinds the cluster does not know.
type kinds struct {
	now    func() time.Time
	mu     sync.Mutex
	absent map[string]time.Time // kind of the list; until when
}

func (k *kinds) isAbsent(kind string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now().Before(k.absent[kind])
}

func (k *kinds) noteAbsent(kind string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.absent == nil {
		k.absent = make(map[string]time.Time)
	}
	k.absent[kind] = k.now().Add(absence)
}
