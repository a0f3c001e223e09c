package manifests

import (
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

const (
	// minReadySeconds is how long a new receiver must have been ready before an old one goes: the news that it is there has reached
	// whoever balances the load, and one that fails under its first callbacks has shown it.
	minReadySeconds = 5
	// revisionHistory is short: the way back is to write the old spec, and the next round would undo any other.
	revisionHistory = 2
)

// Deployment is that of all receivers of an endpoint without volumes; nil if they have some: see ReplicaDeployment. An update adds a
// new receiver before it takes an old one away.
func Deployment(e *hookbayv1alpha1.WebhookEndpoint, s Settings) *appsv1.Deployment {
	if !stateless(e) {
		return nil
	}
	var replicas *int32 // the autoscaler's, if there is one
	if !autoscaled(e) {
		replicas = new(Replicas(e))
	}
	d := deployment(child(e), podTemplate(e, s, ServingLabels(e)), Labels(e), appsv1.DeploymentSpec{
		Replicas: replicas,
		Strategy: appsv1.DeploymentStrategy{
			Type: appsv1.RollingUpdateDeploymentStrategyType,
			RollingUpdate: &appsv1.RollingUpdateDeployment{
				MaxUnavailable: new(intstr.FromInt32(0)),
				MaxSurge:       new(intstr.FromInt32(1)),
			},
		},
	})
	if e.Spec.Buffer.Type != hookbayv1alpha1.BufferNone {
		d.Annotations[AnnotationBuffer] = string(e.Spec.Buffer.Type)
	}
	return d
}

// ReplicaDeployment is that of one receiver with a volume of its own; nil if the endpoint's have none. traffic is TrafficServe, or TrafficDrain
// for a replica that goes: then its pod is made anew outside of the Service.
//
// A pod of a Deployment, unlike one of a StatefulSet, is replaced while its lost node can't say that it has ended; it waits for its volume alone.
func ReplicaDeployment(e *hookbayv1alpha1.WebhookEndpoint, s Settings, replica int, traffic string) *appsv1.Deployment {
	if stateless(e) {
		return nil
	}
	meta := child(e)
	meta.Name, meta.Labels = ReplicaName(e, replica), replicaLabels(e, replica)
	labels := replicaLabels(e, replica)
	labels[LabelTraffic] = traffic
	template := podTemplate(e, s, labels)
	size := diskSize(&e.Spec.Buffer)
	template.Annotations[AnnotationDiskSize] = size.String()
	addDataVolume(&template.Spec, ReplicaName(e, replica))
	return deployment(meta, template, replicaLabels(e, replica), appsv1.DeploymentSpec{
		Replicas: new(int32(1)),
		// The old pod must have let go of the volume before the new one can have it.
		Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
	})
}

// deployment completes the spec, and notes the template's digest on the Deployment and on its pods.
//
// The selector can never be changed, so it has no label that may: that of the traffic is left out.
func deployment(meta metav1.ObjectMeta, template corev1.PodTemplateSpec, selector map[string]string, spec appsv1.DeploymentSpec) *appsv1.Deployment {
	digest := templateDigest(&template)
	template.Annotations[AnnotationTemplate] = digest
	meta.Annotations = map[string]string{AnnotationTemplate: digest}
	spec.Template = template
	spec.Selector = &metav1.LabelSelector{MatchLabels: maps.Clone(selector)}
	spec.MinReadySeconds = minReadySeconds
	spec.RevisionHistoryLimit = new(int32(revisionHistory))
	return &appsv1.Deployment{TypeMeta: typeMeta(appsv1.SchemeGroupVersion, "Deployment"), ObjectMeta: meta, Spec: spec}
}
