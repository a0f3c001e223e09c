package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SourceType names a platform.
//
// +kubebuilder:validation:Enum=Lazada;TencentIM
type SourceType string

// The platforms.
const (
	// SourceLazada is the Lazada Open Platform's push mechanism (LPM).
	SourceLazada SourceType = "Lazada"
	// SourceTencentIM is Tencent Cloud IM (Chat) with its third-party callbacks.
	SourceTencentIM SourceType = "TencentIM"
)

// Source says which platform calls back: type names the member that is set.
//
// +kubebuilder:validation:XValidation:rule=`self.type != 'Lazada' || has(self.lazada)`,message="type is Lazada: add lazada with appKey and appSecretRefs"
// +kubebuilder:validation:XValidation:rule=`self.type == 'Lazada' || !has(self.lazada)`,message="lazada is set, but type is not Lazada: write type: Lazada, or remove lazada"
// +kubebuilder:validation:XValidation:rule=`self.type != 'TencentIM' || has(self.tencentIM)`,message="type is TencentIM: add tencentIM with sdkAppID and tokenRefs"
// +kubebuilder:validation:XValidation:rule=`self.type == 'TencentIM' || !has(self.tencentIM)`,message="tencentIM is set, but type is not TencentIM: write type: TencentIM, or remove tencentIM"
type Source struct {
	// type is the platform: Lazada or TencentIM. The member of that name must be set, and no other.
	// +required
	Type SourceType `json:"type"`

	// lazada is an app of the Lazada Open Platform. Set it if type is Lazada.
	// +optional
	Lazada *LazadaSource `json:"lazada,omitempty"`

	// tencentIM is an app of Tencent Cloud IM. Set it if type is TencentIM.
	// +optional
	TencentIM *TencentIMSource `json:"tencentIM,omitempty"`
}

// LazadaSource is an app of the Lazada Open Platform. Lazada pushes to one address per app, over HTTPS, and wants status 200
// within 500 ms; it repeats a failed push every 30 minutes, up to 12 times, and stops calling an address that fails more than half of
// its pushes. Every push is signed over its whole body with the app's secret; what is not signed correctly is refused with 401.
type LazadaSource struct {
	// appKey is the App Key that the Lazada console shows for the app: digits, in quotes. The signature covers it.
	// ---
	// The schema lets a number through to the rules: only they can say that it needs quotes.
	// +required
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`type(self) == string`,message="put the App Key in quotes, as in \"100132\": without them it is a number"
	// +kubebuilder:validation:XValidation:rule=`type(self) != string || self.matches(r'^[a-zA-Z0-9]+$')`,message="write the App Key as the Lazada console shows it, such as \"100132\": letters and digits only"
	AppKey string `json:"appKey"`

	// appSecretRefs name the App Secret: 1 to 4 keys of Secrets, any of which may match. When the secret is reset, Lazada signs with
	// the new one at once, so add the new one before you reset the old, and remove the old one when nothing matches it any more.
	// The secret must be in place before you press "Verify" in the console: the test push is signed like any other.
	// +required
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +listType=map
	// +listMapKey=name
	// +listMapKey=key
	AppSecretRefs []SecretKeyRef `json:"appSecretRefs"`

	// messageTypes are the values of message_type to keep, such as 0 (order), 2 (IM message) or 19 (IM session): pushes of any other
	// type are verified, answered with success, counted and not stored. Default: all are kept, also types that Lazada adds later.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Minimum=0
	// +kubebuilder:validation:items:Maximum=1000000
	// +listType=set
	MessageTypes []int64 `json:"messageTypes,omitempty"`
}

// UnsignedPolicy says what happens to callbacks that carry no signature.
//
// +kubebuilder:validation:Enum=Reject;Accept
type UnsignedPolicy string

// The policies for unsigned callbacks.
const (
	// UnsignedReject refuses them.
	UnsignedReject UnsignedPolicy = "Reject"
	// UnsignedAccept takes them from anybody.
	UnsignedAccept UnsignedPolicy = "Accept"
)

// TencentIMSource is an app of Tencent Cloud IM. Tencent wants a JSON answer within 2 seconds and by default never repeats an "after"
// callback: what is not stored at the first attempt is lost. Callbacks that ask for a decision (…CallbackBefore…,
// …CallbackPrev…) are answered "allow".
//
// Tencent's signature covers only the time, not the body: whoever sees one signed URL can send any body for as long as
// requestTimeTolerance. So use HTTPS, and keep query strings out of the access logs of proxies.
//
// +kubebuilder:validation:XValidation:rule=`has(self.tokenRefs) || (has(self.unsigned) && self.unsigned == 'Accept')`,message="add tokenRefs: switch on authentication in the Tencent console, and name the Secret and key that hold its Token; or write unsigned: Accept to take callbacks from anybody"
type TencentIMSource struct {
	// sdkAppID is the SDKAppID of the app: a number, without quotes. Callbacks of any other app are refused with 403.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967295
	SDKAppID int64 `json:"sdkAppID"`

	// tokenRefs name the callback Token that is set in the Tencent console beside the callback URL, when authentication is
	// switched on there: up to 4 keys of Secrets, any of which may match. To change the token without losing a
	// callback, add the new one here first, then change it in the console, then remove the old one. Required unless unsigned is Accept.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +listType=map
	// +listMapKey=name
	// +listMapKey=key
	TokenRefs []SecretKeyRef `json:"tokenRefs,omitempty"`

	// requestTimeTolerance is how far a callback's RequestTime may be from the receiver's clock, either way. Default 60s, which is
	// Tencent's own rule; 1s to 15m. A longer one forgives a wrong clock, and lets a stolen URL be used for longer.
	// +optional
	// +kubebuilder:default="60s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$') && duration(self) >= duration('1s') && duration(self) <= duration('15m')`,message="write a duration from 1s to 15m, such as \"60s\""
	RequestTimeTolerance *metav1.Duration `json:"requestTimeTolerance,omitempty"`

	// commands are the callback commands to keep, as in C2C.CallbackAfterSendMsg: others are verified, answered with success, counted
	// and not stored. A name that Tencent doesn't know keeps nothing, so mind the spelling. Default: all are kept, also commands that
	// Tencent adds later. Which commands are sent at all is switched in the Tencent console.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:XValidation:rule=`self.matches(r'^[a-zA-Z0-9]+\.[a-zA-Z0-9]+$')`,message="write a command with its group, such as C2C.CallbackAfterSendMsg"
	// +listType=set
	Commands []string `json:"commands,omitempty"`

	// unsigned says what happens to callbacks without Sign, which Tencent sends as long as authentication is switched off in
	// its console. Reject (default) refuses them with 401. Accept takes them: anybody who knows the URL and the sdkAppID can
	// then invent events. A callback that has a Sign is checked in either case if tokenRefs are set.
	// +optional
	// +kubebuilder:default=Reject
	Unsigned UnsignedPolicy `json:"unsigned,omitempty"`
}
