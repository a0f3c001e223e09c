package manifests

import (
	"maps"

	networkingv1 "k8s.io/api/networking/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// Ingress leads the endpoint's host and path to its Service; nil if spec doesn't ask for one.
func Ingress(e *hookbayv1alpha1.WebhookEndpoint) *networkingv1.Ingress {
	want := e.Spec.Exposure.Ingress.DeepCopy()
	if want == nil {
		return nil
	}
	host := e.Spec.Exposure.Host
	ingress := &networkingv1.Ingress{
		TypeMeta:   typeMeta(networkingv1.SchemeGroupVersion, "Ingress"),
		ObjectMeta: child(e),
		Spec: networkingv1.IngressSpec{
			IngressClassName: want.ClassName,
			Rules: []networkingv1.IngressRule{{
				Host: host,
				IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
					Paths: []networkingv1.HTTPIngressPath{{
						Path:     EndpointPath(e),
						PathType: new(networkingv1.PathTypeExact), // as the receiver compares it: nothing below it leads here
						Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
							Name: Name(e),
							Port: networkingv1.ServiceBackendPort{Name: servicePortName},
						}},
					}},
				}},
			}},
		},
	}
	ingress.Annotations = maps.Clone(want.Annotations)
	if want.TLSSecretName != "" {
		ingress.Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{host}, SecretName: want.TLSSecretName}}
	}
	return ingress
}
