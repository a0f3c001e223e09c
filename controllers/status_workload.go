package controllers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
)

// wanted is how many receivers there should be that take callbacks.
func (r *round) wanted() int {
	if !r.disk() && len(r.deployments) > 0 && r.deployments[0].Spec.Replicas != nil {
		return int(*r.deployments[0].Spec.Replicas) // of an autoscaler, or ours
	}
	return int(manifests.Replicas(r.endpoint))
}

// workload is the condition WorkloadReady.
func (r *round) workload(now time.Time) finding {
	silences := r.silences(r.wantedReplicas(), now)
	if p := r.problemWith(hookbayv1alpha1.ConditionWorkloadReady); p != nil {
		return bad(p.reason, "%s%s", p.message, silences)
	}
	if r.frozen && len(r.deployments) == 0 {
		return bad(hookbayv1alpha1.ReasonWaitingForCredentials, "no receiver is started before the credentials are there")
	}
	wanted, ready, current := r.wanted(), 0, 0
	if r.disk() {
		for _, rep := range r.wantedReplicas() {
			if rep.deployment != nil && deploymentReady(rep.deployment) {
				ready++
			}
			if rep.deployment != nil && (rep.current || r.frozen) {
				current++
			}
		}
	} else if len(r.deployments) > 0 {
		s := &r.deployments[0].Status
		ready = min(int(s.AvailableReplicas), wanted)
		if s.ObservedGeneration >= r.deployments[0].Generation {
			current = min(int(s.UpdatedReplicas), wanted)
		}
	}
	count := fmt.Sprintf("%d of %s %s ready", ready, plural(wanted, "receiver"), verb(wanted, "is", "are"))
	switch trouble := r.trouble(now); {
	case ready == wanted && current == wanted:
		return good(hookbayv1alpha1.ReasonReceiversReady, "%s%s", count, r.draining(now))
	case trouble != nil:
		return bad(trouble.reason, "%s; %s%s", count, trouble.message, silences)
	case r.anyGone():
		return bad(hookbayv1alpha1.ReasonNodeLost, "%s%s%s%s", count, silences, r.heldBack(), r.draining(now))
	case current < wanted && len(r.deployments) > 0:
		return bad(hookbayv1alpha1.ReasonRollingOut, "%s, %d up to date%s%s", count, current, silences, r.draining(now))
	default:
		return bad(hookbayv1alpha1.ReasonReceiversStarting, "%s%s%s", count, silences, r.draining(now))
	}
}

func (r *round) wantedReplicas() []replica {
	return r.replicas[:min(len(r.replicas), int(manifests.Replicas(r.endpoint)))]
}

// draining tells of replicas that are too many.
func (r *round) draining(now time.Time) string {
	var words strings.Builder
	surplus := r.replicas[len(r.wantedReplicas()):]
	for _, rep := range surplus {
		name := manifests.ReplicaName(r.endpoint, rep.number)
		switch {
		case rep.decision == hold:
			fmt.Fprintf(&words, "; %s goes when the others are ready", name)
		case rep.decision != drain:
		case rep.held < 0:
			fmt.Fprintf(&words, "; %s goes when it has delivered what it holds", name)
		case r.endpoint.Spec.Delivery.Suspend && rep.held > 0:
			fmt.Fprintf(&words, "; %s has %s to deliver before it goes, which delivery.suspend keeps it from", name, plural(rep.held, "event"))
		default:
			fmt.Fprintf(&words, "; %s has %s to deliver before it goes", name, plural(rep.held, "event"))
		}
	}
	return words.String() + r.silences(surplus, now)
}

// heldBack tells of the update that waits for a lost replica, because it would stop the only one that takes callbacks.
func (r *round) heldBack() string {
	for _, rep := range r.wantedReplicas() {
		if rep.decision == hold && rep.deployment != nil && !r.frozen {
			return fmt.Sprintf("; %s is updated when another receiver is ready", rep.deployment.Name)
		}
	}
	return ""
}

// usualWait is how long a new claim may wait for its volume before that is told as a trouble.
const usualWait = 20 * time.Second

// trouble finds what keeps a wanted receiver from being ready, if it is something to act on.
func (r *round) trouble(now time.Time) *problem {
	for i := range r.deployments {
		if p := podsRefused(&r.deployments[i]); p != nil {
			return p
		}
	}
	for _, rep := range r.wantedReplicas() {
		if rep.claim != nil && rep.claim.Status.Phase == corev1.ClaimLost {
			return wait(hookbayv1alpha1.ConditionWorkloadReady, hookbayv1alpha1.ReasonVolumePending,
				"claim %s has lost its volume: bring the volume back, or delete the claim if its events may go with it", rep.claim.Name)
		}
	}
	for i := range r.pods {
		if pod := &r.pods[i]; serving(pod) && !podReady(pod) && !r.ofGone(pod) {
			if p := r.podTrouble(pod); p != nil {
				return p
			}
		}
	}
	for _, rep := range r.wantedReplicas() { // many classes wait for the pod, so a pod's trouble comes first
		if rep.claim != nil && rep.claim.Status.Phase == corev1.ClaimPending && now.Sub(rep.claim.CreationTimestamp.Time) > usualWait {
			return wait(hookbayv1alpha1.ConditionWorkloadReady, hookbayv1alpha1.ReasonVolumePending, "%s", waitsForVolume(rep.claim))
		}
	}
	return nil
}

