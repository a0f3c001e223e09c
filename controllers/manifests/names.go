package manifests

import (
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// The labels of every child and pod, beside those of the endpoint's receivers.
const (
	// LabelName is always NameReceiver, LabelInstance the endpoint's name, LabelManagedBy always ManagedBy.
	LabelName      = "app.kubernetes.io/name"
	LabelInstance  = "app.kubernetes.io/instance"
	LabelManagedBy = "app.kubernetes.io/managed-by"

	NameReceiver = "receiver"
	ManagedBy    = "hookbay"

	// LabelReplica is the number of a replica with a volume of its own, from 0: on its Deployment, pod and claim.
	LabelReplica = "hookbay.dev/replica"
	// LabelTraffic says whether a pod takes callbacks: the Service selects TrafficServe. A replica that goes has TrafficDrain.
	LabelTraffic = "hookbay.dev/traffic"
	TrafficServe = "serve"
	TrafficDrain = "drain"
)

// The annotations that the control plane reads again.
const (
	// AnnotationTemplate is the digest of a Deployment's pod template, on the Deployment and on its pods: a pod whose digest is another
	// was made from an older template.
	AnnotationTemplate = "hookbay.dev/template"
	// AnnotationRevision is written onto running pods when their configuration or Secrets change. It makes the kubelet write the mounted
	// files at once, and is itself one of the files, so that the receiver can tell which revision it has seen.
	AnnotationRevision = "hookbay.dev/revision"
	// AnnotationDiskSize is the disk size that the receiver was started with, on pods with a volume: a new size needs a restart.
	AnnotationDiskSize = "hookbay.dev/disk-size"
	// AnnotationBuffer is the type of buffer on the Deployment of receivers without volumes, unless it is None.
	AnnotationBuffer = "hookbay.dev/buffer"
)

// The ports of a receiver's pod.
const (
	// PortCallbacks takes callbacks; the Service leads its port ServicePort there.
	PortCallbacks = 8080
	// PortAdmin answers probes, Prometheus and the control plane.
	PortAdmin = 9090
	// ServicePort is the Service's port.
	ServicePort = 80

	portCallbacksName = "callbacks"
	portAdminName     = "admin"
	servicePortName   = "http"
)

// Settings are what the cluster's administrator decides for the receivers of all endpoints.
type Settings struct {
	// Image of the receiver.
	Image string
}

// Name is the name of every child that there is one of: <endpoint>-receiver. An endpoint is often named like the user's own Service
// or Deployment, which must not be touched; and it never equals a name that ReplicaName makes, of whatever endpoint.
func Name(e *hookbayv1alpha1.WebhookEndpoint) string { return e.Name + "-receiver" }

// ReplicaName is the name of a replica's Deployment and volume claim: <endpoint>-<replica>.
func ReplicaName(e *hookbayv1alpha1.WebhookEndpoint, replica int) string {
	return e.Name + "-" + strconv.Itoa(replica)
}

// Labels are the labels of every child, and the selector of an endpoint's pods.
func Labels(e *hookbayv1alpha1.WebhookEndpoint) map[string]string {
	return map[string]string{LabelName: NameReceiver, LabelInstance: e.Name, LabelManagedBy: ManagedBy}
}

// ServingLabels select the pods of an endpoint that take callbacks.
func ServingLabels(e *hookbayv1alpha1.WebhookEndpoint) map[string]string {
	labels := Labels(e)
	labels[LabelTraffic] = TrafficServe
	return labels
}

// replicaLabels are the labels of what one replica with a volume has of its own, and the selector of its pod.
func replicaLabels(e *hookbayv1alpha1.WebhookEndpoint, replica int) map[string]string {
	labels := Labels(e)
	labels[LabelReplica] = strconv.Itoa(replica)
	return labels
}

// Replicas is how many receivers an endpoint without autoscaling wants.
func Replicas(e *hookbayv1alpha1.WebhookEndpoint) int32 {
	if r := e.Spec.Receiver.Replicas; r != nil {
		return *r
	}
	return hookbayv1alpha1.DefaultReplicas
}

// stateless says whether the receivers have no volumes, so that any number of them is one Deployment. No type is Disk.
func stateless(e *hookbayv1alpha1.WebhookEndpoint) bool {
	return e.Spec.Buffer.Type == hookbayv1alpha1.BufferNone || e.Spec.Buffer.Type == hookbayv1alpha1.BufferJetStream
}

// child is the metadata of a child that there is one of, and which goes when its endpoint does.
func child(e *hookbayv1alpha1.WebhookEndpoint) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: Name(e), Namespace: e.Namespace, Labels: Labels(e), OwnerReferences: ownedBy(e)}
}

// ownedBy makes a child go when its endpoint does.
func ownedBy(e *hookbayv1alpha1.WebhookEndpoint) []metav1.OwnerReference {
	return []metav1.OwnerReference{*metav1.NewControllerRef(e, hookbayv1alpha1.GroupVersion.WithKind(hookbayv1alpha1.Kind))}
}

// typeMeta names an object's kind, which server-side apply must be told.
func typeMeta(gv fmt.Stringer, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: gv.String(), Kind: kind}
}
