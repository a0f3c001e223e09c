package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/apply"
	"github.com/hookbay/hookbay/controllers/manifests"
)

// reconcileChildren makes what all receivers of the endpoint share. The configuration comes first: pods that take it hot have it
// before others roll.
func (r *Reconciler) reconcileChildren(ctx context.Context, round *round) error {
	var problems []error
	for _, child := range manifests.Shared(round.endpoint) {
		_, err := r.ensure(ctx, round, child)
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// ensure makes a child be as it is wanted, and returns it as it is. In a frozen round it stays as it is, but what running receivers need and
// has nothing to do with credentials is made again if somebody deleted it; nil: it does not exist.
func (r *Reconciler) ensure(ctx context.Context, round *round, child client.Object) (client.Object, error) {
	round.want(child)
	if round.frozen {
		live := child.DeepCopyObject().(client.Object)
		err := r.Client.Get(ctx, client.ObjectKeyFromObject(child), live)
		switch {
		case err == nil:
			return live, nil
		case !apierrors.IsNotFound(err):
			return nil, fmt.Errorf("read %s: %w", child.GetName(), err)
		case len(round.deployments) == 0 || !sustains(child):
			return nil, nil
		}
	}
	live, err := r.Apply.Apply(ctx, round.stored, child)
	return live, fateOf(child, err)
}

// sustains says whether receivers that run would be cut off without a child, whatever its details.
func sustains(child client.Object) bool {
	switch child.(type) {
	case *corev1.Service, *corev1.ServiceAccount, *policyv1.PodDisruptionBudget, *networkingv1.Ingress, *gatewayv1.HTTPRoute:
		return true
	}
	return false
}

// fateOf turns what the API server or its rules have against a child into a problem of the workload.
func fateOf(child client.Object, err error) error {
	const condition = hookbayv1alpha1.ConditionWorkloadReady
	var (
		taken   *apply.NameTakenError
		refused *apply.RefusedError
		leaving *apply.BeingDeletedError
	)
	switch {
	case errors.As(err, &taken):
		return wait(condition, hookbayv1alpha1.ReasonNameTaken, "%s", taken.Error())
	case errors.As(err, &refused) && refused.Kind == "PersistentVolumeClaim":
		return stall(condition, hookbayv1alpha1.ReasonChildRefused, "%s; a claim of an earlier endpoint of this name is kept with its events: write what it was "+
			"made with, or give it and them up (kubectl delete pvc -n %s %s)", refused.Error(), refused.Namespace, refused.Name)
	case errors.As(err, &refused):
		return stall(condition, hookbayv1alpha1.ReasonChildRefused, "%s", refused.Error())
	case errors.As(err, &leaving):
		return wait(condition, hookbayv1alpha1.ReasonReceiversStarting, "%s", leaving.Error())
	case err != nil:
		return fmt.Errorf("apply %s %s: %w", child.GetObjectKind().GroupVersionKind().Kind, child.GetName(), err)
	}
	return nil
}

// prune deletes the children that are no longer wanted. Volume claims are not among them: they hold events.
func (r *Reconciler) prune(ctx context.Context, round *round) error {
	if round.frozen {
		return nil
	}
	return r.Apply.Prune(ctx, round.stored, round.keep)
}

// pause says when to look again, if nothing that is watched happens before.
func (r *round) pause() time.Duration {
	for _, p := range r.problems {
		if p.fate == waiting && p.reason == hookbayv1alpha1.ReasonReceiversStarting {
			return soon
		}
	}
	if r.underWay() {
		return soon
	}
	return steady
}

// underWay says whether something changes that can't be watched: pods take a configuration, a replica delivers its last events. One that says
// nothing starts, or its node is away, which may last for days; that it is ready again can be watched.
func (r *round) underWay() bool {
	surplus := r.replicas[len(r.wantedReplicas()):]
	for i := range surplus {
		if _, heard := r.heard(&surplus[i]); heard {
			return true
		}
	}
	return r.programmed().unsettled
}

// deploymentReady says whether all pods of a Deployment are of its newest template and have been ready for a while.
func deploymentReady(d *appsv1.Deployment) bool {
	wanted := int32(1)
	if d.Spec.Replicas != nil {
		wanted = max(1, *d.Spec.Replicas)
	}
	s := &d.Status
	return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas >= wanted && s.AvailableReplicas >= wanted && s.Replicas == s.UpdatedReplicas
}
