package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WebhookEndpoint is one address that a platform calls back. It says which platform calls, with which credentials, and where
// the events go.
//
// Every callback is verified, stored durably, answered in the platform's own words inside its time limit, and then delivered
// as a CloudEvent (HTTP binary mode, the body byte for byte the platform's): at least once, with retries, and events of one
// subject in order.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.receiver.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:resource:scope=Namespaced,path=webhookendpoints,singular=webhookendpoint,shortName=whe,categories=hookbay
// +kubebuilder:printcolumn:name="Source",type=string,JSONPath=".spec.source.type",description="Platform that calls back."
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=".status.url",description="What to enter in the platform's console."
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=".status.conditions[?(@.type=='Ready')].status",description="Whether callbacks are taken as spec says."
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=".status.conditions[?(@.type=='Ready')].reason",description="Why it is ready or not."
// +kubebuilder:printcolumn:name="Backlog",type=integer,JSONPath=".status.traffic.backlog",description="Events that wait for delivery."
// +kubebuilder:printcolumn:name="Dead",type=integer,JSONPath=".status.traffic.deadLettered",description="Dead letters that are kept."
// +kubebuilder:printcolumn:name="Last",type=date,JSONPath=".status.traffic.lastAcceptedTime",description="When the last callback was accepted."
// +kubebuilder:printcolumn:name="Rejected",type=date,priority=1,JSONPath=".status.traffic.lastRejectedTime",description="When the last callback was refused."
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=".metadata.creationTimestamp"
// +kubebuilder:validation:XValidation:rule=`!has(self.metadata.name) || self.metadata.name.matches(r'^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$')`,message="metadata.name must be 1 to 52 lower-case letters, digits and hyphens, and begin with a letter: the names of pods and Services are made from it"
// +kubebuilder:validation:XValidation:rule=`(has(self.spec.buffer.type) ? self.spec.buffer.type : ' ') == (has(oldSelf.spec.buffer.type) ? oldSelf.spec.buffer.type : ' ') || !has(self.spec.buffer.type) || !has(self.status) || !has(self.status.bufferType) || self.spec.buffer.type == self.status.bufferType`,fieldPath=".spec.buffer.type",message="buffer.type can't be changed, because stored events would be left behind: write the type that status.bufferType shows, and make another WebhookEndpoint with the new one"
// +kubebuilder:validation:XValidation:rule=`quantity(has(self.spec.buffer.disk) && has(self.spec.buffer.disk.size) && isQuantity(string(self.spec.buffer.disk.size)) ? string(self.spec.buffer.disk.size) : '10Gi').compareTo(quantity(has(oldSelf.spec.buffer.disk) && has(oldSelf.spec.buffer.disk.size) && isQuantity(string(oldSelf.spec.buffer.disk.size)) ? string(oldSelf.spec.buffer.disk.size) : '10Gi')) >= 0 || !has(self.status) || !has(self.status.diskSize) || !isQuantity(self.status.diskSize) || quantity(has(self.spec.buffer.disk) && has(self.spec.buffer.disk.size) && isQuantity(string(self.spec.buffer.disk.size)) ? string(self.spec.buffer.disk.size) : '10Gi').compareTo(quantity(self.status.diskSize)) >= 0`,fieldPath=".spec.buffer.disk.size",message="buffer.disk.size (default 10Gi) can grow, but not shrink, because volumes can't: write at least the size that status.diskSize shows"
type WebhookEndpoint struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what you want: a source and a target, at least.
	// +required
	Spec WebhookEndpointSpec `json:"spec"`

	// status is what was observed. The controller writes it; until then, observedGeneration is -1.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status WebhookEndpointStatus `json:"status,omitzero"`
}

// WebhookEndpointSpec is what you want of an endpoint. Only source and target are required.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.receiver.autoscaling) || (has(self.buffer.type) && self.buffer.type != 'Disk') || (!has(self.buffer.type) && has(self.buffer.jetStream))`,message="autoscaling needs receivers without volumes: write buffer.type: JetStream (or None), or set receiver.replicas instead of autoscaling",fieldPath=".receiver.autoscaling"
// +kubebuilder:validation:XValidation:rule=`!has(self.buffer.jetStream) || !has(self.buffer.jetStream.maxAge) || !has(self.delivery.retry.maxAge) || !self.buffer.jetStream.maxAge.matches(r'^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$') || !self.delivery.retry.maxAge.matches(r'^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$') || duration(self.buffer.jetStream.maxAge) >= duration(self.delivery.retry.maxAge)`,message="buffer.jetStream.maxAge must not be shorter than delivery.retry.maxAge (default 24h), or events would be gone before they are given up: raise the first or lower the second",fieldPath=".buffer.jetStream.maxAge"
type WebhookEndpointSpec struct {
	// source says which platform calls back, and holds the names of the Secrets that prove it.
	// +required
	Source Source `json:"source"`

	// target says where the events go.
	// +required
	Target Target `json:"target"`

	// delivery says how events are sent to the target: order, parallelism, retries.
	// +optional
	// +kubebuilder:default={}
	Delivery Delivery `json:"delivery,omitzero"`

	// buffer says how events are kept between the platform's callback and the delivery, and for how long after it.
	// +optional
	// +kubebuilder:default={}
	Buffer Buffer `json:"buffer,omitzero"`

	// rateLimit bounds how many callbacks are taken, of all and of each tenant of the platform. Default: no limit but what the receivers can store.
	// +optional
	RateLimit *RateLimit `json:"rateLimit,omitempty"`

	// exposure says under which host and path the platform reaches the endpoint.
	// +optional
	Exposure Exposure `json:"exposure,omitzero"`

	// receiver says how the receivers run in the cluster: how many, where, with which resources. `hookbay run` ignores it.
	// +optional
	// +kubebuilder:default={}
	Receiver Receiver `json:"receiver,omitzero"`
}

