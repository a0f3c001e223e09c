package manifests

import (
	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// URL is where callbacks of an endpoint go to: what to enter in the platform's console. Without a host that is the Service's address, which is
// good only inside the cluster. Both platforms call HTTPS only, so whatever serves the host must end TLS.
func URL(e *hookbayv1alpha1.WebhookEndpoint) string {
	if host := e.Spec.Exposure.Host; host != "" {
		return "https://" + host + EndpointPath(e)
	}
	return "http://" + Name(e) + "." + e.Namespace + ".svc" + EndpointPath(e)
}
