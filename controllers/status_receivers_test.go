package controllers

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/controllers/receivers"
)

// remember has status tell that a replica, which ran on node1, holds events, and has been silent since then; zero: it has not.
func remember(r *round, n int, backlog int64, silent time.Time) {
	s := hookbayv1alpha1.ReceiverStatus{
		Name: manifests.ReplicaName(r.stored, n), Node: "node1", Ready: silent.IsZero(), Backlog: &backlog, DeadLettered: new(int64(1)),
	}
	if !silent.IsZero() {
		s.SilentSince = new(metav1.NewTime(silent))
	}
	r.stored.Status.Receivers = append(r.stored.Status.Receivers, s)
}

// mute has a replica's pod not answer.
func mute(r *round, n int) {
	answer(r, n, func(a *receivers.Answer) { *a = receivers.Answer{Err: errors.New("no route to host")} })
}

func TestStatus_receivers(t *testing.T) {
	ago := func(d time.Duration) time.Time { return noon.Add(-d) }
	since := func(t time.Time) *metav1.Time { return new(metav1.NewTime(t)) }
	// Replica 1 of two; the other one is as settled has it.
	tests := map[string]struct {
		change func(*round)
		want   *hookbayv1alpha1.ReceiverStatus // but for its name; nil: it is not listed
	}{
		"it answers": {func(r *round) {
			answer(r, 1, func(a *receivers.Answer) { a.Backlog, a.DeadLetters = 5, 2 })
		}, &hookbayv1alpha1.ReceiverStatus{Node: "node1", Ready: true, Backlog: new(int64(5)), DeadLettered: new(int64(2))}},
		"it answers again": {func(r *round) {
			remember(r, 1, 7, ago(time.Hour))
		}, &hookbayv1alpha1.ReceiverStatus{Node: "node1", Ready: true, Backlog: new(int64(0)), DeadLettered: new(int64(0))}},
		"it has just fallen silent": {func(r *round) {
			remember(r, 1, 7, time.Time{})
			mute(r, 1)
		}, &hookbayv1alpha1.ReceiverStatus{Node: "node1", Ready: true, Backlog: new(int64(7)), DeadLettered: new(int64(1)), SilentSince: since(noon)}},
		"it has been silent for long": {func(r *round) {
			remember(r, 1, 7, ago(time.Hour))
			mute(r, 1)
		}, &hookbayv1alpha1.ReceiverStatus{
			Node: "node1", Ready: true, Backlog: new(int64(7)), DeadLettered: new(int64(1)), SilentSince: since(ago(time.Hour)),
		}},
		"a clock that was wrong": {func(r *round) {
			remember(r, 1, 7, noon.Add(time.Hour))
			mute(r, 1)
		}, &hookbayv1alpha1.ReceiverStatus{Node: "node1", Ready: true, Backlog: new(int64(7)), DeadLettered: new(int64(1)), SilentSince: since(noon)}},
		"it has never been heard of": {func(r *round) {
			mute(r, 1)
		}, &hookbayv1alpha1.ReceiverStatus{Node: "node1", Ready: true, SilentSince: since(noon)}},
		"its pod is gone": {func(r *round) {
			remember(r, 1, 7, ago(time.Hour))
			r.pods = r.pods[:1]
		}, &hookbayv1alpha1.ReceiverStatus{
			Node: "node1", Ready: true, Backlog: new(int64(7)), DeadLettered: new(int64(1)), SilentSince: since(ago(time.Hour)),
		}},
		"its claim is another since": {func(r *round) {
			remember(r, 1, 7, ago(time.Hour))
			r.replicas[1].claim.CreationTimestamp = metav1.NewTime(ago(time.Minute))
			r.pods = r.pods[:1]
		}, &hookbayv1alpha1.ReceiverStatus{Ready: true, SilentSince: since(noon)}},
		"its claim is deleted": {func(r *round) {
			remember(r, 1, 7, ago(time.Hour))
			r.replicas[1].claim = nil
		}, nil},
		"it is one too many, and goes": {func(r *round) {
			r.endpoint.Spec.Receiver.Replicas = new(int32(1))
			r.replicas[1].decision = remove
		}, nil},
		"it is one too many, and has events": {func(r *round) {
			r.endpoint.Spec.Receiver.Replicas = new(int32(1))
			r.replicas[1].decision = drain
		}, &hookbayv1alpha1.ReceiverStatus{Node: "node1", Ready: true, Backlog: new(int64(0)), DeadLettered: new(int64(0))}},
		"its new pod waits on another node": {func(r *round) {
			remember(r, 1, 7, ago(time.Hour))
			down(r, func(p *corev1.Pod) { p.Spec.NodeName, p.Status.Phase = "node3", corev1.PodPending })
			mute(r, 1)
		}, &hookbayv1alpha1.ReceiverStatus{Node: "node1", Backlog: new(int64(7)), DeadLettered: new(int64(1)), SilentSince: since(ago(time.Hour))}},
		"its first pod starts": {func(r *round) {
			down(r, func(p *corev1.Pod) { p.Spec.NodeName, p.Status.Phase = "node3", corev1.PodPending })
			mute(r, 1)
		}, &hookbayv1alpha1.ReceiverStatus{Node: "node3", SilentSince: since(noon)}},
		"its first pod names a node that has not told of it": {func(r *round) {
			down(r, func(p *corev1.Pod) { p.Spec.NodeName, p.Status = "node3", corev1.PodStatus{Phase: corev1.PodPending} })
			mute(r, 1)
		}, &hookbayv1alpha1.ReceiverStatus{SilentSince: since(noon)}},
		"its old pod has not ended": {func(r *round) {
			r.leaving, r.pods = r.pods[1:], r.pods[:1]
			r.leaving[0].Spec.NodeName = "node2"
		}, &hookbayv1alpha1.ReceiverStatus{Node: "node2", Ready: true, SilentSince: since(noon)}},
		"there is another pod of it": {func(r *round) {
			r.pods = append(r.pods, *r.pods[1].DeepCopy())
			r.pods[2].Name = "another"
			r.asked["another"] = receivers.Answer{Report: receivers.Report{Backlog: 3}}
		}, &hookbayv1alpha1.ReceiverStatus{Node: "node1", Ready: true, Backlog: new(int64(3)), DeadLettered: new(int64(0))}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := settled()
			tt.change(r)
			want := []hookbayv1alpha1.ReceiverStatus{{Name: "orders-0", Node: "node1", Ready: true, Backlog: new(int64(0)), DeadLettered: new(int64(0))}}
			if tt.want != nil {
				tt.want.Name = "orders-1"
				want = append(want, *tt.want)
			}
			s := r.status(noon)
			if diff := cmp.Diff(want, s.Receivers); diff != "" {
				t.Errorf("receivers (-want +got):\n%s", diff)
			}
			r.stored.Status = s
			if diff := cmp.Diff(s, r.status(noon.Add(time.Second))); diff != "" {
				t.Errorf("a second later all is as before, but status differs (-first +second):\n%s", diff)
			}
		})
	}
}

