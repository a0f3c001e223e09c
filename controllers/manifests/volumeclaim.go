package manifests

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// VolumeClaim is the claim of a replica's volume. It belongs to the endpoint, and goes with it, only with whenDeleted Delete: otherwise
// it stays until somebody deletes it, or an endpoint of the same name takes it over.
func VolumeClaim(e *hookbayv1alpha1.WebhookEndpoint, replica int) *corev1.PersistentVolumeClaim {
	claim := &corev1.PersistentVolumeClaim{
		TypeMeta:   typeMeta(corev1.SchemeGroupVersion, "PersistentVolumeClaim"),
		ObjectMeta: metav1.ObjectMeta{Name: ReplicaName(e, replica), Namespace: e.Namespace, Labels: replicaLabels(e, replica)},
		Spec: corev1.PersistentVolumeClaimSpec{
			// Not ReadWriteOncePod: only classes of CSI drivers have it, a claim with it stays pending on others, and whether a class does
			// can't be asked without rights on all StorageClasses. Two pods on one node are kept apart by the store's own lock.
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: diskSize(&e.Spec.Buffer)},
			},
		},
	}
	if disk := e.Spec.Buffer.Disk.DeepCopy(); disk != nil {
		claim.Spec.StorageClassName = disk.StorageClassName
		if disk.WhenDeleted == hookbayv1alpha1.WhenDeletedDelete {
			claim.OwnerReferences = ownedBy(e)
		}
	}
	return claim
}
