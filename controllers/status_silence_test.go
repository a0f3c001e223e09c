package controllers

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/controllers/receivers"
)

// cutOffNode does to replica 1 what the node controller does when its node is not heard of.
func cutOffNode(r *round) {
	down(r, func(p *corev1.Pod) {
		p.Status.Conditions[0].Reason = ""
		p.Status.ContainerStatuses[0].Ready = true
	})
	mute(r, 1)
}

// evict does to replica 1 what comes some minutes later: its pod is to end, which nobody confirms, and another takes its place.
func evict(r *round, replacement func(*corev1.Pod)) {
	old := *r.pods[1].DeepCopy()
	old.DeletionTimestamp = new(metav1.NewTime(noon.Add(45 * time.Second)))
	old.Status.Conditions = append(old.Status.Conditions, corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "DeletionByTaintManager", Message: "Taint manager: deleting due to NoExecute taint",
	})
	r.leaving = append(r.leaving, old)
	p := &r.pods[1]
	delete(r.asked, p.Name)
	p.Name, p.Spec.NodeName = "orders-1-new", ""
	p.Status = corev1.PodStatus{Phase: corev1.PodPending}
	replacement(p)
}

func noNodeFor(message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: message}}
	}
}

func creating(p *corev1.Pod) {
	p.Spec.NodeName = "node3"
	waitingContainer("ContainerCreating", "")(p)
}

const (
	noVolumeThere = "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity."
	whenBack      = ": it goes on when the node is back; if kubectl get node node1 says NotReady and it is gone for good, delete it (kubectl delete node node1), " +
		"and the receiver starts on another that its volume can be attached to; if there is none, give up what is on the volume as well (kubectl delete pvc -n shop orders-1)"
	silentWords = "; orders-1 on node node1 has not been heard of since 2026-03-01T11:50:00Z; when it last was, it had 1234 events to deliver and 1 dead letter"
)

