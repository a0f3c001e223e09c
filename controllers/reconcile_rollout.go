package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/controllers/receivers"
)

// reconcileRollout makes the Deployments: one of all pods, or one for each replica with a volume, one after another.
func (r *Reconciler) reconcileRollout(ctx context.Context, round *round) error {
	if !round.disk() {
		return r.rolloutStateless(ctx, round)
	}
	if round.frozen {
		return nil
	}
	r.decide(ctx, round)
	var problems []error
	for i := range round.replicas {
		problems = append(problems, r.carryOut(ctx, round, &round.replicas[i]))
	}
	return errors.Join(problems...)
}

// rolloutStateless makes the one Deployment of receivers without volumes, which Kubernetes rolls, and its autoscaler.
func (r *Reconciler) rolloutStateless(ctx context.Context, round *round) error {
	live, err := r.ensure(ctx, round, manifests.Deployment(round.endpoint, r.Settings))
	if d, ok := live.(*appsv1.Deployment); ok {
		round.deployments = []appsv1.Deployment{*d}
	}
	if scaler := manifests.Autoscaler(round.endpoint); scaler != nil {
		_, scalerErr := r.ensure(ctx, round, scaler)
		err = errors.Join(err, scalerErr)
	}
	return err
}

// decide asks the replicas that are too many what they still hold, and plans.
func (r *Reconciler) decide(ctx context.Context, round *round) {
	wanted := int(manifests.Replicas(round.endpoint))
	states := make([]replicaState, len(round.replicas))
	for i := range round.replicas {
		rep := &round.replicas[i]
		s := &states[i]
		if rep.deployment == nil {
			continue
		}
		traffic := manifests.TrafficServe
		if i >= wanted {
			traffic = manifests.TrafficDrain
		}
		template := r.replicaDeployment(round, rep, traffic).Annotations[manifests.AnnotationTemplate]
		s.exists = true
		s.current = rep.deployment.Annotations[manifests.AnnotationTemplate] == template
		s.ready = deploymentReady(rep.deployment)
		s.lost = !s.ready && round.cutOffPod(rep) != nil
		s.serving = rep.deployment.Spec.Template.Labels[manifests.LabelTraffic] == manifests.TrafficServe
		if rep.held = -1; i >= wanted && !s.serving {
			s.empty, rep.held = r.empty(ctx, round, rep)
		}
		rep.current = s.current
	}
	for i, d := range plan(states, wanted) {
		round.replicas[i].decision = d
	}
}

// replicaDeployment is the Deployment that a replica should have with this traffic. It is made once in a round: to digest its template is one of
// the costly things.
func (r *Reconciler) replicaDeployment(round *round, rep *replica, traffic string) *appsv1.Deployment {
	if rep.wanted == nil || rep.traffic != traffic {
		rep.wanted, rep.traffic = manifests.ReplicaDeployment(round.endpoint, r.Settings, rep.number, traffic), traffic
	}
	return rep.wanted
}

// empty says whether a draining replica's volume holds nothing undelivered, and else how many events, as far as it says so (else -1). What can't
// be known for sure is not empty.
func (r *Reconciler) empty(ctx context.Context, round *round, rep *replica) (bool, int64) {
	if rep.claim == nil { // the cache has only claims with our labels
		var claim corev1.PersistentVolumeClaim
		key := client.ObjectKey{Namespace: round.endpoint.Namespace, Name: manifests.ReplicaName(round.endpoint, rep.number)}
		return apierrors.IsNotFound(r.Live.Get(ctx, key, &claim)), -1
	}
	if rep.claim.Status.Phase == corev1.ClaimPending { // it was never bound, and has never held anything
		return true, 0
	}
	pods := round.podsOf(rep)
	if len(pods) == 0 || !deploymentReady(rep.deployment) {
		return false, -1
	}
	// Whoever says to be of this replica can keep it from going; only its own pod can let it, and tells what it holds.
	all := append(slices.Clone(pods), ofReplica(round.strangers, rep)...)
	answers := r.Receivers.AskAll(ctx, podsToAsk(all), client.ObjectKeyFromObject(round.endpoint).String())
	var held, others int64
	for i, pod := range all {
		answer, asked := answers[pod.Name]
		switch {
		case !asked || answer.Err != nil || serving(pod):
			return false, -1
		case i < len(pods):
			held += answer.Held
		default:
			others += answer.Held
		}
	}
	if held == 0 && others > 0 {
		return false, -1
	}
	return held == 0, held
}

// carryOut does what was decided for a replica.
func (r *Reconciler) carryOut(ctx context.Context, round *round, rep *replica) error {
	switch rep.decision {
	case serve, drain:
		traffic := manifests.TrafficServe
		if rep.decision == drain {
			traffic = manifests.TrafficDrain
		}
		live, err := r.ensure(ctx, round, r.replicaDeployment(round, rep, traffic))
		if d, ok := live.(*appsv1.Deployment); ok {
			rep.deployment, rep.current = d, true
		}
		return err
	case hold:
		round.want(rep.deployment)
	case remove: // its Deployment is pruned, as nothing wants it
		if disk := round.endpoint.Spec.Buffer.Disk; rep.claim != nil && disk != nil && disk.WhenDeleted == hookbayv1alpha1.WhenDeletedDelete {
			if err := r.Apply.Delete(ctx, rep.claim); err != nil {
				return fmt.Errorf("delete claim %s: %w", rep.claim.Name, err)
			}
		}
	}
	return nil
}

// podsOf returns the pods of a replica, without those that leave.
func (r *round) podsOf(rep *replica) []*corev1.Pod { return ofReplica(r.pods, rep) }

func ofReplica(pods []corev1.Pod, rep *replica) []*corev1.Pod {
	var of []*corev1.Pod
	for i := range pods {
		if n, ok := replicaOf(&pods[i]); ok && n == rep.number {
			of = append(of, &pods[i])
		}
	}
	return of
}

func podsToAsk(pods []*corev1.Pod) []receivers.Pod {
	var ask []receivers.Pod
	for _, p := range pods {
		if p.Status.PodIP != "" && p.Status.Phase == corev1.PodRunning {
			ask = append(ask, receivers.Pod{Name: p.Name, IP: p.Status.PodIP})
		}
	}
	return ask
}
