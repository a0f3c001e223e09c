package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
)

// DefaultReplicas is the number of receivers of an endpoint that says nothing about it.
const DefaultReplicas = 2

// Receiver says how the receiver's pods run. There is no raw pod template: what an endpoint may ask for never gives its pods more rights
// than every receiver has.
type Receiver struct {
	// replicas is how many receivers take callbacks side by side. Default 2; 1 to 32. With one replica, callbacks fail for the moment
	// that its pod restarts: at updates of the receiver, and when its node is drained. Ignored if autoscaling is set.
	//
	// With a JetStream buffer they share one stream, and any of them may go or come at any time.
	//
	// With a Disk buffer each replica has its own volume and its own order and de-duplication: see buffer.type. A replica that is
	// too many first stops taking callbacks, goes on delivering until its volume holds nothing undelivered, and only then goes.
	// `kubectl scale` sets this field.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32
	Replicas *int32 `json:"replicas,omitempty"`

	// resources of each receiver. Default: requests of 100m CPU and 128Mi of memory, a memory limit of 512Mi, no CPU limit. What is set here
	// replaces the default request or limit of that resource, and leaves the others; a default that would contradict it gives way.
	// +optional
	Resources Resources `json:"resources,omitzero"`

	// nodeSelector names labels that a node must have. Default: any node.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// tolerations let receivers run on tainted nodes. Default: none but those that Kubernetes adds, by which it waits 300 s for a node that is
	// away before it starts a receiver elsewhere. Write those of node.kubernetes.io/not-ready and node.kubernetes.io/unreachable (effect
	// NoExecute) yourself, with tolerationSeconds, to have it wait shorter or longer.
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// affinity as in a pod. Default: none; the spread over nodes is a matter of topologySpreadConstraints.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// topologySpreadConstraints as in a pod; one without a labelSelector counts this endpoint's receivers. Default: spread over
	// nodes as evenly as possible, but run rather than wait.
	// +optional
	// +kubebuilder:validation:MaxItems=8
	// +listType=atomic
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`

	// priorityClassName of the pods. Default: the cluster's.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')`,message="write the name of a PriorityClass, as kubectl get priorityclass shows it"
	PriorityClassName string `json:"priorityClassName,omitempty"`

	// imagePullSecrets name Secrets in the endpoint's namespace that the receiver's image is pulled with. Default: none.
	// +optional
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=name
	ImagePullSecrets []ImagePullSecret `json:"imagePullSecrets,omitempty"`

	// podLabels are added to the pods. Those that begin with app.kubernetes.io/ or hookbay.dev/ are Hookbay's.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule=`self.all(k, !k.startsWith('app.kubernetes.io/') && !k.startsWith('hookbay.dev/'))`,message="choose another key: labels that begin with app.kubernetes.io/ or hookbay.dev/ are set by Hookbay"
	PodLabels map[string]string `json:"podLabels,omitempty"`

	// podAnnotations are added to the pods. Those that begin with hookbay.dev/ are Hookbay's, and those of AppArmor could only loosen what
	// binds every receiver.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule=`self.all(k, !k.startsWith('hookbay.dev/'))`,message="choose another key: annotations that begin with hookbay.dev/ are set by Hookbay"
	// +kubebuilder:validation:XValidation:rule=`self.all(k, !k.startsWith('container.apparmor.security.beta.kubernetes.io/'))`,message="remove the AppArmor annotations: receivers run under the runtime's default profile"
	PodAnnotations map[string]string `json:"podAnnotations,omitempty"`

	// autoscaling changes the number of receivers with their load. Only with a buffer that is not on the replica's own disk: write
	// buffer.type: JetStream (or None). Default: replicas, fixed.
	// +optional
	Autoscaling *Autoscaling `json:"autoscaling,omitempty"`
}

// Resources of a container, as in a pod.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.requests) || !has(self.limits) || ['cpu', 'memory'].all(k, !(k in self.requests) || !(k in self.limits) || !isQuantity(string(self.requests[k])) || !isQuantity(string(self.limits[k])) || quantity(string(self.requests[k])).compareTo(quantity(string(self.limits[k]))) <= 0)`,message="a request must not be greater than the limit of the same resource: lower the request, or raise the limit"
type Resources struct {
	// requests is what is reserved, such as {cpu: 100m, memory: 128Mi}.
	// +optional
	// +kubebuilder:validation:MaxProperties=8
	Requests corev1.ResourceList `json:"requests,omitempty"`

	// limits is what must not be exceeded. A receiver that needs more memory than its limit is killed; it loses no event that it
	// acknowledged. A CPU limit makes answers late under load: both platforms count a late answer as a failure.
	// +optional
	// +kubebuilder:validation:MaxProperties=8
	Limits corev1.ResourceList `json:"limits,omitempty"`
}

// ImagePullSecret names a Secret of type kubernetes.io/dockerconfigjson.
type ImagePullSecret struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')`,message="write the name of a Secret: lower-case letters, digits, hyphens and dots"
	Name string `json:"name"`
}

// Autoscaling becomes a HorizontalPodAutoscaler, which needs the cluster to measure CPU (metrics-server).
//
// +kubebuilder:validation:XValidation:rule=`!has(self.minReplicas) || self.minReplicas <= self.maxReplicas`,message="minReplicas (default 2) must not be greater than maxReplicas: lower the first or raise the second"
type Autoscaling struct {
	// minReplicas. Default 2; at least 2, so that one may go at any time. Never zero: a cold start takes longer than a platform waits.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=256
	MinReplicas int32 `json:"minReplicas,omitempty"`

	// maxReplicas, not less than minReplicas.
	// +required
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=256
	MaxReplicas int32 `json:"maxReplicas"`

	// targetCPUUtilizationPercentage is the CPU use, in percent of the request, that the number of receivers is chosen for. Default 70.
	// +optional
	// +kubebuilder:default=70
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=100
	TargetCPUUtilizationPercentage int32 `json:"targetCPUUtilizationPercentage,omitempty"`
}
