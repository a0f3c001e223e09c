package tencentim

import (
	"crypto/sha256"
	"crypto/subtle"
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/hookbay/hookbay/receiver/source"
)

// Why a callback is refused. Anybody may read these: they say what is wrong with the request, nothing about what would be right.
var (
	wrongApp = &source.Refusal{
		Reason: source.ReasonWrongApp, Status: 403,
		Detail: "SdkAppid is not this endpoint's: compare it with the Chat console, and the callback URL with this endpoint's",
	}
	signatureMissing = &source.Refusal{
		Reason: source.ReasonSignatureMissing, Status: 401,
		Detail: "Sign or RequestTime is missing: switch on authentication in the console's callback configuration",
	}
	timeMalformed = &source.Refusal{
		Reason: source.ReasonSignatureWrong, Status: 401,
		Detail: "RequestTime is not a number of seconds",
	}
	signatureWrong = &source.Refusal{
		Reason: source.ReasonSignatureWrong, Status: 401,
		Detail: "Sign does not fit RequestTime: compare the token with the console's callback configuration",
	}
)

// query holds the parameters that Tencent adds to the callback URL. Where one comes twice, the first counts.
type query struct {
	sdkAppID, command, sign, requestTime, clientIP, optPlatform string
}

func parseQuery(raw string) query {
	var q query
	for raw != "" {
		var name, value string
		var escaped bool
		name, value, raw, escaped = nextParameter(raw)
		into := q.parameter(name)
		if into == nil || *into != "" {
			continue
		}
		if *into = value; escaped {
			*into = unescape(value)
		}
	}
	return q
}

// nextParameter takes the first parameter off a query, in one pass: of what is done for a callback before its body is read, this is the most.
func nextParameter(raw string) (name, value, rest string, escaped bool) {
	end, equals := 0, -1
	for ; end < len(raw) && raw[end] != '&'; end++ {
		switch raw[end] {
		case '=':
			if equals < 0 {
				equals = end
			}
		case '%', '+':
			escaped = true
		}
	}
	if rest = raw[min(end+1, len(raw)):]; equals < 0 {
		return raw[:end], "", rest, escaped
	}
	return raw[:equals], raw[equals+1 : end], rest, escaped
}

// parameter is where a parameter's text belongs; nil: it is of no interest.
func (q *query) parameter(name string) *string {
	switch name {
	case "SdkAppid":
		return &q.sdkAppID
	case "CallbackCommand":
		return &q.command
	case "Sign":
		return &q.sign
	case "RequestTime":
		return &q.requestTime
	case "ClientIP":
		return &q.clientIP
	case "OptPlatform":
		return &q.optPlatform
	}
	return nil
}

// unescape returns a parameter's text, or it as it came if it is not escaped properly: it will then fit nothing.
func unescape(value string) string {
	text, err := url.QueryUnescape(value)
	if err != nil {
		return value
	}
	return text
}

// VerifyHead compares Sign with SHA-256(token followed by RequestTime), and RequestTime with the clock.
//
// Where several things are wrong, the one to mend first is told: another app's SdkAppid, then a missing Sign or RequestTime, then a wrong
// Sign, then the time. So only a callback that is signed right is ever called stale, and only such a one has a dated Proof: nobody
// without the token can shift the clock skew that people watch.
func (s *Source) VerifyHead(r *source.Request) (source.Proof, *source.Refusal) {
	proof := source.Proof{Key: -1}
	q := parseQuery(r.Query)
	switch {
	case q.sdkAppID != s.sdkAppID:
		return proof, wrongApp
	case s.unsigned && (q.sign == "" || len(s.tokens) == 0):
		return proof, nil
	case q.sign == "" || q.requestTime == "":
		return proof, signatureMissing
	}
	seconds, ok := unixSeconds(q.requestTime)
	if !ok {
		return proof, timeMalformed
	}
	sign, ok := source.ParseDigest(q.sign)
	if !ok {
		return proof, signatureWrong
	}
	if proof.Key = s.match(&sign, q.requestTime); proof.Key < 0 {
		return proof, signatureWrong
	}
	proof.Dated, proof.Skew = true, skew(seconds, r.Received)
	// RequestTime is in whole seconds, so that the fraction of now does not count.
	if age := skew(seconds, r.Received.Truncate(time.Second)); age > s.tolerance || age < -s.tolerance {
		return proof, s.stale
	}
	return proof, nil
}

// VerifyBody lets pass what VerifyHead did: Sign does not cover the body.
func (s *Source) VerifyBody(_ *source.Request, head source.Proof) (source.Proof, *source.Refusal) {
	return head, nil
}

// match returns the position of the first token that gives sign, or -1. All tokens are tried and compared in constant time.
func (s *Source) match(sign *[sha256.Size]byte, requestTime string) int {
	var room [256]byte
	found := -1
	for i, token := range slices.Backward(s.tokens) {
		sum := sha256.Sum256(append(append(room[:0], token...), requestTime...))
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], sign[:]), i, found)
	}
	return found
}

// unixSeconds reads digits only: no sign, no space, but leading zeros, as the hash is over the text as it was sent.
func unixSeconds(text string) (int64, bool) {
	if len(text) > 32 {
		return 0, false
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// skew is how far seconds is ahead of now (+) or behind (-), as far as a Duration reaches.
func skew(seconds int64, now time.Time) time.Duration {
	const reach = math.MaxInt64 / int64(time.Second)
	if seconds > now.Unix()+reach-1 {
		return math.MaxInt64
	}
	return time.Unix(seconds, 0).Sub(now)
}