// What status says of a receiver on a lost node, from what Kubernetes shows at each stage.
func TestStatus_silence(t *testing.T) {
	silent := func(r *round) { remember(r, 1, 1234, noon.Add(-10*time.Minute)) }
	tests := map[string]struct {
		change     func(*round)
		wantReason string
		want       string // the whole message of WorkloadReady
	}{
		"the node controller has declared its pod not ready": {
			func(r *round) { silent(r); cutOffNode(r) },
			hookbayv1alpha1.ReasonNodeLost, "1 of 2 receivers are ready" + silentWords + whenBack,
		},
		"nothing waits there": {
			func(r *round) {
				silent(r)
				r.stored.Status.Receivers[0].Backlog, r.stored.Status.Receivers[0].DeadLettered = new(int64(0)), new(int64(0))
				cutOffNode(r)
			},
			hookbayv1alpha1.ReasonNodeLost,
			"1 of 2 receivers are ready; orders-1 on node node1 has not been heard of since 2026-03-01T11:50:00Z; when it last was, it had no event to deliver" + whenBack,
		},
		"it was never heard of": {
			cutOffNode, hookbayv1alpha1.ReasonNodeLost,
			"1 of 2 receivers are ready; orders-1 on node node1 has not been heard of since 2026-03-01T12:00:00Z; how many events wait there is not known" + whenBack,
		},
		"its pod is to end, and only that node has the volume": {
			func(r *round) { silent(r); cutOffNode(r); evict(r, noNodeFor(noVolumeThere)) },
			hookbayv1alpha1.ReasonNodeLost, "1 of 2 receivers are ready" + silentWords + whenBack,
		},
		"its pod is to end, and the volume is still attached there": {
			func(r *round) { silent(r); cutOffNode(r); evict(r, creating) },
			hookbayv1alpha1.ReasonNodeLost, "1 of 2 receivers are ready" + silentWords + whenBack,
		},
		"its pod is to end, and was changed since": {
			func(r *round) { silent(r); cutOffNode(r); evict(r, creating); r.pods = r.pods[:1] },
			hookbayv1alpha1.ReasonNodeLost, "1 of 2 receivers are ready" + silentWords + whenBack,
		},
		"its pod should have ended long ago, which can have many reasons": {
			func(r *round) {
				silent(r)
				down(r, func(*corev1.Pod) {})
				evict(r, creating)
				r.leaving[0].DeletionTimestamp = new(metav1.NewTime(noon.Add(-2 * time.Minute)))
			},
			hookbayv1alpha1.ReasonReceiversStarting, "1 of 2 receivers are ready" + silentWords +
				": it goes on when its pod runs on node node3; what that waits for: kubectl describe pod -n shop orders-1-new",
		},
		"its last node was another than the one that is lost": {
			func(r *round) {
				silent(r)
				cutOffNode(r)
				r.pods[1].Spec.NodeName, r.pods[1].Status.Phase = "node4", corev1.PodPending
			},
			hookbayv1alpha1.ReasonNodeLost, "1 of 2 receivers are ready" + strings.ReplaceAll(silentWords+whenBack, "node1", "node4"),
		},
		"its pod is to end, and the one in its place crashes": {
			func(r *round) {
				silent(r)
				cutOffNode(r)
				evict(r, waitingContainer("CrashLoopBackOff", ""))
				r.pods[1].Status.Phase, r.pods[1].Spec.NodeName = corev1.PodRunning, "node3"
			},
			hookbayv1alpha1.ReasonReceiversNotReady, "1 of 2 receivers are ready; receiver orders-1-new ends again and again: see kubectl logs -n shop " +
				"orders-1-new --previous" + strings.Replace(silentWords, "node1", "node3", 1),
		},
		"its pod waits for a gate that somebody added": {
			func(r *round) {
				remember(r, 1, 1234, noon.Add(-10*time.Second))
				cutOffNode(r)
				r.pods[1].Status.Conditions[0].Reason = "ReadinessGatesNotReady"
			},
			hookbayv1alpha1.ReasonReceiversStarting, "1 of 2 receivers are ready",
		},
		"its pod ends in time": {
			func(r *round) {
				remember(r, 1, 1234, noon.Add(-10*time.Second))
				down(r, func(*corev1.Pod) {})
				evict(r, creating)
				r.leaving[0].DeletionTimestamp = new(metav1.NewTime(noon.Add(-2 * time.Second)))
			},
			hookbayv1alpha1.ReasonReceiversStarting, "1 of 2 receivers are ready",
		},
		"the node was deleted, and no other has the volume": {
			func(r *round) { silent(r); cutOffNode(r); evict(r, noNodeFor(noVolumeThere)); r.leaving = nil },
			hookbayv1alpha1.ReasonUnschedulable, "1 of 2 receivers are ready; no node can take receiver orders-1-new: " + noVolumeThere + silentWords +
				": it goes on when a node takes pods that its volume can be attached to; if there is none any more, give up what is " +
				"on the volume (kubectl delete pvc -n shop orders-1)",
		},
		"the node was deleted, and the volume is attached to another": {
			func(r *round) { silent(r); cutOffNode(r); evict(r, creating); r.leaving = nil },
			hookbayv1alpha1.ReasonReceiversStarting, "1 of 2 receivers are ready" + silentWords +
				": it goes on when its pod runs on node node3; what that waits for: kubectl describe pod -n shop orders-1-new",
		},
		"another trouble keeps it from starting for long": {
			func(r *round) { silent(r); down(r, waitingContainer("ErrImagePull", "")); mute(r, 1) },
			hookbayv1alpha1.ReasonImagePullFailed, "1 of 2 receivers are ready; image i can't be pulled (kubectl describe pod -n shop orders-1-pod): check the " +
				"manager's --receiver-image, and receiver.imagePullSecrets" + silentWords,
		},
		"a new one finds no place for its volume": {
			func(r *round) { cutOffNode(r); evict(r, noNodeFor(noVolumeThere)); r.leaving = nil },
			hookbayv1alpha1.ReasonUnschedulable, "1 of 2 receivers are ready; no node can take receiver orders-1-new: " + noVolumeThere,
		},
		"its claim is to go, too": {
			func(r *round) {
				silent(r)
				cutOffNode(r)
				r.problems = append(r.problems, wait(hookbayv1alpha1.ConditionWorkloadReady, hookbayv1alpha1.ReasonReceiversStarting, "orders-1 is being deleted"))
			},
			hookbayv1alpha1.ReasonReceiversStarting, "orders-1 is being deleted" + silentWords + whenBack,
		},
		"another one is not ready, for its own reasons": {
			func(r *round) {
				silent(r)
				cutOffNode(r)
				r.replicas[0].deployment.Status.AvailableReplicas = 0
				r.pods[0].Status.Conditions[0].Status = corev1.ConditionFalse
				answer(r, 0, func(a *receivers.Answer) { a.NotReady = "buffer is full" })
			},
			hookbayv1alpha1.ReasonReceiversNotReady, "0 of 2 receivers are ready; receiver orders-0-pod is not ready: buffer is full" + silentWords + whenBack,
		},
		"another one is out of date, and would leave nobody": {
			func(r *round) {
				silent(r)
				cutOffNode(r)
				r.replicas[0].current, r.replicas[0].decision = false, hold
			},
			hookbayv1alpha1.ReasonNodeLost, "1 of 2 receivers are ready" + silentWords + whenBack + "; orders-0 is updated when another receiver is ready",
		},
		"it is one too many": {
			func(r *round) {
				r.endpoint.Spec.Receiver.Replicas = new(int32(1))
				silent(r)
				cutOffNode(r)
				r.replicas[1].decision, r.replicas[1].held = drain, -1
			},
			hookbayv1alpha1.ReasonReceiversReady, "1 of 1 receiver is ready; orders-1 goes when it has delivered what it holds" + silentWords + whenBack,
		},
		"it is away from the manager only": {
			func(r *round) { silent(r); mute(r, 1) },
			hookbayv1alpha1.ReasonReceiversReady, "2 of 2 receivers are ready",
		},
		"its pod is not ready for a reason of its own": {
			func(r *round) {
				remember(r, 1, 5, time.Time{})
				down(r, func(*corev1.Pod) {})
				answer(r, 1, func(a *receivers.Answer) { a.Backlog, a.NotReady = 5, "buffer is full: it takes 9 MiB of 10 MiB" })
			},
			hookbayv1alpha1.ReasonReceiversNotReady,
			"1 of 2 receivers are ready; receiver orders-1-pod is not ready: buffer is full: it takes 9 MiB of 10 MiB",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := settled()
			tt.change(r)
			c := meta.FindStatusCondition(r.status(noon).Conditions, hookbayv1alpha1.ConditionWorkloadReady)
			if c.Reason != tt.wantReason {
				t.Errorf("reason %s, want %s", c.Reason, tt.wantReason)
			}
			if diff := cmp.Diff(tt.want, c.Message); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

// Whoever may make pods can name any node in them. None of these may have people told to delete it.
func TestStatus_pretendedReceiversOnHealthyNodes(t *testing.T) {
	tests := map[string]func(*corev1.Pod){
		"a mirror pod that never ends": func(p *corev1.Pod) {
			p.Annotations[corev1.MirrorPodAnnotationKey] = "x"
			p.Status = corev1.PodStatus{Phase: corev1.PodPending}
		},
		"a mirror pod with a status":  func(p *corev1.Pod) { p.Annotations[corev1.MirrorPodAnnotationKey] = "x" },
		"a pod that nothing owns":     func(p *corev1.Pod) { p.OwnerReferences = nil },
		"a pod of another Deployment": func(p *corev1.Pod) { p.OwnerReferences = ofReplicaSet("chat") },
		"a pod that no kubelet has told of": func(p *corev1.Pod) {
			p.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}}
		},
		"a pod that its kubelet has ended": func(p *corev1.Pod) { p.Status.ContainerStatuses[0].Ready = false },
	}
	for name, pretend := range tests {
		for _, leaves := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, told to end: %v", name, leaves), func(t *testing.T) {
				r := settled()
				remember(r, 1, 1234, noon.Add(-10*time.Minute))
				down(r, waitingContainer("ContainerCreating", ""))
				mute(r, 1)
				p := *r.pods[1].DeepCopy()
				p.Name, p.Spec.NodeName, p.Annotations = "a-pretended-one", "healthy", map[string]string{}
				p.Status.Conditions[0].Reason = "" // as on a node that is lost, where it is not taken away below
				p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "receiver", Ready: true}}
				r.pods[1].Status.Phase, p.Status.Phase = corev1.PodPending, corev1.PodPending
				if leaves {
					p.DeletionTimestamp = new(metav1.NewTime(noon.Add(-time.Hour)))
				}
				pretend(&p)
				r.sortOut([]corev1.Pod{p})
				s := r.status(noon)
				for _, c := range s.Conditions {
					if c.Reason == hookbayv1alpha1.ReasonNodeLost || strings.Contains(c.Message, "delete node") {
						t.Errorf("%s: %s: %s", c.Type, c.Reason, c.Message)
					}
				}
				if got := s.Receivers[1].Node; got != "node1" {
					t.Errorf("it is said to be on node %s, and was on node1", got)
				}
			})
		}
	}
}

