package manifests

import (
	corev1 "k8s.io/api/core/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// ServiceAccount is the receivers' identity, which has no rights and no token. It is an account of their own so that rights which somebody
// gives to the namespace's default account don't become theirs.
func ServiceAccount(e *hookbayv1alpha1.WebhookEndpoint) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:                     typeMeta(corev1.SchemeGroupVersion, "ServiceAccount"),
		ObjectMeta:                   child(e),
		AutomountServiceAccountToken: new(false),
	}
}
