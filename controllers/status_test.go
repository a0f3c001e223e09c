package controllers

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/controllers/receivers"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// settled is a round that saw two receivers with volumes, of generation 3, in which all is well.
func settled() *round {
	e := endpoint("orders")
	e.Namespace, e.Generation = "shop", 3
	r := &round{stored: e, endpoint: e.DeepCopy(), revision: "r", digest: "d", asked: map[string]receivers.Answer{}}
	for n := range 2 {
		name := manifests.ReplicaName(e, n)
		d := manifests.ReplicaDeployment(e, manifests.Settings{Image: "i"}, n, manifests.TrafficServe)
		d.Status = appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1}
		pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name + "-pod", Labels: d.Spec.Template.Labels, Annotations: d.Spec.Template.Annotations,
			OwnerReferences: ofReplicaSet(name),
		}, Spec: d.Spec.Template.Spec}
		pod.Spec.NodeName = "node1"
		pod.Status.Phase = corev1.PodRunning
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "receiver", Image: "i", Ready: true}}
		claim := manifests.VolumeClaim(e, n)
		claim.Status.Phase = corev1.ClaimBound
		r.deployments = append(r.deployments, *d)
		r.pods = append(r.pods, pod)
		r.claims = append(r.claims, *claim)
		r.replicas = append(r.replicas, replica{number: n, deployment: d, claim: claim, current: true, decision: serve})
		r.asked[pod.Name] = receivers.Answer{Report: receivers.Report{Digest: "d", Revision: "r.2", Generation: 3}}
	}
	return r
}

// down has replica 1 not be ready, with a pod as given.
func down(r *round, change func(*corev1.Pod)) {
	r.replicas[1].deployment.Status.AvailableReplicas = 0
	r.pods[1].Status.Conditions[0].Status, r.pods[1].Status.Conditions[0].Reason = corev1.ConditionFalse, "ContainersNotReady"
	r.pods[1].Status.ContainerStatuses[0].Ready = false
	change(&r.pods[1])
}

func waitingContainer(reason, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "receiver", Image: "i", State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message},
		}}}
	}
}

func answer(r *round, n int, change func(*receivers.Answer)) {
	a := r.asked[r.pods[n].Name]
	change(&a)
	r.asked[r.pods[n].Name] = a
}

