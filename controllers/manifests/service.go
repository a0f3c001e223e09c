package manifests

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// Service leads callbacks to the receivers that take them: those that are ready and do not drain.
func Service(e *hookbayv1alpha1.WebhookEndpoint) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   typeMeta(corev1.SchemeGroupVersion, "Service"),
		ObjectMeta: child(e),
		Spec: corev1.ServiceSpec{
			Type:     corev1.ServiceTypeClusterIP,
			Selector: ServingLabels(e),
			Ports: []corev1.ServicePort{{
				Name:       servicePortName,
				Protocol:   corev1.ProtocolTCP,
				Port:       ServicePort,
				TargetPort: intstr.FromString(portCallbacksName),
			}},
		},
	}
}
