package admin

import (
	"net/url"
	"strings"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/delivery"
)

// Config is what /configz shows: the configuration that is live, without credentials, and the last one that was refused. The control
// plane reads it to tell whether an endpoint's newest generation is served.
type Config struct {
	// Digest is that of config.Config.
	Digest string `json:"digest"`
	// Revision is that of config.Snapshot; empty if there is none.
	Revision string `json:"revision"`
	// LoadedAt is when it went live.
	LoadedAt time.Time `json:"loadedAt"`
	// Endpoints are those that are served.
	Endpoints []Endpoint `json:"endpoints"`
	// Leaving names endpoints that are gone from the configuration and still have events to deliver.
	Leaving []string `json:"leaving,omitempty"`
	// Broken tells of those of Endpoints that cannot work, for want of a credential say: their callbacks are refused with 503.
	Broken []Broken `json:"broken,omitempty"`
	// Refused tells of a newer configuration that is not live because something is wrong with it; null if there is none.
	Refused *Refused `json:"refused"`
}

// Endpoint is what /configz shows of one endpoint.
type Endpoint struct {
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	Generation int64  `json:"generation"`
	Host       string `json:"host,omitempty"`
	Path       string `json:"path"`
	SourceType string `json:"sourceType"`
	TargetType string `json:"targetType"`
	TargetHost string `json:"targetHost"`
	Suspended  bool   `json:"suspended"`
	// Target is how the target is; nil if nothing is delivered to it, as when the endpoint is suspended.
	Target *Target `json:"target,omitempty"`
	// Buffer is how the buffer is; nil if the endpoint has none, or cannot work.
	Buffer *Buffer `json:"buffer,omitempty"`
}

// Buffer is what /configz shows of a buffer.
type Buffer struct {
	// Engine is "Disk" or "JetStream".
	Engine string `json:"engine"`
	// Ready says whether events can be stored now; if not, Reason says why not and what to do. If they can, it may say what of a stream is not as
	// it was asked for, because the servers refuse that.
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"`
}

// Target is what /configz shows of a target.
type Target struct {
	// State is "up" or "down": deliveries pause, but for a probe now and then. A target that was never tried is up.
	State string `json:"state"`
	// DownSince is when it went down.
	DownSince time.Time `json:"downSince,omitzero"`
	// NextTry is when the next probe is due, if an event is.
	NextTry time.Time `json:"nextTry,omitzero"`
	// LastFailure is of the last attempt that delivered nothing, which may have been long ago; nil if there was none.
	LastFailure *Failure `json:"lastFailure,omitempty"`
}

// Failure says what came of an attempt, in the words of the metrics and of the log.
type Failure struct {
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome"`
	Detail  string    `json:"detail"`
}

// TargetOf returns what may be shown of a target's state.
func TargetOf(s delivery.TargetState) *Target {
	shown := &Target{State: "up", DownSince: s.Since, NextTry: s.NextTry}
	if s.Down {
		shown.State = "down"
	}
	if f := s.LastFailure; !f.At.IsZero() {
		shown.LastFailure = &Failure{At: f.At, Outcome: f.Outcome, Detail: f.Detail}
	}
	return shown
}

// Refused says when a configuration was first refused and why.
type Refused struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// Broken says why an endpoint, "namespace/name", cannot work, which field is concerned and what to do.
type Broken struct {
	Endpoint string `json:"endpoint"`
	Reason   string `json:"reason"`
}

// EndpointOf returns what may be shown of an endpoint. Of the target that is the host alone, or the hosts: a path and a query may hold a token.
func EndpointOf(e *config.Endpoint) Endpoint {
	return Endpoint{
		Namespace: e.Namespace, Name: e.Name, Generation: e.Generation, Host: e.Host, Path: e.Path,
		SourceType: e.Source.Type, TargetType: e.Target.Type, TargetHost: strings.Join(hosts(&e.Target), ","), Suspended: e.Delivery.Suspend,
	}
}

// hosts are where a target is.
func hosts(t *config.Target) []string {
	urls := []string{t.URL}
	switch {
	case t.Kafka != nil:
		return t.Kafka.Brokers
	case t.JetStream != nil:
		urls = t.JetStream.URLs
	}
	var all []string
	for _, raw := range urls {
		if u, err := url.Parse(raw); err == nil {
			all = append(all, u.Host)
		}
	}
	return all
}
