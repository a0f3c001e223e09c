package manifests

import (
	"cmp"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// The autoscaler's defaults, which are the API's.
const (
	defaultMinReplicas   = 2
	defaultCPUPercentage = 70
)

// Autoscaler changes the number of receivers with their use of CPU; nil if spec doesn't ask for it, or receivers have volumes.
func Autoscaler(e *hookbayv1alpha1.WebhookEndpoint) *autoscalingv2.HorizontalPodAutoscaler {
	if !autoscaled(e) {
		return nil
	}
	want := e.Spec.Receiver.Autoscaling
	return &autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta:   typeMeta(autoscalingv2.SchemeGroupVersion, "HorizontalPodAutoscaler"),
		ObjectMeta: child(e),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{
				APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment", Name: Name(e),
			},
			MinReplicas: new(cmp.Or(want.MinReplicas, defaultMinReplicas)),
			MaxReplicas: want.MaxReplicas,
			Metrics: []autoscalingv2.MetricSpec{{
				Type: autoscalingv2.ResourceMetricSourceType,
				Resource: &autoscalingv2.ResourceMetricSource{
					Name: corev1.ResourceCPU,
					Target: autoscalingv2.MetricTarget{
						Type:               autoscalingv2.UtilizationMetricType,
						AverageUtilization: new(cmp.Or(want.TargetCPUUtilizationPercentage, defaultCPUPercentage)),
					},
				},
			}},
		},
	}
}

// autoscaled says whether an autoscaler decides the number of receivers.
func autoscaled(e *hookbayv1alpha1.WebhookEndpoint) bool {
	return stateless(e) && e.Spec.Receiver.Autoscaling != nil
}
