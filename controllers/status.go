package controllers

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/controllers/oneline"
)

// finding is one condition before it is stamped.
type finding struct {
	status          metav1.ConditionStatus
	reason, message string
}

func good(reason, format string, args ...any) finding {
	return finding{metav1.ConditionTrue, reason, fmt.Sprintf(format, args...)}
}

func bad(reason, format string, args ...any) finding {
	return finding{metav1.ConditionFalse, reason, fmt.Sprintf(format, args...)}
}

func unknown(reason, format string, args ...any) finding {
	return finding{metav1.ConditionUnknown, reason, fmt.Sprintf(format, args...)}
}

// status is computed from what the round saw, never from what an earlier one said, but for times that don't go back, and for what is known of
// receivers that can't be asked.
func (r *round) status(now time.Time) hookbayv1alpha1.WebhookEndpointStatus {
	s := *r.stored.Status.DeepCopy()
	s.ObservedGeneration = r.stored.Generation
	s.URL, s.Address = manifests.URL(r.endpoint), ""
	if p := r.problemWith(hookbayv1alpha1.ConditionExposed); p != nil && p.reason == hookbayv1alpha1.ReasonAddressTaken {
		s.URL = "" // it leads to another endpoint
	} else if exposes(r.endpoint) {
		s.Address = address(r.endpoint)
	}
	s.Selector = labels.SelectorFromSet(manifests.Labels(r.endpoint)).String()
	s.Replicas = r.servingPods()
	s.BufferType = r.runningBuffer()
	s.DiskSize = r.diskSize()
	s.Receivers = r.receivers(now)
	s.Traffic = r.traffic(s.Receivers, now)

	ready := good(hookbayv1alpha1.ReasonReady, "callbacks are taken at %s", s.URL)
	for _, c := range []struct {
		kind    string
		finding finding
	}{
		{hookbayv1alpha1.ConditionProgrammed, r.programmed().finding},
		{hookbayv1alpha1.ConditionExposed, r.exposed()},
		{hookbayv1alpha1.ConditionWorkloadReady, r.workload(now)},
		{hookbayv1alpha1.ConditionCredentialsReady, r.credentials()},
	} {
		r.set(&s, c.kind, c.finding, now)
		if c.finding.status != metav1.ConditionTrue {
			ready = c.finding // the one that the others wait for comes last
		}
	}
	r.set(&s, hookbayv1alpha1.ConditionReady, ready, now)
	r.set(&s, hookbayv1alpha1.ConditionDelivering, r.delivering(s.Receivers), now)
	meta.RemoveStatusCondition(&s.Conditions, hookbayv1alpha1.ConditionStalled)
	for _, p := range r.problems {
		if p.fate == terminal {
			before := meta.FindStatusCondition(r.stored.Status.Conditions, hookbayv1alpha1.ConditionStalled)
			if before != nil {
				s.Conditions = append(s.Conditions, *before)
			}
			r.set(&s, hookbayv1alpha1.ConditionStalled, good(p.reason, "%s", p.message), now)
			break
		}
	}
	order(s.Conditions)
	return s
}

func (r *round) set(s *hookbayv1alpha1.WebhookEndpointStatus, kind string, f finding, now time.Time) {
	setCondition(&s.Conditions, metav1.Condition{
		Type: kind, Status: f.status, Reason: f.reason, Message: f.message,
		ObservedGeneration: r.stored.Generation, LastTransitionTime: metav1.NewTime(now),
	})
}

// order sorts conditions as a reader wants them, so that a round that sees the same writes the same.
func order(conditions []metav1.Condition) {
	first := []string{
		hookbayv1alpha1.ConditionReady, hookbayv1alpha1.ConditionStalled, hookbayv1alpha1.ConditionCredentialsReady,
		hookbayv1alpha1.ConditionWorkloadReady, hookbayv1alpha1.ConditionExposed, hookbayv1alpha1.ConditionProgrammed,
		hookbayv1alpha1.ConditionDelivering,
	}
	slices.SortStableFunc(conditions, func(a, b metav1.Condition) int {
		return cmp.Compare(slices.Index(first, a.Type), slices.Index(first, b.Type))
	})
}

