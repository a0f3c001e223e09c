package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BufferType names a kind of buffer.
//
// +kubebuilder:validation:Enum=Disk;JetStream;None
type BufferType string

// The kinds of buffers.
const (
	// BufferDisk keeps events in a store on the replica's own disk.
	BufferDisk BufferType = "Disk"
	// BufferJetStream keeps events in a stream of NATS servers.
	BufferJetStream BufferType = "JetStream"
	// BufferNone keeps nothing: the platform is answered when the target has taken the event.
	BufferNone BufferType = "None"
)

// DefaultDiskSize is the size of a Disk buffer that says nothing about it.
const DefaultDiskSize = "10Gi"

// DefaultStreamSize is maxBytes of a JetStream buffer that says nothing about it.
const DefaultStreamSize = "10Gi"

// Buffer says how events are kept. A callback is answered only when its events are safe in the buffer: a crash or power failure at
// any instant loses no event that the platform was told is stored.
//
// +kubebuilder:validation:XValidation:rule=`!has(oldSelf.disk) || !has(oldSelf.disk.storageClassName) || (has(self.disk) && has(self.disk.storageClassName) && self.disk.storageClassName == oldSelf.disk.storageClassName)`,message="buffer.disk.storageClassName can't be changed, because volumes can't: write the old one back, or make another WebhookEndpoint; if it was a mistake, delete this one and its claims (NAME-0, NAME-1, ...), which are kept, and make it anew"
// +kubebuilder:validation:XValidation:rule=`(has(self.jetStream) && has(self.jetStream.stream) ? self.jetStream.stream : ' ') == (has(oldSelf.jetStream) && has(oldSelf.jetStream.stream) ? oldSelf.jetStream.stream : ' ')`,message="buffer.jetStream.stream can't be changed, because stored events would be left behind: write the old one back (or remove it, if there was none), or make another WebhookEndpoint; if nothing is stored yet, delete this one and make it anew"
// +kubebuilder:validation:XValidation:rule=`(has(self.jetStream) && has(self.jetStream.storage) ? self.jetStream.storage : 'File') == (has(oldSelf.jetStream) && has(oldSelf.jetStream.storage) ? oldSelf.jetStream.storage : 'File')`,message="buffer.jetStream.storage (default File) can't be changed, because streams can't: write the old one back, or make another WebhookEndpoint"
// +kubebuilder:validation:XValidation:rule=`!has(self.disk) || !has(self.type) || self.type == 'Disk'`,message="disk is set, but type is not Disk: write type: Disk, or remove disk"
// +kubebuilder:validation:XValidation:rule=`!has(self.jetStream) || !has(self.type) || self.type == 'JetStream'`,message="jetStream is set, but type is not JetStream: write type: JetStream, or remove jetStream"
// +kubebuilder:validation:XValidation:rule=`has(self.type) || !has(self.disk) || !has(self.jetStream)`,message="disk and jetStream are both set: remove one of them, and write the type of the other"
type Buffer struct {
	// type is Disk, JetStream or None. Default: that of the member disk or jetStream, if there is one; else Disk, unless the cluster's
	// administrator chose another one with --default-buffer. It can't be changed later.
	//
	// Disk: an embedded store on each replica's own volume, which needs nothing else in the cluster. Its order and de-duplication
	// reach as far as one replica.
	//
	// JetStream: a stream of NATS servers that are there already. A callback is answered when a majority of the stream's servers has its
	// events. Receivers have no volumes, so there may be any number of them, which may change with the load, and any of them may die: another
	// delivers what it had. Order and de-duplication reach as far as the endpoint, however many receivers it has. It needs a NATS cluster that
	// somebody looks after: while it is away, or has no majority, callbacks are refused with 503.
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

	// jetStream says which NATS servers keep the events of a JetStream buffer, and how. Default: as if it were there and empty. Leave it out
	// with any other type.
	// +optional
	JetStream *JetStreamBuffer `json:"jetStream,omitempty"`

	// deduplicationWindow is how long an event's identity is remembered: a repeat of the platform inside it is answered with
	// success and not delivered again. Default 7h; 1m to 168h (7 days). It should be longer than the platform keeps repeating: Lazada
	// repeats a push that failed for 6 hours; Tencent repeats, if that is switched on in its console, for a time it doesn't document.
	// A shorter one lets late repeats through, with the same event id, and a longer one takes more room: with a Disk buffer about 100 bytes
	// an event; with JetStream the event itself, which stays in the stream for as long on each of the stream's servers, and an entry in their
	// memory: docs/buffers.md has measured sizes.
	//
	// It is remembered within one buffer. With a Disk buffer that is one replica: a repeat that reaches another replica is delivered once
	// more, with the same id, so consumers that must not act twice compare ids. With JetStream it is the endpoint: whichever replica a repeat
	// reaches, it is not delivered again.
	// +optional
	// +kubebuilder:default="7h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$') && duration(self) >= duration('1m') && duration(self) <= duration('168h')`,message="write a duration from 1m to 168h (7 days), such as \"7h\""
	DeduplicationWindow *metav1.Duration `json:"deduplicationWindow,omitempty"`

	// retention is how long delivered events are kept, to look at and replay. Default 24h; 0s (none) to 720h (30 days). They take room only as
	// long as there is enough: when the volume or stream gets full, the oldest of them are dropped earlier, before any callback is refused.
	// In a stream they stay for deduplicationWindow in any case, so a shorter retention saves nothing there.
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

// JetStreamBuffer is a stream of NATS servers. There is one stream for each endpoint, which all its receivers share.
//
// When the WebhookEndpoint is deleted, its stream stays, with all events that it holds, as volumes do: an endpoint of the same namespace and
// name takes it over and delivers what is undelivered. Delete it yourself when you need it no longer: nats stream rm hookbay_NAMESPACE_NAME
// (nats stream ls shows it).
//
// +kubebuilder:validation:XValidation:rule=`!has(self.stream) || (!has(self.replicas) && !has(self.storage) && !has(self.maxAge) && !has(self.maxBytes))`,message="stream names one that is there already, which is never changed: remove replicas, storage, maxAge and maxBytes, or remove stream to have one made with them"
type JetStreamBuffer struct {
	// The servers: without urls those of the manager's --jetstream-url are used, and if no way to log in is named either, its
	// --jetstream-credentials.
	NATS `json:",inline"`

	// stream names a stream that is there already: it is used as found, and never changed. What it must be like is checked, and if it is not, the
	// condition WorkloadReady says which of its settings to change. It must be the endpoint's alone. Default: a stream of the name
	// hookbay_NAMESPACE_NAME is made, and kept as the fields below say. It can't be changed later.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[-_a-zA-Z0-9]+$')`,message="write the name of a stream, as nats stream ls shows it: letters, digits, hyphens and underscores"
	Stream string `json:"stream,omitempty"`

	// replicas is how many servers keep the stream. Default 3; 1, 3 or 5. With 3, one server may be lost without losing an event or refusing a
	// callback; with 5, two. With 1 the events are as safe as that one server's disk, and callbacks are refused while it restarts. It can be
	// changed later, as long as there are so many servers.
	// +optional
	// +kubebuilder:validation:Enum=1;3;5
	Replicas int32 `json:"replicas,omitempty"`

	// storage is File (default) or Memory. Memory is for events that may be lost: they are, when more than half of the stream's servers restart at
	// once. It can't be changed later.
	// +optional
	Storage StreamStorage `json:"storage,omitempty"`

	// maxAge is the age at which an event leaves the stream, whatever has become of it: also if it waits for delivery, or is a dead letter.
	// Default: none. Events stay until they are delivered and their retention is over, and dead letters for 14 days. 1h to 8760h (a year), and not
	// shorter than delivery.retry.maxAge. Write one only if a rule of yours wants data to be gone by then.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$') && duration(self) >= duration('1h') && duration(self) <= duration('8760h')`,message="write a duration from 1h to 8760h (a year), such as \"336h\""
	MaxAge *metav1.Duration `json:"maxAge,omitempty"`

	// maxBytes is how much the stream may hold on each of its servers, which reserve it: without as much room that no other stream has reserved, they
	// refuse to make it. Default 10Gi; at least 128Mi. When nine tenths of it are taken, the oldest
	// delivered events are dropped; when that does not help, callbacks are refused with 503 and deliveries go on and make room. An event that is
	// undelivered is never dropped for it. It can be changed later.
	// ---
	// Without the pattern that the schema of every Quantity has: the rule says more, and says it in words.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('128Mi')) >= 0`,message="write an amount of at least 128Mi, such as 10Gi"
	MaxBytes *resource.Quantity `json:"maxBytes,omitempty"`
}

// StreamStorage says where a stream's servers keep it.
//
// +kubebuilder:validation:Enum=File;Memory
type StreamStorage string

// The storages.
const (
	// StreamStorageFile keeps it on disk.
	StreamStorageFile StreamStorage = "File"
	// StreamStorageMemory keeps it in memory.
	StreamStorageMemory StreamStorage = "Memory"
)

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
