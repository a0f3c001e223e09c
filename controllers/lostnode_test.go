package controllers

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
)

// The stories of nodes that are lost, with what is on their disks.

// holding waits until status tells of a replica that holds so many events.
func (s *story) holding(endpoint, name string, backlog int64) {
	s.t.Helper()
	s.cluster.let(func(k *cluster) { k.backlog[name] = backlog })
	s.poke(endpoint)
	s.receiver(endpoint, name, func(r hookbayv1alpha1.ReceiverStatus) bool { return r.Backlog != nil && *r.Backlog == backlog })
}

func silentWith(backlog int64) func(hookbayv1alpha1.ReceiverStatus) bool {
	return func(r hookbayv1alpha1.ReceiverStatus) bool {
		return !r.Ready && r.SilentSince != nil && r.Node == "node1" && r.Backlog != nil && *r.Backlog == backlog
	}
}

func TestStory_aNodeIsLostAndComesBack(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.create(endpoint("orders"))
	s.ready("orders")
	s.holding("orders", "orders-1", 5)

	lost := func(message string) {
		t.Helper()
		s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonNodeLost, message)
		s.receiver("orders", "orders-1", silentWith(5))
		if got := s.endpoint("orders").Status.Traffic.Backlog; got != 5 {
			t.Errorf("the backlog is %d while 5 events wait on the lost node", got)
		}
	}
	s.cluster.let(func(k *cluster) { k.away["orders-1"] = true })
	lost("1 of 2 receivers are ready; orders-1 on node node1 has not been heard of since ")
	since := s.endpoint("orders").Status.Receivers[1].SilentSince
	lost("Z; when it last was, it had 5 events to deliver: it goes on when the node is back; if kubectl get node node1 says NotReady and it is gone for good, " +
		"delete it (kubectl delete node node1)")

	// Five minutes later its pod is to end, and another takes its place, for which there is no node.
	s.deletePods("orders-1")
	s.eventually("the pod in its place has no node", func() bool { return s.unscheduledPods() == 1 })
	s.poke("orders")
	s.settle()
	lost("1 of 2 receivers are ready; orders-1 on node node1 has not been heard of since ")

	// An update reaches it when it is back. The other one takes all callbacks, so it is not stopped for that
	s.change("orders", func(e *hookbayv1alpha1.WebhookEndpoint) {
		e.Spec.Receiver.PodLabels = map[string]string{"team": "chat"}
	})
	lost("; orders-0 is updated when another receiver is ready")
	s.eventually("there is no pod in its place any more", func() bool { return s.unscheduledPods() == 0 })
	lost("1 of 2 receivers are ready; orders-1 on node node1 has not been heard of since ")
	s.cluster.let(func(k *cluster) {
		if k.stopped["orders-0"] > 0 {
			t.Error("the last receiver was stopped for an update")
		}
	})

	// before there is a third one.
	s.scaleOrders(3)
	s.eventually("orders-0 is updated", func() bool {
		d := s.get(&appsv1.Deployment{}, "orders-0").(*appsv1.Deployment)
		return d.Spec.Template.Labels["team"] == "chat" && deploymentReady(d)
	})
	lost("2 of 3 receivers are ready; orders-1 on node node1")
	if got := s.endpoint("orders").Status.Receivers[1].SilentSince; !got.Equal(since) {
		t.Errorf("it is silent since %s, and was since %s before", got, since)
	}

	s.cluster.let(func(k *cluster) { k.away["orders-1"] = false })
	s.ready("orders")
	s.receiver("orders", "orders-1", func(r hookbayv1alpha1.ReceiverStatus) bool {
		return r.Ready && r.SilentSince == nil && *r.Backlog == 5
	})
}

func TestStory_aNodeIsLostForGood(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.create(endpoint("orders"))
	s.ready("orders")
	s.holding("orders", "orders-1", 5)
	s.cluster.let(func(k *cluster) { k.away["orders-1"], k.local["orders-1"] = true, true })
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonNodeLost, "it had 5 events to deliver")

	// Its pod is forgotten with the node. Nothing else has the volume.
	s.cluster.let(func(k *cluster) { k.away["orders-1"] = false })
	s.deletePods("orders-1", client.GracePeriodSeconds(0))
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionFalse, hookbayv1alpha1.ReasonUnschedulable, "it had 5 events to deliver: "+
		"it goes on when a node takes pods that its volume can be attached to; if there is none any more, give up what is on the volume "+
		"(kubectl delete pvc -n "+s.namespace+" orders-1)")
	s.receiver("orders", "orders-1", silentWith(5))

	// What is given up is no longer told of.
	s.later()
	s.cluster.let(func(k *cluster) { k.backlog["orders-1"] = 0 })
	s.remove(&corev1.PersistentVolumeClaim{}, "orders-1")
	s.ready("orders")
	s.receiver("orders", "orders-1", func(r hookbayv1alpha1.ReceiverStatus) bool { return r.SilentSince == nil && *r.Backlog == 0 })
}

func TestStory_aReceiverThatGoesIsLost(t *testing.T) {
	s := newStory(t)
	s.secret("lazada-app", "app-secret", "s3cret")
	s.create(endpoint("orders"))
	s.ready("orders")
	s.holding("orders", "orders-1", 5)
	s.scaleOrders(1)
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionTrue, hookbayv1alpha1.ReasonReceiversReady, "orders-1 has 5 events to deliver")

	s.cluster.let(func(k *cluster) { k.away["orders-1"] = true })
	s.condition("orders", hookbayv1alpha1.ConditionWorkloadReady, metav1.ConditionTrue, hookbayv1alpha1.ReasonReceiversReady,
		"1 of 1 receiver is ready; orders-1 goes when it has delivered what it holds; orders-1 on node node1 has not been heard of since ")
	s.deletePods("orders-1")
	s.eventually("the pod in its place has no node", func() bool { return s.unscheduledPods() == 1 })
	s.change("orders", func(e *hookbayv1alpha1.WebhookEndpoint) {
		e.Spec.Receiver.PodLabels = map[string]string{"team": "chat"}
	})
	s.poke("orders")
	s.settle()
	s.receiver("orders", "orders-1", silentWith(5))
	if got := s.get(&appsv1.Deployment{}, "orders-1").(*appsv1.Deployment).Spec.Template.Labels[manifests.LabelTraffic]; got != manifests.TrafficDrain {
		t.Errorf("the replica that goes has traffic %s, want %s", got, manifests.TrafficDrain)
	}

	// It goes when it says that it holds nothing, and with it what was told of it.
	s.cluster.let(func(k *cluster) { k.away["orders-1"], k.backlog["orders-1"] = false, 0 })
	s.gone(&appsv1.Deployment{}, "orders-1")
	s.eventually("status tells of one receiver", func() bool { return len(s.endpoint("orders").Status.Receivers) == 1 })
	s.get(&corev1.PersistentVolumeClaim{}, "orders-1")
}

// unscheduledPods counts the pods that no node can take.
func (s *story) unscheduledPods() int {
	s.t.Helper()
	n := 0
	for _, name := range s.podNames() {
		var p corev1.Pod
		if s.exists(&p, name) && p.DeletionTimestamp == nil && unscheduled(&p) != nil {
			n++
		}
	}
	return n
}