func TestStatus_conditions(t *testing.T) {
	const (
		isTrue, isFalse, isUnknown = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
		workload                   = hookbayv1alpha1.ConditionWorkloadReady
		programmed                 = hookbayv1alpha1.ConditionProgrammed
		delivering                 = hookbayv1alpha1.ConditionDelivering
	)
	tests := map[string]struct {
		change      func(*round)
		kind        string
		status      metav1.ConditionStatus
		reason      string
		wantMessage string
		wantReady   metav1.ConditionStatus
	}{
		"all is well": {func(*round) {}, workload, isTrue, hookbayv1alpha1.ReasonReceiversReady, "2 of 2 receivers are ready", isTrue},
		"no node can take it": {func(r *round) {
			down(r, func(p *corev1.Pod) {
				p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{
					Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/3 nodes are available: insufficient cpu",
				})
			})
		}, workload, isFalse, hookbayv1alpha1.ReasonUnschedulable, "1 of 2 receivers are ready; no node can take receiver orders-1-pod: 0/3 nodes", isFalse},
		"it crashes": {func(r *round) { down(r, waitingContainer("CrashLoopBackOff", "back-off 5m0s")) },
			workload, isFalse, hookbayv1alpha1.ReasonReceiversNotReady, "kubectl logs -n shop orders-1-pod --previous", isFalse},
		"it can't be made": {func(r *round) { down(r, waitingContainer("CreateContainerConfigError", "no such thing")) },
			workload, isFalse, hookbayv1alpha1.ReasonReceiversNotReady, "can't start: CreateContainerConfigError: no such thing", isFalse},
		"it is being made": {func(r *round) { down(r, waitingContainer("ContainerCreating", "")) },
			workload, isFalse, hookbayv1alpha1.ReasonReceiversStarting, "1 of 2 receivers are ready", isFalse},
		"the image is not to be had": {func(r *round) { down(r, waitingContainer("ErrImagePull", "rpc error 17")) },
			workload, isFalse, hookbayv1alpha1.ReasonImagePullFailed, "image i can't be pulled", isFalse},
		"its volume's class is not there": {func(r *round) {
			down(r, func(p *corev1.Pod) {
				p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{
					Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "pod has unbound immediate PersistentVolumeClaims. not found",
				})
			})
			r.replicas[1].claim.Status.Phase = corev1.ClaimPending
			r.replicas[1].claim.Spec.StorageClassName = new("fast")
		}, workload, isFalse, hookbayv1alpha1.ReasonVolumePending, "claim orders-1 has no volume yet: check that StorageClass fast exists", isFalse},
		"the image that somebody has put in its place is not to be had": {func(r *round) {
			down(r, func(p *corev1.Pod) {
				waitingContainer("InvalidImageName", "")(p)
				p.Status.ContainerStatuses[0].Image = strings.Repeat("x\n", 30_000)
			})
		}, workload, isFalse, hookbayv1alpha1.ReasonImagePullFailed, "image i can't be pulled", isFalse},
		"the image of a container that somebody has added is not to be had": {func(r *round) {
			down(r, func(p *corev1.Pod) {
				waitingContainer("ErrImagePull", "")(p)
				p.Status.ContainerStatuses[0].Name = "proxy"
			})
		}, workload, isFalse, hookbayv1alpha1.ReasonImagePullFailed, "image of container proxy can't be pulled", isFalse},
		"a volume does not come": {func(r *round) {
			down(r, func(p *corev1.Pod) { p.Spec.NodeName = "" })
			r.replicas[1].claim.Status.Phase = corev1.ClaimPending
			r.replicas[1].claim.CreationTimestamp = metav1.NewTime(noon.Add(-time.Minute))
		}, workload, isFalse, hookbayv1alpha1.ReasonVolumePending, "claim orders-1 has no volume yet", isFalse},
		"a volume comes soon": {func(r *round) {
			down(r, func(p *corev1.Pod) { p.Spec.NodeName = "" })
			r.replicas[1].claim.Status.Phase = corev1.ClaimPending
			r.replicas[1].claim.CreationTimestamp = metav1.NewTime(noon.Add(-time.Second))
		}, workload, isFalse, hookbayv1alpha1.ReasonReceiversStarting, "1 of 2", isFalse},
		"a volume is lost": {func(r *round) {
			down(r, func(*corev1.Pod) {})
			r.replicas[1].claim.Status.Phase = corev1.ClaimLost
		}, workload, isFalse, hookbayv1alpha1.ReasonVolumePending, "claim orders-1 has lost its volume", isFalse},
		"a quota": {func(r *round) {
			down(r, func(*corev1.Pod) {})
			r.deployments[1].Status.Conditions = []appsv1.DeploymentCondition{{
				Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: `pods "orders-1-x7r2p" is forbidden: exceeded quota: team`,
			}}
		}, workload, isFalse, hookbayv1alpha1.ReasonReceiversNotReady, "the API server refuses pods of Deployment orders-1: exceeded quota: team", isFalse},
		"an update is under way": {func(r *round) { r.replicas[1].current = false },
			workload, isFalse, hookbayv1alpha1.ReasonRollingOut, "2 of 2 receivers are ready, 1 up to date", isFalse},
		"one is too many and waits for the others": {func(r *round) {
			r.replicas = append(r.replicas, replica{number: 2, decision: hold})
		}, workload, isTrue, hookbayv1alpha1.ReasonReceiversReady, "orders-2 goes when the others are ready", isTrue},
		"one is too many, and suspended": {func(r *round) {
			r.endpoint.Spec.Delivery.Suspend = true
			r.replicas = append(r.replicas, replica{number: 2, decision: drain, held: 1})
		}, workload, isTrue, hookbayv1alpha1.ReasonReceiversReady, "orders-2 has 1 event to deliver before it goes, which delivery.suspend keeps it from", isTrue},
		"nothing without credentials": {func(r *round) {
			*r = round{stored: r.stored, endpoint: r.endpoint, frozen: true, problems: []*problem{
				wait(hookbayv1alpha1.ConditionCredentialsReady, hookbayv1alpha1.ReasonSecretMissing, "create it"),
			}}
		}, workload, isFalse, hookbayv1alpha1.ReasonWaitingForCredentials, "no receiver is started", isFalse},

		"one has not got the configuration": {func(r *round) { answer(r, 1, func(a *receivers.Answer) { a.Digest = "old" }) },
			programmed, isFalse, hookbayv1alpha1.ReasonProgramming, "1 of 2 receivers serve generation 3", isFalse},
		"one has not got the Secrets": {func(r *round) { answer(r, 1, func(a *receivers.Answer) { a.Revision = "r.1" }) },
			programmed, isFalse, hookbayv1alpha1.ReasonProgramming, "1 of 2 receivers serve generation 3", isFalse},
		"one refuses it": {func(r *round) {
			answer(r, 1, func(a *receivers.Answer) { a.Digest, a.Refused = "old", "endpoints[0].path: no" })
		}, programmed, isFalse, hookbayv1alpha1.ReasonConfigRefused, "receiver orders-1-pod refuses the configuration and goes on with the one before: endpoints[0].path: no", isFalse},
		"one of an older template refuses it, and is replaced": {func(r *round) {
			r.replicas[1].current = false
			answer(r, 1, func(a *receivers.Answer) { a.Digest, a.Refused = "old", "secret file is missing" })
		}, programmed, isFalse, hookbayv1alpha1.ReasonProgramming, "1 of 2 receivers serve generation 3", isFalse},
		"one has it and cannot work with it": {func(r *round) {
			answer(r, 1, func(a *receivers.Answer) { a.Broken = "source: secret file is empty" })
		}, programmed, isFalse, hookbayv1alpha1.ReasonConfigRefused,
			"1 of 2 receivers serve generation 3; receiver orders-1-pod refuses callbacks, as the endpoint cannot work: source: secret file is empty", isFalse},
		"one can't be asked": {func(r *round) { answer(r, 1, func(a *receivers.Answer) { a.Err = errors.New("connection refused") }) },
			programmed, isUnknown, hookbayv1alpha1.ReasonReceiversUnreachable, "receiver orders-1-pod can't be asked (connection refused): see whether its node node1 is well, and let the manager reach port 9090", isUnknown},
		"one is missing": {func(r *round) { r.pods = r.pods[:1] },
			programmed, isFalse, hookbayv1alpha1.ReasonProgramming, "1 of 2 receivers serve generation 3", isFalse},

		"events wait": {func(r *round) { answer(r, 0, func(a *receivers.Answer) { a.Backlog, a.Oldest = 1, 2*time.Minute }) },
			delivering, isFalse, hookbayv1alpha1.ReasonTargetFailing, "more than 1m0s", isTrue},
		"the target is down": {func(r *round) {
			answer(r, 0, func(a *receivers.Answer) { a.Backlog, a.Oldest, a.TargetDown = 1, 2*time.Minute, "timeout" })
			answer(r, 1, func(a *receivers.Answer) { a.TargetDown = "refused" })
		}, delivering, isFalse, hookbayv1alpha1.ReasonTargetDown, "the target is down (refused: nobody listens at its address and port): events wait, and receivers try one at least every 30 s", isTrue},
		"events wait on one that can't be asked": {func(r *round) {
			remember(r, 1, 4, noon.Add(-time.Second))
			answer(r, 1, func(a *receivers.Answer) { a.Err = errors.New("connection refused") })
		}, delivering, isTrue, hookbayv1alpha1.ReasonDelivered, "but for 4 events on receivers that can't be asked", isUnknown},
		"events have just come": {func(r *round) { answer(r, 0, func(a *receivers.Answer) { a.Backlog, a.Oldest = 100, time.Second }) },
			delivering, isTrue, hookbayv1alpha1.ReasonDelivered, "", isTrue},
		"suspended without a buffer": {func(r *round) {
			r.endpoint.Spec.Delivery.Suspend, r.endpoint.Spec.Buffer.Type = true, hookbayv1alpha1.BufferNone
		}, delivering, isFalse, hookbayv1alpha1.ReasonSuspended, "callbacks are refused", isTrue},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := settled()
			tt.change(r)
			s := r.status(noon)
			c := meta.FindStatusCondition(s.Conditions, tt.kind)
			if c == nil || c.Status != tt.status || c.Reason != tt.reason || !strings.Contains(c.Message, tt.wantMessage) {
				t.Errorf("want %s=%s %s with %q; conditions:\n%s", tt.kind, tt.status, tt.reason, tt.wantMessage, words(s.Conditions))
			}
			if ready := meta.FindStatusCondition(s.Conditions, hookbayv1alpha1.ConditionReady); tt.wantReady != "" && ready.Status != tt.wantReady {
				t.Errorf("Ready is %s, want %s; conditions:\n%s", ready.Status, tt.wantReady, words(s.Conditions))
			}
			for _, c := range s.Conditions {
				if c.ObservedGeneration != 3 || len(c.Message) > 2000 {
					t.Errorf("condition %s is of generation %d, with a message of %d bytes", c.Type, c.ObservedGeneration, len(c.Message))
				}
			}
		})
	}
}

