package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
)

// observe reads what there is of the endpoint's workload, and decides what spec leaves open.
func (r *Reconciler) observe(ctx context.Context, round *round) error {
	e := round.endpoint
	mine := []client.ListOption{
		client.InNamespace(e.Namespace), client.MatchingLabels(manifests.Labels(e)), client.MatchingFields{indexInstance: e.Name},
		client.UnsafeDisableDeepCopy, // nothing of them is changed in a round
	}
	var (
		deployments appsv1.DeploymentList
		pods        corev1.PodList
		claims      corev1.PersistentVolumeClaimList
	)
	for _, list := range []client.ObjectList{&deployments, &pods, &claims} {
		if err := r.Client.List(ctx, list, mine...); err != nil {
			return fmt.Errorf("list %T: %w", list, err)
		}
	}
	round.claims = claims.Items
	for i := range deployments.Items {
		if metav1.IsControlledBy(&deployments.Items[i], e) {
			round.deployments = append(round.deployments, deployments.Items[i])
		}
	}
	for i := range pods.Items {
		if p := &pods.Items[i]; p.DeletionTimestamp.IsZero() && !finished(p) {
			round.pods = append(round.pods, *p)
		}
	}
	slices.SortFunc(round.pods, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return r.decideBuffer(round)
}

// finished says that a pod is left over, as after an eviction: its Deployment has made another.
func finished(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
}

// decideBuffer settles the buffer's type. One that runs stays what it is, also if the administrator's default changes: stored events would
// be left behind. The rules of the definition refuse a change from one type to another, but can't see one from or to the default.
func (r *Reconciler) decideBuffer(round *round) error {
	buffer := &round.endpoint.Spec.Buffer
	running := runningBuffer(round.deployments)
	asked := buffer.Type
	switch {
	case asked == "" && running != "":
		buffer.Type = running
	case asked == "" && buffer.Disk != nil:
		buffer.Type = hookbayv1alpha1.BufferDisk
	case asked == "":
		buffer.Type = cmp.Or(r.DefaultBuffer, hookbayv1alpha1.BufferDisk)
	}
	if asked != "" && running != "" && asked != running {
		buffer.Type, round.frozen = running, true
		return stall(hookbayv1alpha1.ConditionWorkloadReady, hookbayv1alpha1.ReasonBufferTypeChanged,
			"the endpoint runs with buffer.type %s, which can't be changed because stored events would be left behind: write %s back, "+
				"and make another WebhookEndpoint with %s", running, running, asked)
	}
	return nil
}

// runningBuffer tells the buffer's type from the Deployments, "" if there are none.
func runningBuffer(deployments []appsv1.Deployment) hookbayv1alpha1.BufferType {
	if len(deployments) == 0 {
		return ""
	}
	if _, ok := replicaNumber(&deployments[0]); ok {
		return hookbayv1alpha1.BufferDisk
	}
	return hookbayv1alpha1.BufferNone
}

// replicaNumber reads the number of the replica that an object belongs to.
func replicaNumber(o metav1.Object) (int, bool) {
	n, err := strconv.Atoi(o.GetLabels()[manifests.LabelReplica])
	return n, err == nil && n >= 0
}