func TestRound_sortOut(t *testing.T) {
	gone := new(metav1.NewTime(noon))
	tests := map[string]struct {
		change func(*corev1.Pod)
		want   string // where it is sorted to; "": nowhere
	}{
		"a receiver":                     {func(*corev1.Pod) {}, "pods"},
		"one that leaves":                {func(p *corev1.Pod) { p.DeletionTimestamp = gone }, "leaving"},
		"one that is left over":          {func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, ""},
		"one that nothing owns":          {func(p *corev1.Pod) { p.OwnerReferences = nil }, "strangers"},
		"one that nothing owns, leaves":  {func(p *corev1.Pod) { p.OwnerReferences, p.DeletionTimestamp = nil, gone }, ""},
		"a mirror pod":                   {func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: ""} }, ""},
		"an owner that is no controller": {func(p *corev1.Pod) { p.OwnerReferences[0].Controller = nil }, "strangers"},
		"an owner of another kind":       {func(p *corev1.Pod) { p.OwnerReferences[0].Kind = "Job" }, "strangers"},
		"an owner of another API":        {func(p *corev1.Pod) { p.OwnerReferences[0].APIVersion = "example.com/v1" }, "strangers"},
		"another replica's":              {func(p *corev1.Pod) { p.OwnerReferences = ofReplicaSet("orders-0") }, "strangers"},
		"a name that only begins alike":  {func(p *corev1.Pod) { p.OwnerReferences = ofReplicaSet("orders-12") }, "strangers"},
		"no replica's":                   {func(p *corev1.Pod) { p.Labels = nil }, "strangers"},
		"a Deployment that is not there": {func(p *corev1.Pod) { p.OwnerReferences, p.Labels = ofReplicaSet("orders-receiver"), nil }, "strangers"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := settled()
			p := *r.pods[1].DeepCopy()
			r.pods = nil
			tt.change(&p)
			r.sortOut([]corev1.Pod{p})
			got := ""
			for where, pods := range map[string][]corev1.Pod{"pods": r.pods, "leaving": r.leaving, "strangers": r.strangers} {
				if len(pods) > 0 {
					got += where
				}
			}
			if got != tt.want {
				t.Errorf("it is sorted to %q, want %q", got, tt.want)
			}
		})
	}
}

