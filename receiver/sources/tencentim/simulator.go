package tencentim

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/source"
)

// defaultSample is what is sent when no sample is named.
const defaultSample = "C2C.CallbackAfterSendMsg"

// samples holds callbacks of every family of commands, each named by its command.
//
//go:embed testdata/*.json
var samples embed.FS

// variations are what varies in every sample that has it. MsgSeq counts the events of a subject, so that their order shows.
var variations = []source.Variation{
	{Path: "From_Account"}, {Path: "To_Account"}, {Path: "Report_Account"}, {Path: "Peer_Account"},
	{Path: "GroupId"}, {Path: "Official_Account"}, {Path: "Info.To_Account"}, {Path: "PairList.0.From_Account"},
	{Path: "Requester_Account"}, {Path: "Operator_Account"}, {Path: "CallInfo.CallId"},
	{Path: "MsgSeq", By: source.Count}, {Path: "MsgTime", By: source.ByEvent}, {Path: "EventTime", By: source.ByEvent},
	{Path: "MsgKey", Run: 0, By: source.Count}, {Path: "MsgKey", Run: 2, By: source.ByEvent},
	{Path: "Events.0.From_Account"}, {Path: "Events.0.To_Account"}, {Path: "Events.0.EventTime", By: source.ByEvent},
	{Path: "Events.1.From_Account"}, {Path: "Events.1.To_Account"}, {Path: "Events.1.EventTime", By: source.ByEvent},
}

// Simulator plays Tencent Cloud IM.
type Simulator struct {
	sdkAppID  string
	token     string // empty: Tencent's authentication is off
	samples   []source.Sample
	templates map[string]*source.Template
}

// NewSimulator returns a simulator that signs with the first token of cfg, or not at all if it has none.
func NewSimulator(cfg config.TencentIM, secrets config.Secrets) (*Simulator, error) {
	tokens, err := credentials(cfg, secrets)
	if err != nil {
		return nil, err
	}
	s := &Simulator{sdkAppID: strconv.FormatInt(cfg.SDKAppID, 10), templates: map[string]*source.Template{}}
	if len(tokens) > 0 {
		s.token = tokens[0]
	}
	files, err := samples.ReadDir("testdata")
	if err != nil {
		return nil, fmt.Errorf("list samples: %w", err)
	}
	for _, file := range files {
		if err := s.load(file.Name()); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// load reads one sample and puts the default one first.
func (s *Simulator) load(file string) error {
	body, err := samples.ReadFile("testdata/" + file)
	if err != nil {
		return fmt.Errorf("read sample %s: %w", file, err)
	}
	body = bytes.TrimSuffix(body, []byte("\n")) // an editor's, not the platform's
	name := strings.TrimSuffix(file, ".json")
	template, err := source.NewTemplate(body, variations...)
	if err != nil {
		return fmt.Errorf("sample %s: %w", name, err)
	}
	if !bytes.Equal(template.Fill(0, 0), template.Fill(0, 1)) { // else it has no account or group that could vary
		s.templates[name] = template
	}
	sample := source.Sample{Name: name, Body: body}
	if name == defaultSample {
		s.samples = append([]source.Sample{sample}, s.samples...)
	} else {
		s.samples = append(s.samples, sample)
	}
	return nil
}

// Samples are callbacks of every family of commands, "C2C.CallbackAfterSendMsg" first.
func (s *Simulator) Samples() []source.Sample { return s.samples }

// Vary counts a sample's accounts and groups by subject, its times and MsgSeq by n.
func (s *Simulator) Vary(sample source.Sample, n, subject int) []byte {
	if t := s.templates[sample.Name]; t != nil {
		return t.Fill(n, subject)
	}
	return sample.Body
}

// Sign makes the query that Tencent adds to the callback URL, with the body's own command.
func (s *Simulator) Sign(body []byte, now time.Time) (source.Signed, error) {
	query := "SdkAppid=" + s.sdkAppID
	root, _ := source.ParseJSON(body)
	m := read(root)
	command := m.fields[callbackCommand]
	batch := command == ""
	if batch {
		command = member(first(m.batch), "CallbackCommand")
	}
	if command != "" {
		query += "&CallbackCommand=" + url.QueryEscape(command)
	}
	query += "&contenttype=json"
	if !batch { // batches come from no one client
		query += "&ClientIP=203.0.113.7&OptPlatform=iOS"
	}
	if s.token != "" {
		requestTime := strconv.FormatInt(now.Unix(), 10)
		sum := sha256.Sum256([]byte(s.token + requestTime))
		query += "&Sign=" + hex.EncodeToString(sum[:]) + "&RequestTime=" + requestTime
	}
	return source.Signed{Query: query, Header: textproto.MIMEHeader{"Content-Type": {"application/json"}}}, nil
}

// Judge wants status 200 and JSON with all three fields that says OK.
func (s *Simulator) Judge(status int, body []byte) error {
	if status != 200 {
		return fmt.Errorf("tencent wants status 200, got %d: it would not call back again", status)
	}
	answer, ok := source.ParseJSON(body)
	if !ok || !answer.IsObject() {
		return errors.New("tencent wants a JSON object for an answer")
	}
	var action, code, info source.Value
	answer.Members(func(key string, value source.Value) bool {
		switch key {
		case "ActionStatus":
			action = value
		case "ErrorCode":
			code = value
		case "ErrorInfo":
			info = value
		}
		return true
	})
	switch {
	case !action.IsString(), !code.IsNumber(), !info.IsString():
		return errors.New("tencent wants ActionStatus (a string), ErrorCode (a number) and ErrorInfo (a string) in the answer")
	case action.Text() != "OK" || code.Scalar() != "0":
		return fmt.Errorf("the answer says ActionStatus %q, ErrorCode %s: %s", action.Text(), code.Scalar(), info.Text())
	}
	return nil
}

// AnswerWithin is 2 s.
func (s *Simulator) AnswerWithin() time.Duration { return answerWithin }

// Interface guard.
var _ source.Simulator = (*Simulator)(nil)
