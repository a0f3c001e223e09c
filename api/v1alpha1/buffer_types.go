package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BufferType names a kind of buffer.
//
// +kubebuilder:validation:Enum=Disk
type BufferType string

// BufferDisk keeps events in a store on the replica's own disk.
const BufferDisk BufferType = "Disk"

// DefaultDiskSize is the size of a Disk buffer that says nothing about it.
const DefaultDiskSize = "10Gi"

// Buffer says how events are kept. A callback is answered only when its events are safe in the buffer: a crash or power failure at
// any instant loses no event that the platform was told is stored.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.disk) || !has(self.type) || self.type == 'Disk'`,message="disk is set, but type is not Disk: write type: Disk, or remove disk"
type Buffer struct {
	// type is Disk (default): an embedded store on each replica's own disk, which needs nothing else in the cluster. Its order and
	// de-duplication reach as far as one replica.
	// +optional
	// +kubebuilder:default=Disk
	Type BufferType `json:"type,omitempty"`

	// disk says how much a Disk buffer may hold. Default: as if it were there with its own defaults. Leave it out with any other type.
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
	// deliveries go on and make room. A change counts from the receiver's next start.
	//
	// With `hookbay run` all endpoints share one store, which may take the sum of their sizes.
	// +optional
	// +kubebuilder:default="10Gi"
	// +kubebuilder:validation:XValidation:rule=`isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('128Mi')) >= 0`,message="write an amount of disk space of at least 128Mi, such as 10Gi"
	Size *resource.Quantity `json:"size,omitempty"`
}
