package target

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// The length of a signing key, in bytes, that Standard Webhooks 1.0 asks for.
const (
	minKey = 24
	maxKey = 64
)

// signer adds the headers of Standard Webhooks 1.0: webhook-id is the event's id, the same for every attempt, and
// webhook-timestamp is the time of this attempt, since consumers refuse what is older than a few minutes.
type signer struct {
	hook *standardwebhooks.Webhook
	now  func() time.Time
}

// newSigner takes a secret of "whsec_" and base64. Its errors never hold the secret.
func newSigner(secret string, now func() time.Time) (*signer, error) {
	const want = `want "whsec_" and the base64 of 24 to 64 random bytes`
	encoded, ok := strings.CutPrefix(secret, "whsec_")
	if !ok || encoded == "" {
		return nil, errors.New("the signing secret is not a Standard Webhooks secret: " + want)
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil { // which may quote the secret
		return nil, errors.New("the signing secret is not base64 after its prefix: " + want)
	}
	if len(key) < minKey || len(key) > maxKey {
		return nil, fmt.Errorf("the signing secret is %d bytes long: %s", len(key), want)
	}
	hook, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		return nil, errors.New("the signing secret is of no use: " + want)
	}
	return &signer{hook: hook, now: now}, nil
}

// appendSignature appends the three fields, as appendEvent does.
func (s *signer) appendSignature(b []byte, id string, body []byte) []byte {
	now := s.now()
	signature, err := s.hook.Sign(id, now, body)
	if err != nil {
		// HMAC cannot fail, and an unsigned delivery is one that the consumer refuses: the attempt shows it.
		return b
	}
	b = append(b, "Webhook-Id: "...)
	b = append(b, id...)
	b = append(b, lineEnd+"Webhook-Timestamp: "...)
	b = strconv.AppendInt(b, now.Unix(), 10)
	b = append(b, lineEnd+"Webhook-Signature: "...)
	b = append(b, signature...)
	return append(b, lineEnd...)
}
