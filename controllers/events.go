package controllers

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/oneline"
)

// EventPublisher tells of changes as Kubernetes Events, which kubectl describe shows below the conditions.
type EventPublisher struct{ recorder events.EventRecorder }

var _ Publisher = (*EventPublisher)(nil)

// NewEventPublisher returns a publisher that hands its events to a manager's recorder.
func NewEventPublisher(r events.EventRecorder) *EventPublisher { return &EventPublisher{recorder: r} }

// maxNote is the API server's limit, in bytes.
const maxNote = 1024

// Publish tells what changed from before to after. It never fails: events are for people, and the conditions say the same.
func (p *EventPublisher) Publish(before, after *hookbayv1alpha1.WebhookEndpoint) {
	for _, e := range transitions(before.Status.Conditions, after.Status.Conditions) {
		p.recorder.Eventf(after, nil, e.kind, e.reason, e.action, "%s", oneline.Of(e.note, maxNote))
	}
}

// event is what a Kubernetes Event says.
type event struct {
	kind   string // corev1.EventTypeNormal or corev1.EventTypeWarning
	reason string // the condition's
	action string // what the controller was doing
	note   string // the condition's message
}

// action is what the controller does for a condition.
func action(condition string) string {
	switch condition {
	case hookbayv1alpha1.ConditionCredentialsReady:
		return "CheckCredentials"
	case hookbayv1alpha1.ConditionWorkloadReady:
		return "RunReceivers"
	case hookbayv1alpha1.ConditionExposed:
		return "Expose"
	case hookbayv1alpha1.ConditionProgrammed:
		return "Program"
	case hookbayv1alpha1.ConditionDelivering:
		return "Deliver"
	}
	return "Reconcile"
}

// transitions returns what people want to be told of: a condition that fails, for each reason once; one that has recovered; and every change of
// Ready between True and not True. A message that changes is no news, and neither is the progress of what starts. Where several
// conditions fail for one reason, as Ready does for the reason of another, it is told once.
func transitions(before, after []metav1.Condition) []event {
	var told []event
	ordered := slices.Clone(after)
	slices.SortStableFunc(ordered, func(a, b metav1.Condition) int { return sums(a) - sums(b) })
	for i := range ordered {
		c := &ordered[i]
		kind := news(meta.FindStatusCondition(before, c.Type), c)
		same := func(e event) bool { return e.reason == c.Reason }
		if kind == "" || slices.ContainsFunc(told, same) {
			continue
		}
		told = append(told, event{kind: kind, reason: c.Reason, action: action(c.Type), note: c.Message})
	}
	return told
}

// sums is more for conditions that repeat what others say: these come last.
func sums(c metav1.Condition) int {
	switch c.Type {
	case hookbayv1alpha1.ConditionReady:
		return 2
	case hookbayv1alpha1.ConditionStalled:
		return 1
	}
	return 0
}

// news is the type of the event that a condition deserves, "" for none. Before is nil if there was no such condition.
func news(before, after *metav1.Condition) string {
	if before != nil && before.Status == after.Status && before.Reason == after.Reason {
		return ""
	}
	was, is := meaningOf(before), meaningOf(after)
	ready := after.Type == hookbayv1alpha1.ConditionReady
	switch {
	case is == holds && (ready && was != holds || was == fails):
		return corev1.EventTypeNormal
	case is == fails && (!ready || was == holds || after.Reason == hookbayv1alpha1.ReasonReconcileFailed):
		return corev1.EventTypeWarning // the other reasons of Ready are those of conditions that were told of
	case is == mayFail && was == holds:
		return corev1.EventTypeWarning
	case is == moves && was == holds && ready:
		return corev1.EventTypeNormal
	}
	return ""
}

// meaning is what a condition means to people.
type meaning int

const (
	absent  meaning = iota
	holds           // all is well
	moves           // it is under way, or as the spec wants it
	mayFail         // it is under way if it was not well before, else it fails
	fails
)

func meaningOf(c *metav1.Condition) meaning {
	switch {
	case c == nil:
		return absent
	case c.Type == hookbayv1alpha1.ConditionStalled:
		if c.Status == metav1.ConditionTrue {
			return fails
		}
		return moves
	case c.Status == metav1.ConditionTrue:
		return holds
	}
	switch c.Reason {
	case hookbayv1alpha1.ReasonWaitingForCredentials, hookbayv1alpha1.ReasonRollingOut, hookbayv1alpha1.ReasonReceiversStarting,
		hookbayv1alpha1.ReasonProgramming, hookbayv1alpha1.ReasonNoReceivers, hookbayv1alpha1.ReasonSuspended:
		return moves
	case hookbayv1alpha1.ReasonReconcileFailed:
		return fails
	case hookbayv1alpha1.ReasonVolumePending, hookbayv1alpha1.ReasonIngressNotAdmitted, hookbayv1alpha1.ReasonRoutePending,
		hookbayv1alpha1.ReasonReceiversUnreachable:
		return mayFail
	}
	if c.Status == metav1.ConditionUnknown {
		return mayFail
	}
	return fails
}
