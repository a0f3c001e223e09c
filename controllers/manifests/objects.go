package manifests

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// Object is a child.
type Object interface {
	runtime.Object
	metav1.Object
}

// Shared lists the wanted children that all receivers of an endpoint share, in the order to apply them: what a pod mounts and what
// guards it comes before any pod, and the Service last.
func Shared(e *hookbayv1alpha1.WebhookEndpoint) []Object {
	objects := []Object{ConfigMap(e), ServiceAccount(e), NetworkPolicy(e)}
	if budget := DisruptionBudget(e); budget != nil {
		objects = append(objects, budget)
	}
	return append(objects, Service(e))
}