func TestStatus_receiversAreNoMoreThanMayBe(t *testing.T) {
	r := settled()
	for n := 2; n < 40; n++ {
		r.replicas = append(r.replicas, replica{number: n, claim: manifests.VolumeClaim(r.endpoint, n), decision: drain})
	}
	if got := len(r.status(noon).Receivers); got != 32 {
		t.Errorf("status has %d receivers, want 32, which the definition allows", got)
	}
}

func TestStatus_traffic(t *testing.T) {
	at := func(seconds int) *metav1.Time {
		return new(metav1.NewTime(noon.Add(time.Duration(seconds) * time.Second)))
	}
	before := func(r *round) {
		r.stored.Status.Traffic = &hookbayv1alpha1.Traffic{Backlog: 9, DeadLettered: 2, LastAcceptedTime: at(50), LastRejectedTime: at(5)}
		remember(r, 0, 4, time.Time{})
		remember(r, 1, 5, time.Time{})
	}
	told := func(n int, backlog, dead int64, accepted, refused int) func(*round) {
		return func(r *round) {
			answer(r, n, func(a *receivers.Answer) {
				a.Backlog, a.DeadLetters, a.LastAccepted, a.LastRefused = backlog, dead, at(accepted).Time, at(refused).Time
			})
		}
	}
	silent := func(n int) func(*round) { return func(r *round) { mute(r, n) } }
	stateless := func(r *round) { r.endpoint.Spec.Buffer.Type, r.replicas = hookbayv1alpha1.BufferNone, nil }
	tests := map[string]struct {
		changes []func(*round)
		want    *hookbayv1alpha1.Traffic
	}{
		"all answer, and one has restarted, which must not turn times back": {
			[]func(*round){before, told(0, 3, 1, 40, 10), told(1, 4, 1, -90, 20)},
			&hookbayv1alpha1.Traffic{Backlog: 7, DeadLettered: 2, LastAcceptedTime: at(50), LastRejectedTime: at(20)},
		},
		"one has a clock that is wrong": {
			[]func(*round){before, told(0, 3, 1, 40, 10), told(1, 4, 1, 3600, 20)},
			&hookbayv1alpha1.Traffic{Backlog: 7, DeadLettered: 2, LastAcceptedTime: at(50), LastRejectedTime: at(20)},
		},
		"one is silent, and counts as it did": {
			[]func(*round){before, told(0, 3, 0, 55, -90), silent(1)},
			&hookbayv1alpha1.Traffic{Backlog: 8, DeadLettered: 1, LastAcceptedTime: at(55), LastRejectedTime: at(5)},
		},
		"nobody answers": {
			[]func(*round){before, silent(0), silent(1)},
			&hookbayv1alpha1.Traffic{Backlog: 9, DeadLettered: 2, LastAcceptedTime: at(50), LastRejectedTime: at(5)},
		},
		"nobody answers, and what was on a volume was given up": {
			[]func(*round){before, silent(0), silent(1), func(r *round) {
				r.stored.Status.Receivers[1].SilentSince = at(-60)
				r.replicas[1].claim.CreationTimestamp = *at(-30)
			}},
			&hookbayv1alpha1.Traffic{Backlog: 4, DeadLettered: 1, LastAcceptedTime: at(50), LastRejectedTime: at(5)},
		},
		"nobody ever answered": {[]func(*round){silent(0), silent(1)}, nil},
		"receivers without volumes": {
			[]func(*round){before, stateless, told(0, 3, 0, 55, 10), silent(1)},
			&hookbayv1alpha1.Traffic{Backlog: 3, LastAcceptedTime: at(55), LastRejectedTime: at(10)},
		},
		"receivers without volumes, of which none answers": {
			[]func(*round){before, stateless, silent(0), silent(1)},
			&hookbayv1alpha1.Traffic{Backlog: 9, DeadLettered: 2, LastAcceptedTime: at(50), LastRejectedTime: at(5)},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := settled()
			for _, change := range tt.changes {
				change(r)
			}
			if diff := cmp.Diff(tt.want, r.status(noon).Traffic); diff != "" {
				t.Errorf("traffic (-want +got):\n%s", diff)
			}
		})
	}
}
