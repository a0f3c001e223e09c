package controllers

import (
	"context"
	"errors"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/apply"
	"github.com/hookbay/hookbay/controllers/manifests"
)

// findReplicas lists the wanted replicas, whether they are there or not, and those that are too many.
func (r *round) findReplicas() []replica {
	var found []replica
	for n := range int(manifests.Replicas(r.endpoint)) {
		found = append(found, replica{number: n})
	}
	var surplus []replica
	for i := range r.deployments {
		d := &r.deployments[i]
		n, ok := replicaNumber(r.endpoint, d.Name)
		switch {
		case !ok:
		case n < len(found):
			found[n].deployment = d
		default:
			surplus = append(surplus, replica{number: n, deployment: d})
		}
	}
	slices.SortFunc(surplus, func(a, b replica) int { return a.number - b.number })
	found = append(found, surplus...)
	for i := range found {
		for c := range r.claims {
			if r.claims[c].Name == manifests.ReplicaName(r.endpoint, found[i].number) {
				found[i].claim = &r.claims[c]
			}
		}
	}
	return found
}

// reconcileVolumes makes the claims of all wanted replicas; those of others stay as they are. A claim that can't grow stays as it is, and with
// it the size that the receivers are told of.
func (r *Reconciler) reconcileVolumes(ctx context.Context, round *round) error {
	if !round.disk() {
		return nil
	}
	round.replicas = round.findReplicas()
	if round.frozen {
		return nil
	}
	var problems []error
	for i := range round.wantedReplicas() {
		rep := &round.replicas[i]
		wanted := manifests.VolumeClaim(round.endpoint, rep.number)
		keepLarger(wanted, rep.claim)
		live, err := r.Apply.Apply(ctx, round.stored, wanted)
		if refused, ok := errors.AsType[*apply.RefusedError](err); ok && refused.Resize && rep.claim != nil {
			problems = append(problems, cannotGrow(rep.claim, wanted, refused.Reason))
			round.settleFor(rep.claim.Spec.Resources.Requests[corev1.ResourceStorage])
			continue
		}
		if claim, ok := live.(*corev1.PersistentVolumeClaim); ok {
			rep.claim = claim
		}
		problems = append(problems, fateOf(wanted, err))
	}
	return errors.Join(problems...)
}

// keepLarger leaves a claim as large as it is, which can't shrink: that of an endpoint that was deleted may be larger than what is wanted now.
func keepLarger(wanted, has *corev1.PersistentVolumeClaim) {
	if has == nil {
		return
	}
	size := has.Spec.Resources.Requests[corev1.ResourceStorage]
	if size.Cmp(wanted.Spec.Resources.Requests[corev1.ResourceStorage]) > 0 {
		wanted.Spec.Resources.Requests[corev1.ResourceStorage] = size
	}
}

func cannotGrow(claim, wanted *corev1.PersistentVolumeClaim, reason string) *problem {
	has, asked := claim.Spec.Resources.Requests[corev1.ResourceStorage], wanted.Spec.Resources.Requests[corev1.ResourceStorage]
	return stall(hookbayv1alpha1.ConditionWorkloadReady, hookbayv1alpha1.ReasonVolumeResizeRefused,
		"claim %s can't grow from %s to %s, so the receivers go on with %s: %s; let its StorageClass allow it (allowVolumeExpansion), or make "+
			"another WebhookEndpoint", wanted.Name, has.String(), asked.String(), has.String(), reason)
}

// settleFor makes do with a disk size that can be had.
func (r *round) settleFor(size resource.Quantity) {
	disk := r.endpoint.Spec.Buffer.Disk
	if disk == nil {
		disk = &hookbayv1alpha1.DiskBuffer{}
		r.endpoint.Spec.Buffer.Disk = disk
	}
	disk.Size = &size
}
