// Package tencentim receives the third-party callbacks of Tencent Cloud IM (Chat).
//
// Tencent signs the time of a callback and nothing else: neither the body nor the command is covered. Whoever sees one address with its
// Sign can send any body for a minute, so that addresses must be https and Sign must not be logged.
package tencentim

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/source"
)

const (
	// answerWithin is the platform's limit: "within 2 s". A callback answered later is lost, as by default none is repeated.
	answerWithin = 2 * time.Second
	// defaultTolerance is the window that Tencent's documentation uses.
	defaultTolerance = time.Minute
)

// Source receives the callbacks of one app.
type Source struct {
	sdkAppID  string
	tokens    []string
	unsigned  bool // callbacks without Sign are accepted
	tolerance time.Duration
	uri       string
	keep      map[string]bool // nil: all
	stale     *source.Refusal
}

// New returns the source of the app that cfg describes, or an error that names the field to correct.
func New(cfg config.TencentIM, secrets config.Secrets) (*Source, error) {
	tokens, err := credentials(cfg, secrets)
	if err != nil {
		return nil, err
	}
	tolerance := time.Duration(cfg.RequestTimeTolerance)
	if tolerance < 0 {
		return nil, fmt.Errorf("tencentIM.requestTimeTolerance: %s is negative: write how far clocks may differ, such as \"60s\"", tolerance)
	}
	if tolerance == 0 {
		tolerance = defaultTolerance
	}
	id := strconv.FormatInt(cfg.SDKAppID, 10)
	s := &Source{
		sdkAppID:  id,
		tokens:    tokens,
		unsigned:  cfg.Unsigned == config.UnsignedAccept,
		tolerance: tolerance,
		uri:       "//im.tencentcloud.com/apps/" + id,
		stale: &source.Refusal{
			Reason: source.ReasonStale, Status: 401,
			Detail: "RequestTime is more than " + tolerance.String() + " from this receiver's time: check its clock",
		},
	}
	if len(cfg.Commands) > 0 {
		s.keep = make(map[string]bool, len(cfg.Commands))
		for _, command := range cfg.Commands {
			s.keep[command] = true
		}
	}
	return s, nil
}

// credentials checks what New and NewSimulator need of the configuration.
func credentials(cfg config.TencentIM, secrets config.Secrets) ([]string, error) {
	if cfg.SDKAppID <= 0 {
		return nil, fmt.Errorf("tencentIM.sdkAppID: %d is no SDKAppID: write the number that the Chat console shows", cfg.SDKAppID)
	}
	switch cfg.Unsigned {
	case "", config.UnsignedReject:
		if len(cfg.TokenFiles) == 0 {
			return nil, errors.New("tencentIM.tokenFiles: is empty: name the file that holds the callback token, or set unsigned to \"Accept\"")
		}
	case config.UnsignedAccept:
	default:
		return nil, fmt.Errorf("tencentIM.unsigned: %q is unknown: write \"Reject\" or \"Accept\"", cfg.Unsigned)
	}
	tokens, err := source.Credentials(secrets, "tencentIM.tokenFiles", cfg.TokenFiles)
	if err != nil {
		return nil, fmt.Errorf("read the callback tokens: %w", err)
	}
	return tokens, nil
}

// stored is what Tencent is told of a callback that is safe. To a decision callback it means: allow.
var stored = source.Answer{
	ContentType: "application/json",
	Body:        []byte(`{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":""}`),
}

// Answer is always JSON with Tencent's three fields.
func (s *Source) Answer(refusal *source.Refusal) source.Answer {
	if refusal == nil {
		return stored
	}
	body := gjson.AppendJSONString([]byte(`{"ActionStatus":"FAIL","ErrorCode":1,"ErrorInfo":`), refusal.Detail)
	return source.Answer{ContentType: stored.ContentType, Body: append(body, '}')}
}

// AnswerWithin is 2 s.
func (s *Source) AnswerWithin() time.Duration { return answerWithin }

// Interface guard.
var _ source.Source = (*Source)(nil)
