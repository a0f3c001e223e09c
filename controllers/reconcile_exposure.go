package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
)

// reconcileExposure makes what leads callbacks from outside to the Service: an Ingress, an HTTPRoute, both or neither.
func (r *Reconciler) reconcileExposure(ctx context.Context, round *round) error {
	holder, err := r.holder(ctx, round.endpoint)
	if err != nil {
		return err
	}
	if holder != "" {
		return stall(hookbayv1alpha1.ConditionExposed, hookbayv1alpha1.ReasonAddressTaken,
			"%s has the same host and path, %s%s: choose another exposure.path or exposure.host, or delete %s",
			holder, round.endpoint.Spec.Exposure.Host, manifests.EndpointPath(round.endpoint), holder)
	}
	return errors.Join(r.reconcileIngress(ctx, round), r.reconcileRoute(ctx, round))
}

// holder names the endpoint that has this one's host and path, "" if it is this one's. That is whoever has it already, by its status.address: an
// endpoint must not take the address of another by a change of its spec, however old it is. Among those that don't, it is the
// oldest; where creation times are the same, the first by name. One that is being deleted has its address until it is gone.
func (r *Reconciler) holder(ctx context.Context, e *hookbayv1alpha1.WebhookEndpoint) (string, error) {
	if !exposes(e) {
		return "", nil
	}
	var same hookbayv1alpha1.WebhookEndpointList
	if err := r.Client.List(ctx, &same, client.MatchingFields{indexAddress: address(e)}); err != nil {
		return "", fmt.Errorf("list endpoints with the same host and path: %w", err)
	}
	if len(same.Items) == 0 {
		return "", nil
	}
	first := slices.MinFunc(same.Items, func(a, b hookbayv1alpha1.WebhookEndpoint) int {
		return cmp.Or(waits(&a)-waits(&b), a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
			strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name))
	})
	if first.UID == e.UID {
		return "", nil
	}
	return first.Namespace + "/" + first.Name, nil
}

// waits is 0 for an endpoint that has its address already.
func waits(e *hookbayv1alpha1.WebhookEndpoint) int {
	if e.Status.Address == address(e) {
		return 0
	}
	return 1
}

// exposes says whether something is to lead callbacks to the endpoint by its host.
func exposes(e *hookbayv1alpha1.WebhookEndpoint) bool {
	return e.Spec.Exposure.Host != "" && (e.Spec.Exposure.Ingress != nil || e.Spec.Exposure.HTTPRoute != nil)
}

func (r *Reconciler) reconcileIngress(ctx context.Context, round *round) error {
	wanted := manifests.Ingress(round.endpoint)
	if wanted == nil {
		return nil
	}
	live, err := r.ensure(ctx, round, wanted)
	if err != nil {
		return forExposure(err)
	}
	ingress, ok := live.(*networkingv1.Ingress)
	if !ok {
		return nil // a frozen round
	}
	round.ingress = ingress
	if err := r.tlsSecret(ctx, round.endpoint); err != nil {
		return err
	}
	if len(ingress.Status.LoadBalancer.Ingress) > 0 {
		return nil
	}
	class := "the cluster's default class"
	if name := ingress.Spec.IngressClassName; name != nil {
		class = "class " + *name
	}
	return wait(hookbayv1alpha1.ConditionExposed, hookbayv1alpha1.ReasonIngressNotAdmitted,
		"no Ingress controller has published an address for Ingress %s/%s (%s): check that the class exists and that its controller runs "+
			"and publishes addresses (kubectl get ingressclass; kubectl describe ingress -n %s %s)",
		ingress.Namespace, ingress.Name, class, ingress.Namespace, ingress.Name)
}

// tlsSecret says that the Secret of the Ingress' certificate is missing: controllers then show one of their own, which no platform takes. The Ingress is
// made all the same, as cert-manager wants it first.
func (r *Reconciler) tlsSecret(ctx context.Context, e *hookbayv1alpha1.WebhookEndpoint) error {
	name := e.Spec.Exposure.Ingress.TLSSecretName
	if name == "" {
		return nil
	}
	version, err := r.secretVersion(ctx, e.Namespace, name)
	if err != nil || version != "" {
		return err
	}
	return wait(hookbayv1alpha1.ConditionExposed, hookbayv1alpha1.ReasonTLSSecretMissing,
		"exposure.ingress.tlsSecretName: Secret %s/%s does not exist: create it (kubectl create secret tls %s -n %s --cert FILE --key FILE), or wait until "+
			"cert-manager has", e.Namespace, name, name, e.Namespace)
}