// However a text of somebody else gets into a message, people can read it and the API server takes it.
func TestStatus_messagesAreFit(t *testing.T) {
	bad := "\x1b[31mone\ntwo\u202e " + strings.Repeat("x", 60_000)
	check := func(t *testing.T, conditions []metav1.Condition) {
		t.Helper()
		for _, c := range conditions {
			if len(c.Message) > maxMessage || strings.ContainsAny(c.Message, "\x1b\n\u202e") {
				t.Errorf("condition %s has a message of %d bytes, %.80q", c.Type, len(c.Message), c.Message)
			}
		}
	}
	kinds := []string{hookbayv1alpha1.ConditionCredentialsReady, hookbayv1alpha1.ConditionWorkloadReady, hookbayv1alpha1.ConditionExposed}
	for _, kind := range kinds {
		r := settled()
		r.problems = []*problem{stall(kind, "Bad", "%s", bad)}
		s := r.status(noon)
		if c := meta.FindStatusCondition(s.Conditions, kind); !strings.HasPrefix(c.Message, "[31mone two x") || !strings.HasSuffix(c.Message, "x…") {
			t.Errorf("condition %s does not tell what is wrong: %.80q", kind, c.Message)
		}
		check(t, s.Conditions)
	}
	e := endpoint("orders")
	e.Generation = 1
	markFailed(e, errors.New(bad), noon)
	check(t, e.Status.Conditions)
}

