package v1alpha1

// The condition types of a WebhookEndpoint. Ready sums up the first four after it; Delivering is about your own service and says nothing about
// whether the platform is answered, so it does not count. Stalled is there only while it is true.
const (
	// ConditionReady is True if callbacks are taken as spec says: every condition below but Delivering is True.
	ConditionReady = "Ready"
	// ConditionCredentialsReady is True if every Secret and key that spec names is there and can be what it should be.
	ConditionCredentialsReady = "CredentialsReady"
	// ConditionWorkloadReady is True if every wanted receiver runs, is ready and is what spec asks for.
	ConditionWorkloadReady = "WorkloadReady"
	// ConditionExposed is True if what leads callbacks to the receivers has been accepted by whoever serves it.
	ConditionExposed = "Exposed"
	// ConditionProgrammed is True if every receiver serves the configuration of the newest generation.
	ConditionProgrammed = "Programmed"
	// ConditionDelivering is True if the target takes the events, or there are none.
	ConditionDelivering = "Delivering"
	// ConditionStalled is True if only a change of the spec or of the cluster can help; kstatus calls such an object Failed.
	ConditionStalled = "Stalled"
)

// Reasons of the condition Ready. When it is not True it has the reason and message of the first condition that is not.
const (
	// ReasonReady: callbacks are taken as spec says.
	ReasonReady = "Ready"
	// ReasonReconcileFailed: the API server could not be read or written; it is tried again.
	ReasonReconcileFailed = "ReconcileFailed"
)

// Reasons of the condition CredentialsReady.
const (
	// ReasonCredentialsFound: each named key is there.
	ReasonCredentialsFound = "CredentialsFound"
	// ReasonSecretMissing: a named Secret does not exist. Receivers that run go on with what they have.
	ReasonSecretMissing = "SecretMissing"
	// ReasonKeyMissing: a named Secret does not have the named key.
	ReasonKeyMissing = "KeyMissing"
	// ReasonCredentialInvalid: a named key is empty, or cannot be what it should be (a certificate, a signing secret).
	ReasonCredentialInvalid = "CredentialInvalid" //nolint:gosec // the name of a reason
)

// Reasons of the condition WorkloadReady.
const (
	// ReasonReceiversReady: all receivers run and are ready.
	ReasonReceiversReady = "ReceiversReady"
	// ReasonWaitingForCredentials: nothing is started before CredentialsReady.
	ReasonWaitingForCredentials = "WaitingForCredentials"
	// ReasonRollingOut: receivers are being replaced, one after another.
	ReasonRollingOut = "RollingOut"
	// ReasonReceiversStarting: pods are not there yet, or not ready yet.
	ReasonReceiversStarting = "ReceiversStarting"
	// ReasonReceiversNotReady: a pod that ran is not ready; the message says why, as the pod does.
	ReasonReceiversNotReady = "ReceiversNotReady"
	// ReasonNodeLost: a receiver's node is not heard of; the message says which, how many events wait there, and what can be done.
	ReasonNodeLost = "NodeLost"
	// ReasonImagePullFailed: the receiver's image can't be pulled.
	ReasonImagePullFailed = "ImagePullFailed"
	// ReasonUnschedulable: no node can take a pod.
	ReasonUnschedulable = "Unschedulable"
	// ReasonVolumePending: a volume claim is not bound.
	ReasonVolumePending = "VolumePending"
	// ReasonVolumeResizeRefused: a volume can't grow to buffer.disk.size.
	ReasonVolumeResizeRefused = "VolumeResizeRefused"
	// ReasonBufferTypeChanged: buffer.type is not what the endpoint runs with.
	ReasonBufferTypeChanged = "BufferTypeChanged"
	// ReasonBufferIncomplete: the buffer is a JetStream one, and neither the endpoint nor the administrator says which servers keep it.
	ReasonBufferIncomplete = "BufferIncomplete"
	// ReasonBufferAway: receivers can't store, because the servers of a JetStream buffer can't be reached or can't be used; the message says why.
	ReasonBufferAway = "BufferAway"
	// ReasonNameTaken: an object that is not the endpoint's has the name that one of its own needs.
	ReasonNameTaken = "NameTaken"
	// ReasonChildRefused: the API server refuses an object that spec leads to; the message says which and why.
	ReasonChildRefused = "ChildRefused"
)

// Reasons of the condition Exposed.
const (
	// ReasonIngressAdmitted: an Ingress controller serves the Ingress.
	ReasonIngressAdmitted = "IngressAdmitted"
	// ReasonRouteAccepted: every named Gateway has accepted the HTTPRoute.
	ReasonRouteAccepted = "RouteAccepted"
	// ReasonServiceOnly: neither ingress nor httpRoute is set; there is the Service.
	ReasonServiceOnly = "ServiceOnly"
	// ReasonAddressTaken: an older endpoint has the same host and path.
	ReasonAddressTaken = "AddressTaken"
	// ReasonIngressNotAdmitted: no Ingress controller has published an address for the Ingress.
	ReasonIngressNotAdmitted = "IngressNotAdmitted"
	// ReasonTLSSecretMissing: the Secret with the certificate for the Ingress does not exist.
	ReasonTLSSecretMissing = "TLSSecretMissing"
	// ReasonRoutePending: a Gateway has not looked at the HTTPRoute yet.
	ReasonRoutePending = "RoutePending"
	// ReasonRouteNotAccepted: a Gateway has not accepted the HTTPRoute; the message says what it says.
	ReasonRouteNotAccepted = "RouteNotAccepted"
	// ReasonGatewayAPIMissing: httpRoute is set, and the cluster does not have the Gateway API.
	ReasonGatewayAPIMissing = "GatewayAPIMissing"
)

// Reasons of the condition Programmed.
const (
	// ReasonConfigServed: every receiver serves the newest generation.
	ReasonConfigServed = "ConfigServed"
	// ReasonProgramming: some receivers don't serve it yet.
	ReasonProgramming = "Programming"
	// ReasonConfigRefused: a receiver refuses it and goes on with the one before; the message names it and says why.
	ReasonConfigRefused = "ConfigRefused"
	// ReasonReceiversUnreachable: the controller can't ask a receiver which configuration it serves.
	ReasonReceiversUnreachable = "ReceiversUnreachable"
	// ReasonNoReceivers: there is no receiver to ask. Delivering uses it as well.
	ReasonNoReceivers = "NoReceivers"
)

// Reasons of the condition Delivering.
const (
	// ReasonDelivered: no event waits for longer than usual.
	ReasonDelivered = "Delivered"
	// ReasonSuspended: delivery.suspend is true.
	ReasonSuspended = "Suspended"
	// ReasonTargetFailing: events have waited for more than a minute.
	ReasonTargetFailing = "TargetFailing"
	// ReasonTargetDown: nothing has come of many attempts in a row, so that a receiver only tries one event now and then until the target is back.
	ReasonTargetDown = "TargetDown"
)