func (r *Reconciler) reconcileRoute(ctx context.Context, round *round) error {
	wanted := manifests.HTTPRoute(round.endpoint)
	if wanted == nil {
		return nil
	}
	known, err := r.routes.known(ctx)
	if err != nil {
		return err
	}
	if !known {
		return wait(hookbayv1alpha1.ConditionExposed, hookbayv1alpha1.ReasonGatewayAPIMissing,
			"exposure.httpRoute is set, but the cluster has no HTTPRoute of gateway.networking.k8s.io/v1: install the Gateway API, or use exposure.ingress")
	}
	live, err := r.ensure(ctx, round, wanted)
	if err != nil {
		return forExposure(err)
	}
	route, ok := live.(*gatewayv1.HTTPRoute)
	if !ok {
		return nil // a frozen round
	}
	round.route = route
	for _, ref := range route.Spec.ParentRefs {
		if reason, why := notAccepted(route, ref); why != "" {
			return wait(hookbayv1alpha1.ConditionExposed, reason, "HTTPRoute %s/%s: Gateway %s %s", route.Namespace, route.Name, gatewayName(route, ref), why)
		}
	}
	return nil
}

// notAccepted says why a route is not served by one of its parents, "" if it is.
func notAccepted(route *gatewayv1.HTTPRoute, ref gatewayv1.ParentReference) (reason, why string) {
	const pending = "has not looked at it yet: check that the Gateway exists and that its controller runs"
	for i := range route.Status.Parents {
		parent := &route.Status.Parents[i]
		if gatewayName(route, parent.ParentRef) != gatewayName(route, ref) {
			continue
		}
		for _, condition := range []gatewayv1.RouteConditionType{gatewayv1.RouteConditionAccepted, gatewayv1.RouteConditionResolvedRefs} {
			c := meta.FindStatusCondition(parent.Conditions, string(condition))
			switch {
			case c == nil || c.ObservedGeneration < route.Generation:
				return hookbayv1alpha1.ReasonRoutePending, pending
			case c.Status != metav1.ConditionTrue:
				return hookbayv1alpha1.ReasonRouteNotAccepted, fmt.Sprintf("does not serve it: %s is %s (%s)%s", c.Type, c.Status, c.Reason, advice(route, c))
			}
		}
		return "", ""
	}
	return hookbayv1alpha1.ReasonRoutePending, pending
}

// advice is what a Gateway says to a refusal or, where that is usually too little, what to do.
func advice(route *gatewayv1.HTTPRoute, c *metav1.Condition) string {
	var words string
	if c.Message != "" {
		words = ": " + cut(c.Message)
	}
	switch gatewayv1.RouteConditionReason(c.Reason) {
	case gatewayv1.RouteReasonNotAllowedByListeners:
		words += ": let allowedRoutes.namespaces of a listener of the Gateway admit namespace " + route.Namespace
	case gatewayv1.RouteReasonNoMatchingListenerHostname:
		words += ": give a listener of the Gateway the endpoint's exposure.host, or none"
	}
	return words
}

// gatewayName names a parent of a route: namespace/name, and its listener where one is named.
func gatewayName(route *gatewayv1.HTTPRoute, ref gatewayv1.ParentReference) string {
	namespace := route.Namespace
	if ref.Namespace != nil {
		namespace = string(*ref.Namespace)
	}
	name := namespace + "/" + string(ref.Name)
	if ref.SectionName != nil {
		name += " listener " + string(*ref.SectionName)
	}
	return name
}

// forExposure makes a problem with an Ingress or HTTPRoute one of the condition Exposed.
func forExposure(err error) error {
	if p, ok := errors.AsType[*problem](err); ok {
		p.condition = hookbayv1alpha1.ConditionExposed
		return p
	}
	return err
}