// markFailed tells of a transient error, unless the newest generation has been reached before: then what runs goes on, and the error is
// in the log and the metrics.
func markFailed(e *hookbayv1alpha1.WebhookEndpoint, failed error, now time.Time) {
	if e.Status.ObservedGeneration == e.Generation {
		return
	}
	setCondition(&e.Status.Conditions, metav1.Condition{
		Type: hookbayv1alpha1.ConditionReady, Status: metav1.ConditionUnknown, Reason: hookbayv1alpha1.ReasonReconcileFailed,
		Message:            "the API server could not be read or written, it is tried again: " + cut(failed.Error()),
		ObservedGeneration: e.Generation, LastTransitionTime: metav1.NewTime(now),
	})
}

// The bounds of texts in conditions, in bytes. The definition refuses a status with a message of more than 32768.
const (
	// maxMessage is that of a whole message. Ours are written to be shorter, unless many names are as long as can be.
	maxMessage = 4 << 10
	// maxText is that of a text of somebody else in one.
	maxText = 500
)

func cut(s string) string { return oneline.Of(s, maxText) }

// setCondition is the one way for a message into status. It holds names and texts that others have chosen: people read it on terminals,
// and what is refused for its length would be refused for ever.
func setCondition(conditions *[]metav1.Condition, c metav1.Condition) {
	c.Message = oneline.Of(c.Message, maxMessage)
	meta.SetStatusCondition(conditions, c)
}

func (r *round) credentials() finding {
	if p := r.problemWith(hookbayv1alpha1.ConditionCredentialsReady); p != nil {
		return bad(p.reason, "%s", p.message)
	}
	n := len(manifests.SecretRefs(r.endpoint))
	if n == 0 {
		return good(hookbayv1alpha1.ReasonCredentialsFound, "spec names no Secret")
	}
	return good(hookbayv1alpha1.ReasonCredentialsFound, "found what spec names: %s", plural(n, "credential"))
}

func (r *round) exposed() finding {
	if p := r.problemWith(hookbayv1alpha1.ConditionExposed); p != nil {
		return bad(p.reason, "%s", p.message)
	}
	e := r.endpoint
	wantsIngress, wantsRoute := e.Spec.Exposure.Ingress != nil, e.Spec.Exposure.HTTPRoute != nil
	switch p := r.problemWith(hookbayv1alpha1.ConditionWorkloadReady); {
	case (wantsIngress && r.ingress == nil || wantsRoute && r.route == nil) && p != nil && p.reason == hookbayv1alpha1.ReasonBufferIncomplete:
		return bad(p.reason, "nothing is exposed before it is known where events are kept")
	case wantsIngress && r.ingress == nil, wantsRoute && r.route == nil:
		return bad(hookbayv1alpha1.ReasonWaitingForCredentials, "nothing is exposed before the credentials are there")
	case wantsIngress && wantsRoute:
		return good(hookbayv1alpha1.ReasonIngressAdmitted, "callbacks come in through Ingress %s and HTTPRoute %s", r.ingress.Name, r.route.Name)
	case wantsIngress:
		return good(hookbayv1alpha1.ReasonIngressAdmitted, "callbacks come in through Ingress %s", r.ingress.Name)
	case wantsRoute:
		return good(hookbayv1alpha1.ReasonRouteAccepted, "callbacks come in through HTTPRoute %s", r.route.Name)
	}
	return good(hookbayv1alpha1.ReasonServiceOnly, "callbacks come in through Service %s.%s on port %d, and whatever you put in front of it: "+
		"set exposure.ingress or exposure.httpRoute to have that made", manifests.Name(e), e.Namespace, manifests.ServicePort)
}

// programming is the condition Programmed, and whether to look again soon.
type programming struct {
	finding
	unsettled bool
}

