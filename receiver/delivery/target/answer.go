package target

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// maxAnswer is how much of an answer's body is read, only so that the connection can be used again. A longer one costs the connection.
	maxAnswer = 64 << 10
	// drainTimeout is how long that may take: the verdict is known from the status, and a trickling body must not hold a worker.
	drainTimeout = time.Second
	// maxRetryAfter bounds what is read from Retry-After, far above what delivery honours.
	maxRetryAfter = 24 * time.Hour
)

// drain reads what is left of an answer; abort ends the reading. It does not end that of what follows a change of protocols, which is nothing to
// us: closing the body closes that connection.
func drain(resp *http.Response, abort context.CancelFunc) {
	if resp.Body == http.NoBody || resp.ContentLength > maxAnswer || resp.StatusCode == http.StatusSwitchingProtocols {
		return
	}
	timer := time.AfterFunc(drainTimeout, abort)
	defer timer.Stop()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer+1) // the answer is known
}

// judge says what an answer means.
func judge(resp *http.Response, now time.Time) Result {
	code := resp.StatusCode
	r := Result{Class: Rejected, Outcome: statusOutcome(code), Detail: statusDetail(code)}
	switch {
	case code >= 200 && code <= 299:
		r.Class = Delivered
	case retryable(code):
		r.Class = Retryable
		r.Detail += advice(code)
		r.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), now)
	default:
		r.Detail += advice(code)
	}
	return r
}

// advice says what to look at where a status tells of a mistake that lasts, not of one event or a bad moment.
func advice(code int) string {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return ": look at the credentials in the target's bearerTokenRef and headers"
	case http.StatusNotFound, http.StatusGone:
		return ": look at the path in the target"
	case http.StatusMethodNotAllowed:
		return ": nothing takes a POST there, look at the path in the target"
	case http.StatusRequestEntityTooLarge:
		return ": raise the largest body that the target and the proxies before it take"
	}
	if redirects(code) {
		return ": redirects are not followed, give the final address as the target"
	}
	return ""
}

// statusDetail tells of a status in the standard's words, never the peer's own.
func statusDetail(code int) string {
	switch code { // what usually comes costs nothing
	case http.StatusOK:
		return "target answered 200 OK"
	case http.StatusAccepted:
		return "target answered 202 Accepted"
	case http.StatusNoContent:
		return "target answered 204 No Content"
	}
	return strings.TrimRight("target answered "+strconv.Itoa(code)+" "+http.StatusText(code), " ")
}

// redirects says whether an answer names another address: not all of 3xx do, 304 for one.
func redirects(code int) bool {
	switch code {
	case http.StatusMultipleChoices, http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// retryable holds the answers that may be different next time: all 5xx; 404 and 425 while a service rolls out, 408 and 429 under load,
// 409 for consumers that lock.
func retryable(code int) bool {
	switch code {
	case http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return code >= 500 && code <= 599
}

func statusOutcome(code int) string {
	if code == http.StatusTooManyRequests {
		return OutcomeThrottled
	}
	switch code / 100 {
	case 2:
		return Outcome2xx
	case 3:
		return Outcome3xx
	case 4:
		return Outcome4xx
	case 5:
		return Outcome5xx
	}
	return OutcomeOddStatus
}

// retryAfter reads both forms of RFC 9110, section 10.2.3: seconds, and a date. What is neither, or past, is no wish: zero.
func retryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 63); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(0, date.Sub(now)), maxRetryAfter)
}
