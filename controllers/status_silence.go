package controllers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// What a cluster shows when a node is lost, and what this file tells of it:
//
// After about 50 s the node controller declares the pods of the node not ready: see cutOff. 300 s later, by default, it deletes them, but
// they stay, as only their node can say that they have ended. A replacement is made: for a volume that only the lost node has, no node can take it.
// One that could be attached elsewhere is not let go before the old pod is gone, which takes somebody who says that the node is: by
// deleting it, or by the taint node.kubernetes.io/out-of-service. If the replica was changed since, not even a replacement is made before that.
// A claim that is deleted stays for as long.

const (
	// usualSilence is longer than a receiver takes to restart.
	usualSilence = time.Minute
	// maxSilences bounds how many silent receivers a condition tells of: status.receivers tells of all.
	maxSilences = 3
)

// cutOffPod is the pod of a replica whose node is not heard of, nil if there is none. Only what is surely no fault of the pod itself counts, and
// what nobody else can make look so: others are updated without waiting for a replica that is lost, and people are told to give its node up.
func (r *round) cutOffPod(rep *replica) *corev1.Pod {
	for _, p := range r.podsOf(rep) {
		if cutOff(p) {
			return p
		}
		if p.Status.Phase == corev1.PodRunning { // it has taken over elsewhere
			return nil
		}
	}
	for _, p := range ofReplica(r.leaving, rep) {
		if cutOff(p) { // that it is to end, and was evicted, leaves that as it is, too
			return p
		}
	}
	return nil
}

// cutOff says whether a pod, of which a kubelet has told, was declared not ready by the node controller. That leaves all else as it was, the
// containers ready; a kubelet would not, and would give a reason.
func cutOff(p *corev1.Pod) bool {
	if !reported(p) {
		return false
	}
	for i := range p.Status.ContainerStatuses {
		if !p.Status.ContainerStatuses[i].Ready {
			return false
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return len(p.Status.ContainerStatuses) > 0 && c.Status == corev1.ConditionFalse && c.Reason == ""
		}
	}
	return false
}

// lostOn is the node that isn't heard of, and because of which a replica is neither ready nor heard of; "" if there is none.
func (r *round) lostOn(rep *replica) string {
	_, heard := r.heard(rep)
	if p := r.cutOffPod(rep); p != nil && !heard && rep.deployment != nil && !deploymentReady(rep.deployment) {
		return p.Spec.NodeName
	}
	return ""
}

// anyGone says whether there is one for any wanted replica, ofGone for the one that a pod is of: what keeps a replacement from starting is not the trouble to mend.
func (r *round) anyGone() bool {
	return slices.ContainsFunc(r.wantedReplicas(), func(rep replica) bool { return r.lostOn(&rep) != "" })
}

func (r *round) ofGone(pod *corev1.Pod) bool {
	n, ok := replicaOf(pod)
	return ok && slices.ContainsFunc(r.replicas, func(rep replica) bool { return rep.number == n && r.lostOn(&rep) != "" })
}

// stranded says whether a replica's pod finds no node because of those that its volume can be attached to.
func (r *round) stranded(rep *replica) bool {
	for _, p := range r.podsOf(rep) {
		c := unscheduled(p) // in the words of newer schedulers, or of older ones
		if c != nil && (strings.Contains(c.Message, "PersistentVolume's node affinity") || strings.Contains(c.Message, "volume node affinity conflict")) {
			return true
		}
	}
	return false
}

// unscheduled is the scheduler's word on a pod that no node can take, else nil.
func unscheduled(p *corev1.Pod) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c
		}
	}
	return nil
}

// silences tells of replicas that are not ready and have not been heard of, where that is no mere restart: how many events wait there, and what
// can be done about it. Each begins with a semicolon.
func (r *round) silences(replicas []replica, now time.Time) string {
	var words strings.Builder
	told, more := 0, 0
	for i := range replicas {
		rep := &replicas[i]
		if rep.claim == nil {
			continue
		}
		switch silence := r.silence(rep, now); {
		case silence == "":
		case told < maxSilences:
			told++
			words.WriteString(silence)
		default:
			more++
		}
	}
	if more > 0 {
		fmt.Fprintf(&words, "; %d more %s not been heard of: see status.receivers", more, verb(more, "has", "have"))
	}
	return words.String()
}

func (r *round) silence(rep *replica, now time.Time) string {
	s := r.receiver(rep, now)
	if s.Ready || s.SilentSince == nil {
		return ""
	}
	if lost := r.lostOn(rep); lost != "" {
		s.Node = lost
		return facts(&s) + r.wayBack(&s)
	}
	switch {
	case s.Backlog == nil: // it has never been up
		return ""
	case r.stranded(rep):
		return facts(&s) + fmt.Sprintf(": it goes on when a node takes pods that its volume can be attached to; if there is none any more, "+
			"give up what is on the volume (kubectl delete pvc -n %s %s)", r.endpoint.Namespace, s.Name)
	case now.Sub(s.SilentSince.Time) > usualSilence:
		return facts(&s) + r.whatForPod(rep)
	}
	return ""
}

// facts says which receiver is silent, where, since when, and what waits there.
func facts(s *hookbayv1alpha1.ReceiverStatus) string {
	var words strings.Builder
	fmt.Fprintf(&words, "; %s", s.Name)
	if s.Node != "" {
		fmt.Fprintf(&words, " on node %s", s.Node)
	}
	fmt.Fprintf(&words, " has not been heard of since %s", s.SilentSince.UTC().Format(time.RFC3339))
	switch {
	case s.Backlog == nil:
		words.WriteString("; how many events wait there is not known")
	case *s.Backlog == 0:
		words.WriteString("; when it last was, it had no event to deliver")
	default:
		fmt.Fprintf(&words, "; when it last was, it had %s to deliver", plural(*s.Backlog, "event"))
	}
	if s.DeadLettered != nil && *s.DeadLettered > 0 {
		fmt.Fprintf(&words, " and %s", plural(*s.DeadLettered, "dead letter"))
	}
	return words.String()
}

// wayBack says how a receiver on a lost node, and its events, can be had again.
func (r *round) wayBack(s *hookbayv1alpha1.ReceiverStatus) string {
	return fmt.Sprintf(": it goes on when the node is back; if kubectl get node %s says NotReady and it is gone for good, delete it (kubectl delete node %s), "+
		"and the receiver starts on another that its volume can be attached to; if there is none, give up what is on the volume as well "+
		"(kubectl delete pvc -n %s %s)", s.Node, s.Node, r.endpoint.Namespace, s.Name)
}

// whatForPod says where to see what the pod of a silent receiver waits for: the kubelet tells that by events, which the manager may not read.
func (r *round) whatForPod(rep *replica) string {
	for _, p := range r.podsOf(rep) {
		if reported(p) && p.Status.Phase == corev1.PodPending {
			return fmt.Sprintf(": it goes on when its pod runs on node %s; what that waits for: kubectl describe pod -n %s %s",
				p.Spec.NodeName, p.Namespace, p.Name)
		}
	}
	return ""
}
