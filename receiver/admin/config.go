package admin

import (
	"net/url"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
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
	TargetHost string `json:"targetHost"`
	Suspended  bool   `json:"suspended"`
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

// EndpointOf returns what may be shown of an endpoint. Of the target that is the host alone: its path and query may hold a token.
func EndpointOf(e *config.Endpoint) Endpoint {
	shown := Endpoint{
		Namespace: e.Namespace, Name: e.Name, Generation: e.Generation, Host: e.Host, Path: e.Path,
		SourceType: e.Source.Type, Suspended: e.Delivery.Suspend,
	}
	if u, err := url.Parse(e.Target.URL); err == nil {
		shown.TargetHost = u.Host
	}
	return shown
}
