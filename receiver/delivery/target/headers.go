package target

import (
	"encoding/hex"
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

// eventFields is room for what appendEvent adds to a header: nine attributes, the extensions of the sources that there are, the attempt.
const eventFields = 16

// appendEvent appends the fields of an attempt's header that tell of its event: those of CloudEvents 1.0 in HTTP binary mode. They are
// as they are sent, each with the end of its line. Names are written in the canonical form of net/http.
func appendEvent(b []byte, e *event.Event, attempt int) []byte {
	b = append(b, "Ce-Id: "...)
	b = hex.AppendEncode(b, e.ID[:])
	b = append(b, lineEnd...)
	b = appendField(b, "Ce-Type", e.Type)
	b = appendField(b, "Ce-Source", e.Source)
	if e.Subject != "" { // an attribute is absent rather than empty
		b = appendField(b, "Ce-Subject", e.Subject)
		b = appendField(b, "Ce-Partitionkey", e.Subject)
	}
	if !e.Time.IsZero() {
		b = append(b, "Ce-Time: "...)
		b = e.Time.UTC().AppendFormat(b, TimeFormat)
		b = append(b, lineEnd...)
	}
	b = appendField(b, "Ce-Hookbayendpoint", e.Endpoint)
	for _, x := range e.Extensions {
		if x.Value != "" && extensionName(x.Name) {
			b = append(b, "Ce-"...)
			b = append(b, strings.ToUpper(x.Name[:1])...)
			b = appendField(b, x.Name[1:], x.Value)
		}
	}
	if e.ContentType != "" && httpguts.ValidHeaderFieldValue(e.ContentType) {
		b = append(b, "Content-Type: "...)
		b = append(b, textproto.TrimString(e.ContentType)...)
		b = append(b, lineEnd...)
	}
	b = append(b, HeaderAttempt+": "...)
	b = strconv.AppendInt(b, int64(attempt), 10)
	return append(b, lineEnd...)
}

const (
	nameEnd = ": "
	lineEnd = "\r\n"
)

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, nameEnd...)
	b = appendPercentEncoded(b, value)
	return append(b, lineEnd...)
}

// extensionName says whether s is the name of a CloudEvents extension, and so fit to be part of a field's name.
func extensionName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// header returns constant fields and those that are written in fields, as net/http takes them.
func header(constant http.Header, fields []byte) http.Header {
	h := make(http.Header, len(constant)+eventFields)
	maps.Copy(h, constant) // the values are shared: the transport does not change headers
	values := make([]string, 0, eventFields)
	for line := range strings.Lines(string(fields)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, lineEnd), nameEnd)
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
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
