package receivers

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/hookbay/hookbay/receiver/admin"
)

// Report is what a receiver says of itself and of one endpoint.
type Report struct {
	// Digest is that of the configuration that is live, as config.Config makes it.
	Digest string
	// Revision is what the receiver sees of the annotation manifests.AnnotationRevision of its pod; "" if it sees none.
	Revision string
	// Generation is that of the endpoint in the configuration that is live, 0 if it is not in there.
	Generation int64
	// Refused says why a newer configuration is not live, "" if there is none.
	Refused string
	// Broken says why the endpoint cannot work with the configuration that is live, "" if it can.
	Broken string

	// NotReady says why the receiver takes no callbacks now, "" if it does.
	NotReady string
	// BufferAway says that the endpoint's events can't be stored now, as in a stream whose servers are away.
	BufferAway bool

	// Backlog counts the events of the endpoint that are neither delivered nor dead letters, DeadLetters its dead letters that are kept.
	Backlog, DeadLetters int64
	// Held counts the events of all endpoints that are neither delivered nor dead letters: a receiver that goes must hold none.
	Held int64
	// Oldest is the age of the endpoint's oldest event in Backlog, 0 if there is none.
	Oldest time.Duration
	// TargetDown is the outcome of the last attempt if the target counts as down, "" if it doesn't: "timeout".
	TargetDown string
	// LastAccepted and LastRefused are when the endpoint's last callback was accepted, and refused; zero if the receiver has seen none
	// since it loaded the endpoint.
	LastAccepted, LastRefused time.Time
}

// page is one thing to ask for.
type page struct {
	path, accept string
	maxBytes     int64
	read         func(status int, body io.Reader, endpoint string, r *Report) error
}

// pages lists what is asked, in this order. A receiver in a cluster serves one endpoint, so that its configuration is a few lines; its
// metrics grow with the endpoints that it has served, and are read without being kept.
func pages() []page {
	return []page{
		{path: "/configz", accept: "application/json", maxBytes: 256 << 10, read: readConfig},
		{path: "/readyz", accept: "text/plain", maxBytes: 4 << 10, read: readReady},
		{path: "/metrics", accept: "text/plain;version=0.0.4", maxBytes: 1 << 20, read: readMetrics},
	}
}

func readConfig(status int, body io.Reader, endpoint string, r *Report) error {
	if status != http.StatusOK {
		return answerError("answers " + strconv.Itoa(status) + " to /configz")
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var c admin.Config
	if err := json.Unmarshal(text, &c); err != nil || c.Digest == "" || c.Endpoints == nil {
		return answerError("answers /configz with something that is not a configuration")
	}
	r.Digest, r.Revision = oneLine(c.Digest), oneLine(c.Revision)
	for _, e := range c.Endpoints {
		if e.Namespace+"/"+e.Name == endpoint {
			r.Generation = e.Generation
		}
	}
	for _, b := range c.Broken {
		if b.Endpoint == endpoint {
			r.Broken = cmp.Or(oneLine(b.Reason), "it does not say why")
		}
	}
	if c.Refused != nil {
		if r.Refused = oneLine(c.Refused.Reason); r.Refused == "" {
			r.Refused = "it does not say why"
		}
	}
	return nil
}

func readReady(status int, body io.Reader, _ string, r *Report) error {
	if status == http.StatusOK {
		return nil
	}
	if status != http.StatusServiceUnavailable { // nothing that a receiver says
		return answerError("answers " + strconv.Itoa(status) + " to /readyz")
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if r.NotReady = oneLine(string(text)); r.NotReady == "" {
		r.NotReady = "it does not say why"
	}
	return nil
}