// A round that sees the same comes to the same, to the byte: else every round would write.
func TestStatus_isStable(t *testing.T) {
	r := settled()
	answer(r, 0, func(a *receivers.Answer) { a.LastAccepted = noon.Add(-90 * time.Millisecond) })
	first := r.status(noon)
	r.stored.Status = first
	if diff := cmp.Diff(first, r.status(noon.Add(time.Hour))); diff != "" {
		t.Errorf("the second status differs (-first +second):\n%s", diff)
	}
}

func TestNote_keepsProblemsAndReturnsTheRest(t *testing.T) {
	var r round
	transient := errors.New("no connection")
	rest := r.note(errors.Join(nil, wait("A", "a", "one"), fmt.Errorf("wrapped: %w", stall("B", "b", "two")), transient))
	if !errors.Is(rest, transient) || len(r.problems) != 2 || r.problems[1].fate != terminal {
		t.Errorf("note returned %v and kept %v", rest, r.problems)
	}
	if r.note(nil) != nil {
		t.Error("nothing is an error")
	}
}

func TestRound_touch(t *testing.T) {
	tests := map[string]struct {
		annotation string
		answer     *receivers.Answer
		want       string
	}{
		"a new pod has started with what there was":  {"", nil, "r.2"},
		"the revision is another":                    {"q.2", nil, "r.1"},
		"it has not got there yet":                   {"r.1", &receivers.Answer{Report: receivers.Report{Revision: "q.2"}}, ""},
		"it does not answer":                         {"r.1", &receivers.Answer{Err: errors.New("no")}, ""},
		"it has got there, and is touched once more": {"r.1", &receivers.Answer{Report: receivers.Report{Revision: "r.1", Digest: "d"}}, "r.2"},
		"it has all":                                  {"r.2", &receivers.Answer{Report: receivers.Report{Revision: "r.2", Digest: "d"}}, ""},
		"it was too early once more":                  {"r.2", &receivers.Answer{Report: receivers.Report{Revision: "r.2", Digest: "c"}}, "r.3"},
		"it was looked at often enough":               {"r.6", &receivers.Answer{Report: receivers.Report{Revision: "r.6", Digest: "c"}}, ""},
		"it refuses, which another look won't change": {"r.2", &receivers.Answer{Report: receivers.Report{Revision: "r.2", Digest: "c", Refused: "no"}}, ""},
		"somebody wrote something":                    {"hello", nil, "r.1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := &round{revision: "r", digest: "d", asked: map[string]receivers.Answer{}}
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Annotations: map[string]string{manifests.AnnotationRevision: tt.annotation}}}
			if tt.answer != nil {
				r.asked["p"] = *tt.answer
			}
			if got := r.touch(pod); got != tt.want {
				t.Errorf("touch = %q, want %q", got, tt.want)
			}
		})
	}
}
