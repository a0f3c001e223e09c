package manifests

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// HTTPRoute leads the endpoint's host and path to its Service; nil if spec doesn't ask for one. All its lists are owned as a whole, so
// what the API server would fill in is written out in them.
func HTTPRoute(e *hookbayv1alpha1.WebhookEndpoint) *gatewayv1.HTTPRoute {
	want := e.Spec.Exposure.HTTPRoute
	if want == nil {
		return nil
	}
	return &gatewayv1.HTTPRoute{
		TypeMeta:   typeMeta(gatewayv1.GroupVersion, "HTTPRoute"),
		ObjectMeta: child(e),
		Spec: gatewayv1.HTTPRouteSpec{
			CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: parentRefs(want.ParentRefs)},
			Hostnames:       []gatewayv1.Hostname{gatewayv1.Hostname(e.Spec.Exposure.Host)},
			Rules: []gatewayv1.HTTPRouteRule{{
				Matches: []gatewayv1.HTTPRouteMatch{{
					Path: &gatewayv1.HTTPPathMatch{Type: new(gatewayv1.PathMatchExact), Value: new(EndpointPath(e))},
				}},
				BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: gatewayv1.BackendRef{
					BackendObjectReference: gatewayv1.BackendObjectReference{
						Group: new(gatewayv1.Group("")), // the core group
						Kind:  new(gatewayv1.Kind("Service")),
						Name:  gatewayv1.ObjectName(Name(e)),
						Port:  new(gatewayv1.PortNumber(ServicePort)),
					},
					Weight: new(int32(1)),
				}}},
			}},
		},
	}
}

// parentRefs names the Gateways. One in the endpoint's own namespace has no namespace: the API server adds none.
func parentRefs(refs []hookbayv1alpha1.ParentRef) []gatewayv1.ParentReference {
	parents := make([]gatewayv1.ParentReference, 0, len(refs))
	for _, r := range refs {
		parent := gatewayv1.ParentReference{
			Group: new(gatewayv1.Group(gatewayv1.GroupName)),
			Kind:  new(gatewayv1.Kind("Gateway")),
			Name:  gatewayv1.ObjectName(r.Name),
		}
		if r.Namespace != "" {
			parent.Namespace = new(gatewayv1.Namespace(r.Namespace))
		}
		if r.SectionName != "" {
			parent.SectionName = new(gatewayv1.SectionName(r.SectionName))
		}
		parents = append(parents, parent)
	}
	return parents
}
