package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

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
	round.sortOut(pods.Items)
	return r.decideBuffer(round)
}

// sortOut takes the pods with the labels of receivers for what they are.
func (r *round) sortOut(pods []corev1.Pod) {
	for i := range pods {
		p := &pods[i]
		_, mirror := p.Annotations[corev1.MirrorPodAnnotationKey]
		ours, leaves := r.deploymentOf(p) != nil, !p.DeletionTimestamp.IsZero()
		switch {
		case finished(p), mirror: // a mirror pod shows what a node runs by itself; nothing of ours is that
		case ours && leaves:
			r.leaving = append(r.leaving, *p)
		case ours:
			r.pods = append(r.pods, *p)
		case !leaves:
			r.strangers = append(r.strangers, *p)
		}
	}
	for _, found := range [][]corev1.Pod{r.pods, r.leaving, r.strangers} {
		slices.SortFunc(found, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	}
}

// deploymentOf is the Deployment of ours that a pod is of, nil if there is none: labels can be on anybody's pod. A Deployment names its
// ReplicaSets after itself; more can't be seen, as the manager may not read them. A pod that names one that is not there is soon deleted, and
// of those that name a real one it keeps as many as it should have.
func (r *round) deploymentOf(p *corev1.Pod) *appsv1.Deployment {
	owner := metav1.GetControllerOfNoCopy(p)
	if owner == nil || owner.APIVersion != appsv1.SchemeGroupVersion.String() || owner.Kind != "ReplicaSet" {
		return nil
	}
	said, says := replicaOf(p)
	for i := range r.deployments {
		d := &r.deployments[i]
		n, numbered := replicaNumber(r.endpoint, d.Name)
		if strings.HasPrefix(owner.Name, d.Name+"-") && says == numbered && (!numbered || said == n) {
			return d
		}
	}
	return nil
}

// finished says that a pod is left over, as after an eviction: its Deployment has made another.
func finished(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
}

// decideBuffer settles the buffer's type, and where a stream is kept. A type that runs stays what it is, also if the administrator's default changes:
// stored events would be left behind. The rules of the definition refuse a change once status tells what runs.
func (r *Reconciler) decideBuffer(round *round) error {
	buffer := &round.endpoint.Spec.Buffer
	running := round.runningBuffer()
	asked := buffer.Type
	buffer.Type = cmp.Or(asked, running)
	incomplete := r.Defaults.Complete(round.endpoint)
	if asked != "" && running != "" && asked != running {
		buffer.Type, round.frozen = running, true
		return stall(hookbayv1alpha1.ConditionWorkloadReady, hookbayv1alpha1.ReasonBufferTypeChanged,
			"the endpoint runs with buffer.type %s, which can't be changed because stored events would be left behind: write %s back, "+
				"and make another WebhookEndpoint with %s", running, running, asked)
	}
	if incomplete != nil {
		round.frozen = true
		return stall(hookbayv1alpha1.ConditionWorkloadReady, hookbayv1alpha1.ReasonBufferIncomplete, "the buffer is a JetStream one, and %v", incomplete)
	}
	return nil
}

// runningBuffer tells the type of buffer that the receivers run with, "" if there are none and never were. It goes by the names of the
// Deployments: a label is soon changed by hand, and volumes with events would be left behind.
func (r *round) runningBuffer() hookbayv1alpha1.BufferType {
	stateless := hookbayv1alpha1.BufferType("")
	for i := range r.deployments {
		if _, ok := replicaNumber(r.endpoint, r.deployments[i].Name); ok {
			return hookbayv1alpha1.BufferDisk
		}
		if r.deployments[i].Name == manifests.Name(r.endpoint) {
			noted := hookbayv1alpha1.BufferType(r.deployments[i].Annotations[manifests.AnnotationBuffer])
			stateless = cmp.Or(noted, hookbayv1alpha1.BufferNone)
		}
	}
	return cmp.Or(r.stored.Status.BufferType, stateless) // somebody may have deleted them all
}

// replicaNumber reads the number of a replica from the name of its Deployment or claim.
func replicaNumber(e *hookbayv1alpha1.WebhookEndpoint, name string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimPrefix(name, e.Name+"-"))
	return n, err == nil && n >= 0 && name == manifests.ReplicaName(e, n)
}

// replicaOf reads the number of the replica that a pod says it is of.
func replicaOf(p *corev1.Pod) (int, bool) {
	n, err := strconv.Atoi(p.Labels[manifests.LabelReplica])
	return n, err == nil && n >= 0
}