// WebhookEndpointStatus is what was observed of an endpoint.
type WebhookEndpointStatus struct {
	// observedGeneration is the metadata.generation that the conditions are about; -1 before the controller has seen the object.
	// +optional
	// +kubebuilder:validation:Minimum=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// url is what to enter in the platform's console. Without exposure.ingress and exposure.httpRoute it is the Service's address, which
	// is good only inside the cluster, unless exposure.host says what is in front of it.
	// +optional
	URL string `json:"url,omitempty"`

	// address is the host and path that the endpoint has of all that ask for them, if spec asks for an Ingress or HTTPRoute. It keeps them
	// until its spec asks for others, or it is gone.
	// +optional
	Address string `json:"address,omitempty"`

	// replicas is how many receivers there are that take callbacks, ready or not.
	// +optional
	Replicas int32 `json:"replicas,omitempty"`

	// selector finds the pods of the receivers, as kubectl get pods -l takes it.
	// +optional
	Selector string `json:"selector,omitempty"`

	// bufferType is the type of buffer that the receivers run with, which can't be changed.
	// +optional
	BufferType BufferType `json:"bufferType,omitempty"`

	// diskSize is the size of the largest of the receivers' volumes, as they were asked for; none without volumes. spec can't ask for less.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	DiskSize string `json:"diskSize,omitempty"`

	// conditions: Ready, CredentialsReady, WorkloadReady, Exposed, Programmed, Delivering, and Stalled while it is true. Ready is True
	// when all but the last two are.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// traffic sums up what the receivers measured, some 30 seconds ago at most.
	// +optional
	Traffic *Traffic `json:"traffic,omitempty"`

	// receivers tells where events are kept: it has an entry for each receiver with a volume of its own, also for one that is too many, until
	// it has delivered what it holds. There is none for receivers without volumes (buffer.type: JetStream or None): these hold nothing that is
	// not elsewhere.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Receivers []ReceiverStatus `json:"receivers,omitempty"`
}

// ReceiverStatus is what is known of one receiver with a volume. It is asked every 30 seconds; while it can't be, its numbers are what it told
// last. They are forgotten when its claim is deleted, and are only for people: no volume is removed because of them.
type ReceiverStatus struct {
	// name is that of the receiver's Deployment and of its volume claim, such as lazada-im-0.
	// +required
	Name string `json:"name"`

	// node is where the receiver runs, or ran last. Before it has run it is the node that it is to start on, or that its volume was made for.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Node string `json:"node,omitempty"`

	// ready says whether the receiver does what it is there for: it takes callbacks or, if it is one too many, delivers what it holds.
	// +required
	Ready bool `json:"ready"`

	// backlog counts the events on its volume that wait for delivery. None: it has never been heard of.
	// +optional
	Backlog *int64 `json:"backlog,omitempty"`

	// deadLettered counts the dead letters on its volume. None: it has never been heard of.
	// +optional
	DeadLettered *int64 `json:"deadLettered,omitempty"`

	// silentSince is there only while the receiver can't be asked, and says since when: it starts or restarts, its node is away or lost, or the
	// network keeps the controller from it.
	// +optional
	SilentSince *metav1.Time `json:"silentSince,omitempty"`
}

// Traffic sums up what an endpoint's receivers measured. Times never go back, and a receiver that can't be asked counts with what it told last.
type Traffic struct {
	// lastAcceptedTime is when the last callback was answered with success since the receivers started, or earlier.
	// +optional
	LastAcceptedTime *metav1.Time `json:"lastAcceptedTime,omitempty"`

	// lastRejectedTime is when the last callback was refused, with any reason.
	// +optional
	LastRejectedTime *metav1.Time `json:"lastRejectedTime,omitempty"`

	// backlog counts the events that wait for delivery, those included that wait on a receiver which can't be asked now: see receivers.
	// +optional
	Backlog int64 `json:"backlog"`

	// deadLettered counts the dead letters that are kept, likewise.
	// +optional
	DeadLettered int64 `json:"deadLettered"`
}

// WebhookEndpointList is a list of WebhookEndpoints.
//
// +kubebuilder:object:root=true
type WebhookEndpointList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []WebhookEndpoint `json:"items"`
}

// SecretKeyRef names one key of a Secret in the endpoint's namespace. A line break at the end of the value is ignored.
// When the value changes, the receiver takes the new one without a restart.
type SecretKeyRef struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')`,message="write the name of a Secret: lower-case letters, digits, hyphens and dots"
	Name string `json:"name"`

	// key in the Secret's data. There is no default.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[-._a-zA-Z0-9]+$') && !self.startsWith('..') && self != '.'`,message="write a key of the Secret's data: letters, digits, hyphens, underscores and dots"
	Key string `json:"key"`
}

// URLPath is the path of a URL, taken literally.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:XValidation:rule=`self.startsWith('/')`,message="a path begins with \"/\", as in /events"
// +kubebuilder:validation:XValidation:rule=`!self.contains('?') && !self.contains('#')`,message="write the path only: leave out the query (\"?\") and the fragment (\"#\")"
// +kubebuilder:validation:XValidation:rule=`!self.contains('//') && !self.matches(r'/\.{1,2}(/|$)')`,message="leave out empty, \".\" and \"..\" segments: platforms and proxies resolve them differently"
// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[a-zA-Z0-9._~!$&*+,;=:@/?#-]*$')`,message="use letters, digits and ._~!$&*+,;=:@- only: proxies decode percent-encoded characters differently"
type URLPath string
