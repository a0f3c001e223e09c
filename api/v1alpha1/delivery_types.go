package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Ordering says which events wait for which.
//
// +kubebuilder:validation:Enum=Subject;None
type Ordering string

// The orderings.
const (
	// OrderingSubject delivers events of one subject one at a time, in order.
	OrderingSubject Ordering = "Subject"
	// OrderingNone delivers every event as soon as it can.
	OrderingNone Ordering = "None"
)

// Delivery says how events are sent to the target.
type Delivery struct {
	// ordering is Subject (default) or None.
	//
	// Subject: events of one subject (a conversation, a group, an order, an item) are delivered one at a time, in the order they were
	// stored. A subject whose event is being retried waits; no other subject does. The order is kept within one buffer. With
	// JetStream that is the endpoint, however many replicas it has. With a Disk buffer it is one replica: two callbacks of one subject that
	// reach different replicas may be delivered in either order. A consumer that needs the order then sorts by the event's time, as both
	// platforms advise, or the endpoint runs one replica, or takes JetStream.
	//
	// None: events of one subject may overtake each other and be delivered side by side.
	// +optional
	// +kubebuilder:default=Subject
	Ordering Ordering `json:"ordering,omitempty"`

	// maxInFlight bounds the deliveries under way at once, for each replica. Default 64; 1 to 1024. It protects your service: a lower
	// one makes a backlog drain more slowly, and never makes a callback fail.
	// +optional
	// +kubebuilder:default=64
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1024
	MaxInFlight int32 `json:"maxInFlight,omitempty"`

	// retry is the schedule of further attempts when one fails.
	// +optional
	// +kubebuilder:default={}
	Retry Retry `json:"retry,omitzero"`

	// suspend stops deliveries: callbacks are still verified, stored and answered with success, and events are delivered once it is
	// false again. Default false. Events do not become dead letters while it is true, but the buffer fills.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// Retry is the schedule of attempts: after the first failure, initialInterval, then twice as long each time up to maxInterval. Each wait
// is between half of the interval and the whole, at random, so that events that failed together don't come back together. A
// longer Retry-After of the target is honoured up to 1 h, and may delay the last attempt past maxAge.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.initialInterval) || !has(self.maxInterval) || !self.initialInterval.matches(r'^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$') || !self.maxInterval.matches(r'^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$') || duration(self.initialInterval) <= duration(self.maxInterval)`,message="initialInterval (default 1s) must not be longer than maxInterval (default 5m): lower the first or raise the second"
// +kubebuilder:validation:XValidation:rule=`!has(self.maxInterval) || !has(self.maxAge) || !self.maxInterval.matches(r'^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$') || !self.maxAge.matches(r'^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$') || duration(self.maxInterval) <= duration(self.maxAge)`,message="maxInterval (default 5m) must not be longer than maxAge (default 24h): lower the first or raise the second"
type Retry struct {
	// initialInterval is the wait after the first failed attempt, at most; half of it, at least. Default 1s; 10ms to 1h, and not longer than maxInterval.
	// +optional
	// +kubebuilder:default="1s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$') && duration(self) >= duration('10ms') && duration(self) <= duration('1h')`,message="write a duration from 10ms to 1h, such as \"1s\""
	InitialInterval *metav1.Duration `json:"initialInterval,omitempty"`

	// maxInterval is the longest wait between two attempts, unless the target asks for a longer one. Default 5m; 10ms to 24h, and not longer than maxAge.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$') && duration(self) >= duration('10ms') && duration(self) <= duration('24h')`,message="write a duration from 10ms to 24h, such as \"5m\""
	MaxInterval *metav1.Duration `json:"maxInterval,omitempty"`

	// maxAge is the age at which an event whose attempt failed is not tried again and becomes a dead letter, which is kept in the buffer
	// for 14 days. It is judged when an attempt fails, so the wait before the last attempt, also one that the target asked for with
	// Retry-After, may delay it. Default 24h; 1s to 336h (14 days). A longer one survives a longer outage of your service, and needs
	// a buffer that holds as much.
	// +optional
	// +kubebuilder:default="24h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$') && duration(self) >= duration('1s') && duration(self) <= duration('336h')`,message="write a duration from 1s to 336h (14 days), such as \"24h\""
	MaxAge *metav1.Duration `json:"maxAge,omitempty"`
}