func (r *round) programmed() programming {
	total := max(int(r.servingPods()), r.wanted())
	if r.frozen && len(r.pods) == 0 {
		return programming{finding: unknown(hookbayv1alpha1.ReasonNoReceivers, "there is no receiver")}
	}
	served := 0
	var refused, unreachable, unsettled string
	for i := range r.pods {
		pod := &r.pods[i]
		answer, asked := r.asked[pod.Name]
		switch {
		case asked && r.serves(answer):
			if serving(pod) {
				served++
			}
		case asked && answer.Err == nil && answer.Refused != "" && r.currentTemplate(pod):
			refused = cmp.Or(refused, fmt.Sprintf("receiver %s refuses the configuration and goes on with the one before: %s", pod.Name, cut(answer.Refused)))
		case asked && answer.Err == nil && answer.Broken != "" && r.currentTemplate(pod):
			refused = cmp.Or(refused, fmt.Sprintf("receiver %s refuses callbacks, as the endpoint cannot work: %s", pod.Name, cut(answer.Broken)))
		case !podReady(pod), !serving(pod): // one that drains is no matter of the platform's
		case !asked || answer.Err != nil:
			unreachable = cmp.Or(unreachable, fmt.Sprintf("receiver %s can't be asked (%v): see whether its node %s is well, and let "+
				"the manager reach port %d of the pods", pod.Name, answer.Err, pod.Spec.NodeName, manifests.PortAdmin))
		default:
			unsettled = pod.Name
		}
	}
	progress := fmt.Sprintf("%d of %s %s generation %d", served, plural(total, "receiver"), verb(total, "serves", "serve"), r.stored.Generation)
	switch {
	case r.frozen && served < total:
		return programming{finding: bad(hookbayv1alpha1.ReasonProgramming, "generation %d is held back; the receivers go on with what they have",
			r.stored.Generation)}
	case refused != "":
		return programming{finding: bad(hookbayv1alpha1.ReasonConfigRefused, "%s; %s", progress, refused)}
	case unsettled != "":
		return programming{finding: bad(hookbayv1alpha1.ReasonProgramming, "%s", progress), unsettled: true}
	case unreachable != "":
		return programming{finding: unknown(hookbayv1alpha1.ReasonReceiversUnreachable, "%s; %s", progress, unreachable)}
	case len(r.pods) == 0:
		return programming{finding: unknown(hookbayv1alpha1.ReasonNoReceivers, "there is no receiver yet")}
	case served < total:
		return programming{finding: bad(hookbayv1alpha1.ReasonProgramming, "%s", progress)} // the pods are watched
	}
	return programming{finding: good(hookbayv1alpha1.ReasonConfigServed, "%s", progress)}
}

// longWait is how long an event may wait before the target counts as failing: longer than the first few retries take.
const longWait = time.Minute

func (r *round) delivering(told []hookbayv1alpha1.ReceiverStatus) finding {
	if r.endpoint.Spec.Delivery.Suspend {
		if !r.stores() {
			return bad(hookbayv1alpha1.ReasonSuspended, "delivery.suspend is true: callbacks are refused, as buffer.type is None")
		}
		return bad(hookbayv1alpha1.ReasonSuspended, "delivery.suspend is true: callbacks are stored, and delivered when it is false again")
	}
	if f := r.targetDown(); f != nil {
		return *f
	}
	heard := false
	for _, a := range r.asked {
		if a.Err != nil {
			continue
		}
		heard = true
		if a.Backlog > 0 && a.Oldest > longWait {
			return bad(hookbayv1alpha1.ReasonTargetFailing, "events have waited for more than %s, because the target does not take them; what it "+
				"answers: kubectl logs -n %s -l %s=%s | grep -i deliver", longWait, r.endpoint.Namespace, manifests.LabelInstance, r.endpoint.Name)
		}
	}
	if !heard {
		return unknown(hookbayv1alpha1.ReasonNoReceivers, "no receiver says how deliveries go")
	}
	if n := backlogOfSilent(told); n > 0 {
		return good(hookbayv1alpha1.ReasonDelivered, "no event has waited for long, but for %s on receivers that can't be asked: see status.receivers",
			plural(n, "event"))
	}
	return good(hookbayv1alpha1.ReasonDelivered, "no event has waited for long")
}

// diskSize is the largest size that a claim of a wanted replica asks for, "" if there is none.
func (r *round) diskSize() string {
	var largest *resource.Quantity
	for _, rep := range r.wantedReplicas() {
		if rep.claim == nil {
			continue
		}
		if size := rep.claim.Spec.Resources.Requests[corev1.ResourceStorage]; largest == nil || size.Cmp(*largest) > 0 {
			largest = &size
		}
	}
	if largest == nil {
		return ""
	}
	return largest.String()
}

// plural counts things: "1 receiver", "2 receivers".
func plural[N int | int64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// verb is one for one, many for any other number.
func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
