package controllers

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/apitest"
	"github.com/hookbay/hookbay/controllers/manifests"
)

func (s *story) eventually(what string, holds func() bool) {
	s.t.Helper()
	apitest.Eventually(s.t, what, func() error {
		if !holds() {
			return errors.New("not yet")
		}
		return nil
	})
}

// ready waits until an endpoint is Ready in its newest generation, and has been observed to be by kstatus' rules.
func (s *story) ready(name string) {
	s.t.Helper()
	apitest.Eventually(s.t, name+" is ready", func() error {
		e := s.endpoint(name)
		c := meta.FindStatusCondition(e.Status.Conditions, hookbayv1alpha1.ConditionReady)
		if c == nil || c.Status != metav1.ConditionTrue || c.ObservedGeneration != e.Generation || e.Status.ObservedGeneration != e.Generation {
			return fmt.Errorf("generation %d, conditions:\n%s", e.Generation, words(e.Status.Conditions))
		}
		return nil
	})
}

// condition waits for a condition about the newest generation, whose message holds some words.
func (s *story) condition(name, kind string, status metav1.ConditionStatus, reason, message string) {
	s.t.Helper()
	apitest.Eventually(s.t, fmt.Sprintf("%s of %s is %s (%s)", kind, name, status, reason), func() error {
		e := s.endpoint(name)
		c := meta.FindStatusCondition(e.Status.Conditions, kind)
		if c == nil || c.Status != status || c.Reason != reason || !strings.Contains(c.Message, message) || c.ObservedGeneration != e.Generation {
			return fmt.Errorf("want %q in the message; generation %d, conditions:\n%s", message, e.Generation, words(e.Status.Conditions))
		}
		return nil
	})
}

func (s *story) noCondition(name, kind string) {
	s.t.Helper()
	s.eventually("no "+kind, func() bool { return meta.FindStatusCondition(s.endpoint(name).Status.Conditions, kind) == nil })
}

func words(conditions []metav1.Condition) string {
	var b strings.Builder
	for _, c := range conditions {
		fmt.Fprintf(&b, "  %s=%s %s (generation %d): %s\n", c.Type, c.Status, c.Reason, c.ObservedGeneration, c.Message)
	}
	return b.String()
}

// stoppedOneByOne says that the serving pod of each of these was stopped once, and never while another was not ready.
func (s *story) stoppedOneByOne(owners ...string) {
	s.t.Helper()
	s.cluster.let(func(k *cluster) {
		for _, owner := range owners {
			if k.stopped[owner] != 1 {
				s.t.Errorf("the serving pod of %s was stopped %d times, want once", owner, k.stopped[owner])
			}
		}
		if k.together > 0 {
			s.t.Errorf("serving pods were stopped %d times while another was not ready", k.together)
		}
	})
}

// admit plays an Ingress controller.
func (s *story) admit(name string) {
	s.t.Helper()
	s.eventually("Ingress "+name, func() bool { return s.exists(&networkingv1.Ingress{}, name) })
	ingress := s.get(&networkingv1.Ingress{}, name).(*networkingv1.Ingress)
	ingress.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "192.0.2.1"}}
	if err := s.admin.Status().Update(s.t.Context(), ingress); err != nil {
		s.t.Fatal(err)
	}
}

// judgeRoute plays the controller of a Gateway.
func (s *story) judgeRoute(name string, accepted metav1.ConditionStatus, reason, message string) {
	s.t.Helper()
	route := s.get(&gatewayv1.HTTPRoute{}, name).(*gatewayv1.HTTPRoute)
	condition := func(kind gatewayv1.RouteConditionType, status metav1.ConditionStatus, reason string) metav1.Condition {
		return metav1.Condition{
			Type: string(kind), Status: status, Reason: reason, Message: message, ObservedGeneration: route.Generation, LastTransitionTime: metav1.Now(),
		}
	}
	route.Status.Parents = nil
	for _, ref := range route.Spec.ParentRefs {
		route.Status.Parents = append(route.Status.Parents, gatewayv1.RouteParentStatus{
			ParentRef: ref, ControllerName: "example.com/gateways", Conditions: []metav1.Condition{
				condition(gatewayv1.RouteConditionAccepted, accepted, reason),
				condition(gatewayv1.RouteConditionResolvedRefs, metav1.ConditionTrue, "ResolvedRefs"),
			},
		})
	}
	if err := s.admin.Status().Update(s.t.Context(), route); err != nil {
		s.t.Fatal(err)
	}
}

