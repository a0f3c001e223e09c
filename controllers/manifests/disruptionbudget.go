package manifests

import (
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// DisruptionBudget lets node drains take one receiver at a time; nil with a single receiver, where it could only hold up the drain.
//
// Receivers without volumes are pods of one Deployment, whatever number its autoscaler chose: all but one must stay. Those with volumes
// are a Deployment each, and one that has no pod for the moment, in the middle of a restart, would not be counted: one of two receivers
// would look like the only one there is, and could be taken as well. So the number that must stay is written out.
func DisruptionBudget(e *hookbayv1alpha1.WebhookEndpoint) *policyv1.PodDisruptionBudget {
	replicas := Replicas(e)
	if replicas < 2 && !autoscaled(e) {
		return nil
	}
	spec := policyv1.PodDisruptionBudgetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: ServingLabels(e)},
		// A receiver that is not ready takes no callbacks, and what it has stored moves with its volume.
		UnhealthyPodEvictionPolicy: new(policyv1.AlwaysAllow),
	}
	if stateless(e) {
		spec.MaxUnavailable = new(intstr.FromInt32(1))
	} else {
		spec.MinAvailable = new(intstr.FromInt32(replicas - 1))
	}
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   typeMeta(policyv1.SchemeGroupVersion, "PodDisruptionBudget"),
		ObjectMeta: child(e),
		Spec:       spec,
	}
}
