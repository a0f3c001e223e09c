package target

import (
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
)

// The headers that Hookbay adds to those of CloudEvents.
const (
	// HeaderAttempt counts the attempts at this event, from 1.
	HeaderAttempt = "Hookbay-Attempt"
	// HeaderReceiver names the replica that delivers.
	HeaderReceiver = "Hookbay-Receiver"
)

// TimeFormat is how an event's time is written, always in UTC: RFC 3339 with all nine digits of the fraction, so that the order of the
// texts is that of the times.
const TimeFormat = "2006-01-02T15:04:05.000000000Z"

// eventHeaders is room for what eventHeader adds: nine attributes, the extensions of the sources that there are, the attempt.
const eventHeaders = 16

// eventHeader returns the headers of an attempt: constant ones, then those of CloudEvents 1.0 in HTTP binary mode. Keys are written in
// their canonical form, because that saves the work that Header.Set does for each.
func eventHeader(constant http.Header, e *event.Event, attempt int) http.Header {
	h := make(http.Header, len(constant)+eventHeaders)
	maps.Copy(h, constant) // the values are shared: the transport does not change headers
	values := make([]string, 0, eventHeaders)
	set := func(key, value string) {
		values = append(values, value)
		h[key] = values[len(values)-1 : len(values) : len(values)]
	}
	set("Ce-Id", e.ID.String())
	set("Ce-Type", percentEncode(e.Type))
	set("Ce-Source", percentEncode(e.Source))
	if e.Subject != "" { // an attribute is absent rather than empty
		subject := percentEncode(e.Subject)
		set("Ce-Subject", subject)
		h["Ce-Partitionkey"] = h["Ce-Subject"]
	}
	if !e.Time.IsZero() {
		set("Ce-Time", e.Time.UTC().Format(TimeFormat))
	}
	set("Ce-Hookbayendpoint", percentEncode(e.Endpoint))
	for _, x := range e.Extensions {
		if x.Name != "" && x.Value != "" {
			set("Ce-"+strings.ToUpper(x.Name[:1])+x.Name[1:], percentEncode(x.Value))
		}
	}
	if e.ContentType != "" {
		set("Content-Type", e.ContentType)
	}
	set(HeaderAttempt, strconv.Itoa(attempt))
	return h
}

// constantHeader returns what is the same for every delivery to a target. Its errors never hold a header's value.
func constantHeader(cfg config.Target, bearerToken, receiver string) (http.Header, error) {
	h := http.Header{
		"Ce-Specversion": {"1.0"},
		"User-Agent":     {"Hookbay"},
	}
	if receiver != "" {
		h[HeaderReceiver] = []string{percentEncode(receiver)}
	}
	own := map[string]bool{}
	for i, x := range cfg.Headers {
		key := textproto.CanonicalMIMEHeaderKey(x.Name)
		switch {
		case !httpguts.ValidHeaderFieldName(x.Name):
			return nil, fmt.Errorf("target.headers[%d].name %q is not a header name: use letters, digits and hyphens", i, x.Name)
		case !httpguts.ValidHeaderFieldValue(x.Value):
			return nil, fmt.Errorf("target.headers[%d].value (of %s) has a line break or another control character: remove it", i, key)
		case reserved(key):
			return nil, fmt.Errorf("target.headers[%d].name: %s is set by Hookbay itself: choose another name", i, key)
		case key == "Authorization" && bearerToken != "":
			return nil, fmt.Errorf("target.headers[%d].name: Authorization is set by the bearer token: remove one of the two", i)
		}
		if !own[key] {
			own[key] = true
			delete(h, key)
		}
		h[key] = append(h[key], x.Value)
	}
	if bearerToken != "" {
		if !httpguts.ValidHeaderFieldValue(bearerToken) {
			return nil, fmt.Errorf("target.bearerTokenFile %q holds a line break or another control character: put the token alone into it",
				cfg.BearerTokenFile)
		}
		h["Authorization"] = []string{"Bearer " + bearerToken}
	}
	return h, nil
}

// reserved says whether a header, under its canonical name, is not the user's to set: it belongs to the event, or to the connection.
func reserved(key string) bool {
	for _, prefix := range []string{"Ce-", "Hookbay-", "Webhook-", "Proxy-"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return slices.Contains([]string{
		"Content-Type", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Connection", "Keep-Alive", "Upgrade", "Te", "Trailer", "Expect",
	}, key)
}
