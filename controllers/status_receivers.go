package controllers

import (
	"cmp"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/receivers"
)

// maxReceivers is the bound that the definition sets. spec asks for no more.
const maxReceivers = 32

// receivers tells what is known of each replica with a volume, in the order of their numbers.
func (r *round) receivers(now time.Time) []hookbayv1alpha1.ReceiverStatus {
	var all []hookbayv1alpha1.ReceiverStatus
	for i := range r.replicas[:min(len(r.replicas), maxReceivers)] {
		if rep := &r.replicas[i]; rep.claim != nil && rep.decision != remove {
			all = append(all, r.receiver(rep, now))
		}
	}
	return all
}

// receiver tells what is known of a replica that has a claim. What it told last stays while it can't be asked.
func (r *round) receiver(rep *replica, now time.Time) hookbayv1alpha1.ReceiverStatus {
	before := r.knownOf(rep, now)
	s := hookbayv1alpha1.ReceiverStatus{
		Name: rep.claim.Name, Node: r.nodeOf(rep, before.Node), Ready: rep.deployment != nil && deploymentReady(rep.deployment),
		Backlog: before.Backlog, DeadLettered: before.DeadLettered, SilentSince: before.SilentSince,
	}
	switch answer, heard := r.heard(rep); {
	case heard:
		s.Backlog, s.DeadLettered, s.SilentSince = new(answer.Backlog), new(answer.DeadLetters), nil
	case s.SilentSince == nil:
		s.SilentSince = new(metav1.NewTime(now.Truncate(time.Second)))
	}
	return s
}

// knownOf is what an earlier round knew of a replica; nothing if that was about another volume, whose claim was deleted since.
func (r *round) knownOf(rep *replica, now time.Time) hookbayv1alpha1.ReceiverStatus {
	for _, s := range r.stored.Status.Receivers {
		if s.Name != rep.claim.Name {
			continue
		}
		if s.SilentSince != nil && rep.claim.CreationTimestamp.After(s.SilentSince.Time) {
			break
		}
		s.SilentSince = believable(s.SilentSince, now)
		return s
	}
	return hookbayv1alpha1.ReceiverStatus{}
}

// heard is what a replica says, if it does; of several pods, the one with the most events.
func (r *round) heard(rep *replica) (told receivers.Answer, heard bool) {
	for _, pod := range r.podsOf(rep) {
		if a, asked := r.asked[pod.Name]; asked && a.Err == nil && (!heard || a.Backlog > told.Backlog) {
			told, heard = a, true
		}
	}
	return told, heard
}

// nodeOf is where a replica runs, as far as kubelets have told, or ran last. A pod that waits for its volume on another node has not moved
// there yet.
func (r *round) nodeOf(rep *replica, last string) string {
	assigned := ""
	for _, pods := range [][]*corev1.Pod{r.podsOf(rep), ofReplica(r.leaving, rep)} {
		for _, p := range pods {
			switch {
			case !reported(p):
			case p.Status.Phase == corev1.PodRunning:
				return p.Spec.NodeName
			default:
				assigned = cmp.Or(assigned, p.Spec.NodeName)
			}
		}
	}
	return cmp.Or(last, assigned)
}

// reported says whether a kubelet has told of a pod: anybody can make one that names a node, but not write its status.
func reported(p *corev1.Pod) bool {
	return p.Spec.NodeName != "" && (p.Status.StartTime != nil || len(p.Status.ContainerStatuses) > 0)
}

// backlogOfSilent counts the events that wait on receivers which can't be asked.
func backlogOfSilent(told []hookbayv1alpha1.ReceiverStatus) int64 {
	n := int64(0)
	for _, s := range told {
		if s.SilentSince != nil && s.Backlog != nil {
			n += *s.Backlog
		}
	}
	return n
}

// traffic sums up what is known of the receivers with volumes, or what those without say. If none says anything, what was known stays; times
// never go back, as receivers forget them when they restart.
func (r *round) traffic(told []hookbayv1alpha1.ReceiverStatus, now time.Time) *hookbayv1alpha1.Traffic {
	t := &hookbayv1alpha1.Traffic{}
	before := r.stored.Status.Traffic
	if before != nil {
		t.LastAcceptedTime, t.LastRejectedTime = believable(before.LastAcceptedTime, now), believable(before.LastRejectedTime, now)
	}
	heard := false
	for _, a := range r.asked {
		if a.Err != nil {
			continue
		}
		heard = true
		t.LastAcceptedTime = later(t.LastAcceptedTime, a.LastAccepted, now)
		t.LastRejectedTime = later(t.LastRejectedTime, a.LastRefused, now)
		if !r.disk() {
			t.Backlog += a.Backlog
			t.DeadLettered += a.DeadLetters
		}
	}
	if !heard && (before == nil || !r.disk()) {
		return before
	}
	for _, s := range told {
		if s.Backlog != nil && s.DeadLettered != nil {
			t.Backlog += *s.Backlog
			t.DeadLettered += *s.DeadLettered
		}
	}
	return t
}

// later returns the later of two times, of which the second may be missing, or not to be believed.
func later(known *metav1.Time, t, now time.Time) *metav1.Time {
	if t.IsZero() || known != nil && !t.Truncate(time.Second).After(known.Time) {
		return known
	}
	if told := believable(new(metav1.NewTime(t.Truncate(time.Second))), now); told != nil {
		return told
	}
	return known
}

// believable drops a time that is to come: of a clock that is wrong, or of a pod that only says to be a receiver.
func believable(t *metav1.Time, now time.Time) *metav1.Time {
	if t != nil && t.After(now.Add(time.Minute)) {
		return nil
	}
	return t
}