// waitsForVolume says where to look for what keeps a claim from its volume: the reason is in events, which the manager may not read.
func waitsForVolume(claim *corev1.PersistentVolumeClaim) string {
	class := "the default StorageClass"
	if name := claim.Spec.StorageClassName; name != nil && *name != "" {
		class = "StorageClass " + *name
	}
	return fmt.Sprintf("claim %s has no volume yet: check that %s exists and works (kubectl get storageclass; kubectl describe pvc -n %s %s)",
		claim.Name, class, claim.Namespace, claim.Name)
}

// claimOf is the claim of a pod's replica, nil if there is none.
func (r *round) claimOf(pod *corev1.Pod) *corev1.PersistentVolumeClaim {
	n, ok := replicaOf(pod)
	for i := range r.replicas {
		if ok && r.replicas[i].number == n {
			return r.replicas[i].claim
		}
	}
	return nil
}

// podsRefused says why the API server takes no pods of a Deployment: a quota, Pod Security. What comes before "forbidden" names a pod
// that never was.
func podsRefused(d *appsv1.Deployment) *problem {
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			message := c.Message
			if _, after, ok := strings.Cut(message, "is forbidden: "); ok {
				message = after
			}
			return wait(hookbayv1alpha1.ConditionWorkloadReady, hookbayv1alpha1.ReasonReceiversNotReady,
				"the API server refuses pods of Deployment %s: %s", d.Name, cut(message))
		}
	}
	return nil
}

// The reasons that the kubelet gives for an image that can't be had.
var imageReasons = []string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable"}

// podTrouble says what keeps a pod from being ready, nil if it is just starting.
func (r *round) podTrouble(pod *corev1.Pod) *problem {
	const condition = hookbayv1alpha1.ConditionWorkloadReady
	if c := unscheduled(pod); c != nil && aboutVolumes(c.Message) {
		words := fmt.Sprintf("receiver %s has no volume yet: %s", pod.Name, cut(c.Message))
		if claim := r.claimOf(pod); claim != nil && claim.Status.Phase == corev1.ClaimPending {
			words += "; " + waitsForVolume(claim)
		}
		return wait(condition, hookbayv1alpha1.ReasonVolumePending, "%s", words)
	} else if c != nil {
		return wait(condition, hookbayv1alpha1.ReasonUnschedulable, "no node can take receiver %s: %s", pod.Name, cut(c.Message))
	}
	for _, c := range pod.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil {
			switch {
			case slices.Contains(imageReasons, w.Reason):
				return wait(condition, hookbayv1alpha1.ReasonImagePullFailed, "image %s can't be pulled (kubectl describe pod -n %s %s): check the "+
					"manager's --receiver-image, and receiver.imagePullSecrets", cut(r.imageFor(pod, c.Name)), pod.Namespace, pod.Name)
			case w.Reason == "CrashLoopBackOff":
				return wait(condition, hookbayv1alpha1.ReasonReceiversNotReady, "receiver %s ends again and again: see kubectl logs -n %s %s --previous",
					pod.Name, pod.Namespace, pod.Name)
			case w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" && w.Reason != "":
				return wait(condition, hookbayv1alpha1.ReasonReceiversNotReady, "receiver %s can't start: %s: %s", pod.Name, w.Reason, cut(w.Message))
			}
		}
	}
	a, asked := r.asked[pod.Name]
	if asked && a.Err == nil && a.NotReady != "" && a.BufferAway && r.endpoint.Spec.Buffer.Type == hookbayv1alpha1.BufferJetStream {
		return wait(condition, hookbayv1alpha1.ReasonBufferAway, "callbacks are refused with 503, as receiver %s can't store: %s", pod.Name, cut(a.NotReady))
	}
	if asked && a.Err == nil && a.NotReady != "" {
		return wait(condition, hookbayv1alpha1.ReasonReceiversNotReady, "receiver %s is not ready: %s", pod.Name, cut(a.NotReady))
	}
	return nil
}

// imageFor is the image that a container of a pod was made with, as its Deployment has it: a pod's own can be changed by many. Of a container that
// something else added it is not known.
func (r *round) imageFor(pod *corev1.Pod, container string) string {
	if d := r.deploymentOf(pod); d != nil {
		for _, c := range d.Spec.Template.Spec.Containers {
			if c.Name == container {
				return c.Image
			}
		}
	}
	return "of container " + container
}

// serving says whether a pod takes callbacks, as far as its template says.
func serving(pod *corev1.Pod) bool {
	return pod.Labels[manifests.LabelTraffic] == manifests.TrafficServe
}

// aboutVolumes says whether the scheduler waits for a volume.
func aboutVolumes(message string) bool {
	m := strings.ToLower(message)
	return strings.Contains(m, "persistentvolumeclaim") || strings.Contains(m, "storageclass")
}

func podReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// currentTemplate says whether a pod was made from the template that its Deployment has now and is to keep.
func (r *round) currentTemplate(pod *corev1.Pod) bool {
	for i := range r.replicas {
		rep := &r.replicas[i]
		if n, ok := replicaOf(pod); ok && n == rep.number {
			return rep.current && rep.deployment.Annotations[manifests.AnnotationTemplate] == pod.Annotations[manifests.AnnotationTemplate]
		}
	}
	return len(r.deployments) > 0 && r.deployments[0].Annotations[manifests.AnnotationTemplate] == pod.Annotations[manifests.AnnotationTemplate]
}

// servingPods counts the pods that take callbacks, ready or not.
func (r *round) servingPods() int32 {
	n := int32(0)
	for i := range r.pods {
		if serving(&r.pods[i]) {
			n++
		}
	}
	return n
}
