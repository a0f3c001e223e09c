// Package lazada receives the pushes of the Lazada Open Platform (Lazada Push Mechanism, LPM).
//
// A push is signed over its raw body, so that everything in it can be trusted; it carries no time to judge its age by, and a
// repeat may come six hours later, so that none is ever refused for its age.
package lazada

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/source"
)

// answerWithin is the platform's limit: "within 500 ms", else the push is repeated after 30 minutes.
const answerWithin = 500 * time.Millisecond

// authorization is the header that holds the signature: 64 hex digits, without a scheme.
var authorization = textproto.CanonicalMIMEHeaderKey("Authorization")

// Source receives the pushes to one app.
type Source struct {
	appKey    string
	signedKey []byte // the app key as the signature's base begins with it
	keys      *source.HMACKeys
	uri       string
	keep      map[int64]bool // nil: all
}

// New returns the source of the app that cfg describes, or an error that names the field to correct.
func New(cfg config.Lazada, secrets config.Secrets) (*Source, error) {
	appSecrets, err := credentials(cfg, secrets)
	if err != nil {
		return nil, err
	}
	s := &Source{
		appKey:    cfg.AppKey,
		signedKey: []byte(cfg.AppKey),
		keys:      source.NewHMACKeys(appSecrets),
		uri:       "//open.lazada.com/apps/" + url.PathEscape(cfg.AppKey),
	}
	if len(cfg.MessageTypes) > 0 {
		s.keep = make(map[int64]bool, len(cfg.MessageTypes))
		for _, number := range cfg.MessageTypes {
			s.keep[number] = true
		}
	}
	return s, nil
}

// credentials checks what New and NewSimulator need of the configuration.
func credentials(cfg config.Lazada, secrets config.Secrets) ([]string, error) {
	if strings.TrimSpace(cfg.AppKey) == "" {
		return nil, errors.New("lazada.appKey: is empty: write the App Key that the app's page in the Lazada console shows")
	}
	if len(cfg.AppSecretFiles) == 0 {
		return nil, errors.New("lazada.appSecretFiles: is empty: name the file that holds the app secret")
	}
	appSecrets, err := source.Credentials(secrets, "lazada.appSecretFiles", cfg.AppSecretFiles)
	if err != nil {
		return nil, fmt.Errorf("read the app secrets: %w", err)
	}
	return appSecrets, nil
}

// Why a push is refused. Anybody may read these: they say what is wrong with the request, nothing about what would be right.
var (
	signatureMissing = &source.Refusal{
		Reason: source.ReasonSignatureMissing, Status: 401,
		Detail: "the Authorization header is missing: Lazada signs every push, so something on the way may have removed it",
	}
	signatureWrong = &source.Refusal{
		Reason: source.ReasonSignatureWrong, Status: 401,
		Detail: "the Authorization header does not fit the body: compare app key and app secret with the Lazada console",
	}
)

// VerifyHead refuses a push whose Authorization header is missing or can't be a signature, whatever the body is.
func (s *Source) VerifyHead(r *source.Request) (source.Proof, *source.Refusal) {
	sum, refusal := signature(r)
	return source.Proof{Key: -1, Sum: sum}, refusal
}

// VerifyBody compares the Authorization header with HMAC-SHA256(app secret, app key followed by the raw body).
func (s *Source) VerifyBody(r *source.Request, proof source.Proof) (source.Proof, *source.Refusal) {
	if proof.Key = s.keys.Match(&proof.Sum, s.signedKey, r.Body); proof.Key < 0 {
		return proof, signatureWrong
	}
	return proof, nil
}

// signature reads the Authorization header.
func signature(r *source.Request) ([sha256.Size]byte, *source.Refusal) {
	value := r.Value(authorization)
	if strings.TrimSpace(value) == "" {
		return [sha256.Size]byte{}, signatureMissing
	}
	sum, ok := source.ParseDigest(value)
	if !ok {
		return sum, signatureWrong
	}
	return sum, nil
}

// stored is what Lazada is told of a push that is safe. Only the status counts; the body is for people.
var stored = source.Answer{ContentType: "application/json", Body: []byte(`{}`)}

// Answer is "{}" for a push that is safe, else {"error": why not}.
func (s *Source) Answer(refusal *source.Refusal) source.Answer {
	if refusal == nil {
		return stored
	}
	body := gjson.AppendJSONString([]byte(`{"error":`), refusal.Detail)
	return source.Answer{ContentType: stored.ContentType, Body: append(body, '}')}
}

// AnswerWithin is 500 ms.
func (s *Source) AnswerWithin() time.Duration { return answerWithin }

// Interface guard.
var _ source.Source = (*Source)(nil)