// A replica that goes is asked every second what it still holds; one that is silent, maybe for days, is not.
func TestRound_pause(t *testing.T) {
	tests := map[string]struct {
		change func(*round)
		want   time.Duration
	}{
		"at rest":                    {func(*round) {}, steady},
		"one that goes":              {func(r *round) { r.endpoint.Spec.Receiver.Replicas = new(int32(1)) }, soon},
		"one that goes is silent":    {func(r *round) { r.endpoint.Spec.Receiver.Replicas = new(int32(1)); cutOffNode(r) }, steady},
		"one that stays is silent":   {cutOffNode, steady},
		"one has no configuration":   {func(r *round) { answer(r, 1, func(a *receivers.Answer) { a.Digest = "old" }) }, soon},
		"something is to be deleted": {func(r *round) { r.problems = []*problem{wait("A", hookbayv1alpha1.ReasonReceiversStarting, "wait")} }, soon},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := settled()
			tt.change(r)
			if got := r.pause(); got != tt.want {
				t.Errorf("the next round comes in %s, want %s", got, tt.want)
			}
		})
	}
}

// However many receivers are lost, the condition can be written.
func TestStatus_silenceOfMany(t *testing.T) {
	r := settled()
	r.endpoint.Spec.Receiver.Replicas = new(int32(32))
	cutOffNode(r)
	for n := 2; n < 32; n++ {
		rep, pod := r.replicas[1], *r.pods[1].DeepCopy()
		rep.number, rep.claim = n, manifests.VolumeClaim(r.endpoint, n)
		pod.Labels[manifests.LabelReplica] = strconv.Itoa(n)
		r.replicas, r.pods = append(r.replicas, rep), append(r.pods, pod)
	}
	c := meta.FindStatusCondition(r.status(noon).Conditions, hookbayv1alpha1.ConditionWorkloadReady)
	if n := strings.Count(c.Message, "has not been heard of"); n != maxSilences || len(c.Message) > maxMessage || strings.HasSuffix(c.Message, "…") {
		t.Errorf("the message tells of %d receivers in %d bytes, want %d, in less than %d", n, len(c.Message), maxSilences, maxMessage)
	}
	if want := "; 28 more have not been heard of: see status.receivers"; !strings.Contains(c.Message, want) {
		t.Errorf("the message is %q, without %q", c.Message, want)
	}
}
