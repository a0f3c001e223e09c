package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BufferType names a kind of buffer.
//
// +kubebuilder:validation:Enum=Disk;None
type BufferType string

// The kinds of buffers.
const (
	// BufferDisk keeps events in a store on the replica's own disk.
	BufferDisk BufferType = "Disk"
	// BufferNone keeps nothing: the platform is answered when the target has taken the event.
	BufferNone BufferType = "None"
)

// DefaultDiskSize is the size of a Disk buffer that says nothing about it.
const DefaultDiskSize = "10Gi"

// Buffer says how events are kept. A callback is answered only when its events are safe in the buffer: a crash or power failure at
// any instant loses no event that the platform was told is stored.
//
// +kubebuilder:validation:XValidation:rule=`!has(oldSelf.disk) || !has(oldSelf.disk.storageClassName) || (has(self.disk) && has(self.disk.storageClassName) && self.disk.storageClassName == oldSelf.disk.storageClassName)`,message="buffer.disk.storageClassName can't be changed, because volumes can't: write the old one back, or make another WebhookEndpoint; if it was a mistake, delete this one and its claims (NAME-0, NAME-1, ...), which are kept, and make it anew"
// +kubebuilder:validation:XValidation:rule=`!has(self.disk) || !has(self.type) || self.type == 'Disk'`,message="disk is set, but type is not Disk: write type: Disk, or remove disk"
type Buffer struct {
	// type is Disk or None. Default: Disk, unless the cluster's administrator chose another one with --default-buffer. It can't be
	// changed later.
	//
	// Disk: an embedded store on each replica's own volume, which needs nothing else in the cluster. Its order and de-duplication
	// reach as far as one replica.
	//
	// None: nothing is stored. Each callback is sent to the target while the platform waits, once, and answered with success when the
	// target has taken it; if it does not within the platform's time limit, the platform is told of a failure (503), and repeats the
	// callback or not: Lazada does, Tencent by default does not. There is no order, de-duplication, retry or dead letter, and
	// delivery.suspend refuses all callbacks. It is for targets that store durably themselves.
	// +optional
	Type BufferType `json:"type,omitempty"`

	// disk says how much a Disk buffer may hold, and where. Default: as if it were there with its own defaults. Leave it out with
	// any other type.
	// +optional
	Disk *DiskBuffer `json:"disk,omitempty"`

	// deduplicationWindow is how long an event's identity is remembered: a repeat of the platform inside it is answered with
	// success and not delivered again. Default 7h; 1m to 168h (7 days). It should be longer than the platform keeps repeating: Lazada
	// repeats a push that failed for 6 hours; Tencent repeats, if that is switched on in its console, for a time it doesn't document.
	// A shorter one lets late repeats through, with the same event id, and a longer one takes more disk: about 100 bytes an event.
	//
	// It is remembered within one buffer. With a Disk buffer that is one replica: a repeat that reaches another replica is delivered once
	// more, with the same id, so consumers that must not act twice compare ids.
	// +optional
	// +kubebuilder:default="7h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$') && duration(self) >= duration('1m') && duration(self) <= duration('168h')`,message="write a duration from 1m to 168h (7 days), such as \"7h\""
	DeduplicationWindow *metav1.Duration `json:"deduplicationWindow,omitempty"`

	// retention is how long delivered events are kept on the volume. Default 24h; 0s (none) to 720h (30 days). They take disk only as
	// long as there is enough: when it gets full, the oldest of them are dropped earlier, before any callback is refused.
	// +optional
	// +kubebuilder:default="24h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$') && duration(self) <= duration('720h')`,message="write a duration from 0s to 720h (30 days), such as \"24h\""
	Retention *metav1.Duration `json:"retention,omitempty"`
}

// DiskBuffer is an embedded store on the replica's own disk.
type DiskBuffer struct {
	// size is the disk space for each replica. Default 10Gi; at least 128Mi. About four fifths of it hold events: a tenth is left to the
	// file system, and a tenth is what the store needs to make room again. When it is full, callbacks are refused with 503, and
	// deliveries go on and make room.
	//
	// It can grow later, if the volumes' StorageClass allows it (allowVolumeExpansion), else the condition WorkloadReady says that it
	// does not; it can't shrink. Receivers are restarted one after another to use the new room.
	//
	// With `hookbay run` all endpoints share one store, which may take the sum of their sizes.
	// ---
	// Without the pattern that the schema of every Quantity has: the rule says more, and says it in words.
	// +optional
	// +kubebuilder:default="10Gi"
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('128Mi')) >= 0`,message="write an amount of disk space of at least 128Mi, such as 10Gi"
	Size *resource.Quantity `json:"size,omitempty"`

	// storageClassName names the StorageClass of the volumes. Default: the cluster's default class. Choose one whose volumes can be attached
	// to another node, so that the events of a lost node are delivered by another; and fast ones, as every answer waits for a sync.
	// It can't be changed later. `hookbay run` ignores it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')`,message="write the name of a StorageClass, as kubectl get storageclass shows it"
	StorageClassName *string `json:"storageClassName,omitempty"`

	// whenDeleted says what happens to the volumes, with all events that are stored, when the WebhookEndpoint is deleted, and to
	// the volume of a replica that was scaled in. Retain (default) keeps them: delete the claims yourself when you need them no
	// longer; an endpoint of the same name takes them over and delivers what is undelivered. Delete deletes them: undelivered events
	// are lost when the endpoint is deleted. (Scaling in waits for them in either case.) `hookbay run` ignores it.
	// +optional
	// +kubebuilder:default=Retain
	WhenDeleted WhenDeleted `json:"whenDeleted,omitempty"`
}

// WhenDeleted says what happens to volumes that are no longer needed.
//
// +kubebuilder:validation:Enum=Retain;Delete
type WhenDeleted string

// What can happen to volumes.
const (
	// WhenDeletedRetain keeps them.
	WhenDeletedRetain WhenDeleted = "Retain"
	// WhenDeletedDelete deletes them.
	WhenDeletedDelete WhenDeleted = "Delete"
)