// scale sets the replicas of a Deployment by its scale subresource, as an autoscaler does.
func (s *story) scale(deployment string, replicas int32) {
	s.t.Helper()
	s.eventually("Deployment "+deployment, func() bool { return s.exists(&appsv1.Deployment{}, deployment) })
	s.rescale(s.get(&appsv1.Deployment{}, deployment), replicas)
}

// scaleOrders is kubectl scale webhookendpoint/orders.
func (s *story) scaleOrders(replicas int32) {
	s.t.Helper()
	s.rescale(s.endpoint("orders"), replicas)
}

func (s *story) rescale(o client.Object, replicas int32) {
	s.t.Helper()
	scale := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: o.GetName()}}
	scale.Spec.Replicas = replicas
	if err := s.admin.SubResource("scale").Update(s.t.Context(), o, client.WithSubResourceBody(scale)); err != nil {
		s.t.Fatal(err)
	}
}

// collectGarbage deletes what an endpoint owned that is gone, as the garbage collector does.
func (s *story) collectGarbage(name string) {
	s.t.Helper()
	for _, list := range append(watchedLists(), &gatewayv1.HTTPRouteList{}) {
		if err := s.admin.List(s.t.Context(), list, client.InNamespace(s.namespace), client.MatchingLabels{manifests.LabelInstance: name}); err != nil {
			s.t.Fatal(err)
		}
		items, err := meta.ExtractList(list)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, item := range items {
			o := item.(client.Object)
			owned := slices.ContainsFunc(o.GetOwnerReferences(), func(ref metav1.OwnerReference) bool { return ref.Name == name })
			if !owned {
				continue
			}
			if err := s.admin.Delete(s.t.Context(), o, client.GracePeriodSeconds(0)); client.IgnoreNotFound(err) != nil {
				s.t.Fatal(err)
			}
		}
	}
}

func watchedLists() []client.ObjectList {
	return []client.ObjectList{
		&appsv1.DeploymentList{}, &corev1.ConfigMapList{}, &corev1.ServiceList{}, &corev1.ServiceAccountList{}, &corev1.PersistentVolumeClaimList{},
		&networkingv1.IngressList{}, &networkingv1.NetworkPolicyList{}, &policyv1.PodDisruptionBudgetList{},
	}
}

// later waits until what is created next is younger, by the API server's whole seconds, than what was created before.
func (s *story) later() {
	s.t.Helper()
	started := time.Now().Truncate(time.Second)
	s.eventually("a second is over", func() bool { return time.Now().Truncate(time.Second).After(started) })
}

// poke has the manager look at an endpoint, which it would do by itself within half a minute.
func (s *story) poke(name string) {
	s.t.Helper()
	service := s.get(&corev1.Service{}, name+"-receiver")
	service.SetAnnotations(map[string]string{"example.com/poked": time.Now().String()})
	s.update(service)
}

// receiver waits until status tells of a replica what holds.
func (s *story) receiver(endpoint, name string, holds func(hookbayv1alpha1.ReceiverStatus) bool) {
	s.t.Helper()
	apitest.Eventually(s.t, "status of receiver "+name, func() error {
		e := s.endpoint(endpoint)
		for _, r := range e.Status.Receivers {
			if r.Name == name && holds(r) {
				return nil
			}
		}
		told, err := json.Marshal(e.Status.Receivers)
		if err != nil {
			return err
		}
		return fmt.Errorf("receivers: %s; conditions:\n%s", told, words(e.Status.Conditions))
	})
}

// deletePods deletes the pods of a replica that are on a node, with the grace that they ask for, or as given.
func (s *story) deletePods(replica string, grace ...client.DeleteOption) {
	s.t.Helper()
	var pods corev1.PodList
	if err := s.admin.List(s.t.Context(), &pods, client.InNamespace(s.namespace)); err != nil {
		s.t.Fatal(err)
	}
	for i := range pods.Items {
		if p := &pods.Items[i]; p.Annotations["test/owner"] == replica && p.Spec.NodeName != "" {
			if err := s.admin.Delete(s.t.Context(), p, grace...); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// settle waits until the manager has asked nothing of the API server for a while, and forgets what it asked before.
func (s *story) settle() {
	s.t.Helper()
	quiet := 0
	s.eventually("the manager comes to rest", func() bool {
		if n := s.requests.writes(); n > 0 {
			quiet = 0
			return false
		}
		quiet++
		return quiet > 20 // a second
	})
}

func route() *gatewayv1.HTTPRoute { return &gatewayv1.HTTPRoute{} }
