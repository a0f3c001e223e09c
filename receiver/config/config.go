// Package config is the contract between the control plane and the receiver: one strict document, a list of endpoints, which the
// control plane renders and the receiver watches.
//
// Credentials are never in it. It names files below the receiver's secrets directory, and Load reads them beside it.
package config

import (
	"encoding/json"
	"reflect"
	"time"
)

// Config is the whole of what a receiver serves.
type Config struct {
	// Endpoints are served side by side; no two share a host and path.
	Endpoints []Endpoint `json:"endpoints"`
}

// Endpoint is one WebhookEndpoint.
type Endpoint struct {
	// Namespace and Name are those of the WebhookEndpoint.
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Generation is the WebhookEndpoint's metadata.generation that this was rendered from. /configz shows it.
	Generation int64 `json:"generation,omitempty"`
	// Host is the host that callbacks must name; empty: any.
	Host string `json:"host,omitempty"`
	// Path is the URL path that callbacks come in on, exactly. It begins with "/".
	Path     string   `json:"path"`
	Source   Source   `json:"source"`
	Target   Target   `json:"target"`
	Delivery Delivery `json:"delivery"`
	Buffer   Buffer   `json:"buffer"`
	// RateLimit bounds how many callbacks are taken; null: as many as come.
	RateLimit *RateLimit `json:"rateLimit,omitempty"`
}

// Key is "namespace/name".
func (e *Endpoint) Key() string { return e.Namespace + "/" + e.Name }

// SecretFile is the path of a file below the receiver's secrets directory. A trailing line break of its content is ignored.
type SecretFile string

// The source types.
const (
	SourceLazada    = "Lazada"
	SourceTencentIM = "TencentIM"
)

// Source says who calls back. Type says which member is set.
type Source struct {
	Type      string     `json:"type"`
	Lazada    *Lazada    `json:"lazada,omitempty"`
	TencentIM *TencentIM `json:"tencentIM,omitempty"`
}

// Lazada is an app of the Lazada Open Platform.
type Lazada struct {
	AppKey string `json:"appKey"`
	// AppSecretFiles are 1 to 4 secrets; any may match.
	AppSecretFiles []SecretFile `json:"appSecretFiles"`
	// MessageTypes are the types to keep; others are acknowledged, counted and not stored. Empty: all.
	MessageTypes []int64 `json:"messageTypes,omitempty"`
}

// What TencentIM.Unsigned can be.
const (
	UnsignedReject = "Reject"
	UnsignedAccept = "Accept"
)

// TencentIM is an app of Tencent Cloud IM.
type TencentIM struct {
	SDKAppID int64 `json:"sdkAppID"`
	// TokenFiles are up to 4 callback tokens; any may match. They may be none only if Unsigned is Accept.
	TokenFiles []SecretFile `json:"tokenFiles,omitempty"`
	// RequestTimeTolerance is how far RequestTime may be from now, either way, inclusive. Zero: 60 s.
	RequestTimeTolerance Duration `json:"requestTimeTolerance,omitzero"`
	// Commands are the callback commands to keep; others are acknowledged, counted and not stored. Empty: all.
	Commands []string `json:"commands,omitempty"`
	// Unsigned says what happens to callbacks without Sign. Empty: Reject.
	Unsigned string `json:"unsigned,omitempty"`
}

// What Delivery.Ordering can be.
const (
	OrderingSubject = "Subject"
	OrderingNone    = "None"
)

// Delivery says how events are sent.
type Delivery struct {
	// Ordering Subject: events of one subject go one at a time, in order. Empty: Subject.
	Ordering string `json:"ordering,omitempty"`
	// MaxInFlight bounds the attempts under way at once. Zero: 64.
	MaxInFlight int   `json:"maxInFlight,omitempty"`
	Retry       Retry `json:"retry,omitzero"`
	// Suspend keeps storing and acknowledging, and delivers nothing.
	Suspend bool `json:"suspend,omitempty"`
}

// Retry is the schedule of attempts: exponential from InitialInterval to MaxInterval, jittered. Zero values: 1 s, 5 min, 24 h.
type Retry struct {
	InitialInterval Duration `json:"initialInterval,omitzero"`
	MaxInterval     Duration `json:"maxInterval,omitzero"`
	// MaxAge is the age at which an event whose attempt failed becomes a dead letter.
	MaxAge Duration `json:"maxAge,omitzero"`
}

// RateLimit bounds the callbacks that this receiver takes: at least one of RequestsPerSecond and PerTenant is set.
type RateLimit struct {
	// RequestsPerSecond bounds all callbacks together. Zero: no such limit.
	RequestsPerSecond int `json:"requestsPerSecond,omitempty"`
	// Burst is how many may come at once. Zero: twice RequestsPerSecond.
	Burst int `json:"burst,omitempty"`
	// PerTenant bounds each tenant by itself. Null: no such limit.
	PerTenant *TenantRateLimit `json:"perTenant,omitempty"`
}

// TenantRateLimit bounds the callbacks of each tenant, as event.Event tells them.
type TenantRateLimit struct {
	RequestsPerSecond int `json:"requestsPerSecond"`
	// Burst is how many may come at once. Zero: twice RequestsPerSecond.
	Burst int `json:"burst,omitempty"`
}

// Duration is a time.Duration that reads and writes as "1m30s".
type Duration time.Duration

// MarshalJSON writes the duration as time.Duration prints it.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).String())
}

// UnmarshalJSON reads what time.ParseDuration reads. Its error is a json.UnmarshalTypeError, to which encoding/json adds the field's path.
func (d *Duration) UnmarshalJSON(b []byte) error {
	refusal := &json.UnmarshalTypeError{Value: "value", Type: reflect.TypeFor[Duration]()}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return refusal
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return refusal
	}
	*d = Duration(v)
	return nil
}
