// Package v1alpha1 is what people write: the WebhookEndpoint, version v1alpha1 of the API group hookbay.dev.
//
// The comments of the fields are the manual: `kubectl explain webhookendpoint.spec` prints them. The markers in them become
// the schema, the defaults and the rules of the CustomResourceDefinition in config/crd, which the API server and `hookbay run`
// apply alike.
//
// +kubebuilder:object:generate=true
// +groupName=hookbay.dev
package v1alpha1
