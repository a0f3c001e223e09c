package apply

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
)

// belongs returns nil if a live object is the endpoint's. It is if
//
//   - the endpoint is its controller; or
//   - nothing controls it, it has our labels, and we have applied it before: somebody has taken the owner off, as
//     kubectl delete --cascade=orphan does; or
//   - it is a volume claim that nothing controls and that has our labels: kept when an endpoint of that name was deleted, perhaps restored from
//     a backup, and with events in it that wait for their delivery.
func belongs(c *child, owner *hookbayv1alpha1.WebhookEndpoint) error {
	if c.live.GetDeletionTimestamp() != nil {
		return &BeingDeletedError{Ref: c.ref}
	}
	controller := metav1.GetControllerOf(c.live)
	switch {
	case controller == nil:
		if labelled(c.live, owner) && (isClaim(c.live) || ourEntry(c.live) != nil) {
			return nil
		}
	case controller.UID == owner.UID:
		return nil
	case labelled(c.live, owner) && isEndpoint(controller) && controller.Name == owner.Name:
		// An endpoint of this name was deleted a moment ago, and its children are going.
		return &BeingDeletedError{Ref: c.ref}
	}
	return &NameTakenError{Ref: c.ref}
}

// labelled says whether an object has the labels that the children of an endpoint of this name are found by.
func labelled(o client.Object, owner *hookbayv1alpha1.WebhookEndpoint) bool {
	l := o.GetLabels()
	return l[manifests.LabelManagedBy] == manifests.ManagedBy && l[manifests.LabelInstance] == owner.Name
}

func isClaim(o client.Object) bool {
	_, ok := o.(*corev1.PersistentVolumeClaim)
	return ok
}

func isEndpoint(ref *metav1.OwnerReference) bool {
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	return err == nil && gv.Group == hookbayv1alpha1.GroupVersion.Group && ref.Kind == hookbayv1alpha1.Kind
}
