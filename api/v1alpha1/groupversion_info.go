package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kind is the kind of the WebhookEndpoint, as manifests write it.
const Kind = "WebhookEndpoint"

var (
	// GroupVersion is hookbay.dev/v1alpha1.
	GroupVersion = schema.GroupVersion{Group: "hookbay.dev", Version: "v1alpha1"}

	// SchemeBuilder registers the types of this package.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the types of this package to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &WebhookEndpoint{}, &WebhookEndpointList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
