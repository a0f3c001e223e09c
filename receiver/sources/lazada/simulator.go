package lazada

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/textproto"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/source"
)

// samples holds a push of every documented message type.
//
//go:embed testdata/message-*.json
var samples embed.FS

// variations are the samples, in the order of Samples, with what varies in each. Types 7 and 46 tell their events apart by a state out of
// a few, and type 12 has no subject of its own: their samples are sent as they are.
var variations = []struct {
	name    string
	numbers []source.Variation
}{
	{"message-19", []source.Variation{
		{Path: "data.session_id", Run: 2}, // the buyer's account
		{Path: "data.to_position", By: source.ByEvent},
		{Path: "data.self_position", By: source.ByEvent},
	}},
	{"message-0", []source.Variation{
		{Path: "data.trade_order_id"}, {Path: "data.trade_order_line_id"},
		{Path: "data.status_update_time", By: source.ByEvent}, {Path: "timestamp", By: source.ByEvent},
	}},
	{"message-1", []source.Variation{
		{Path: "data.itemId"}, {Path: "data.date", By: source.ByEvent}, {Path: "timestamp", By: source.ByEvent},
	}},
	{"message-2", []source.Variation{
		{Path: "data.session_id", Run: 2}, {Path: "data.from_account_id"},
		{Path: "data.message_id", Run: 1, By: source.ByBoth}, {Path: "data.send_time", By: source.ByEvent},
	}},
	{"message-3", product()},
	{"message-4", product()},
	{"message-5", product()},
	{"message-6", []source.Variation{{Path: "data.sku_id"}, {Path: "timestamp", By: source.ByEvent}}},
	{"message-7", nil},
	{"message-8", []source.Variation{
		{Path: "data.seller_id"}, {Path: "data.auth_expiry_time", By: source.ByEvent}, {Path: "timestamp", By: source.ByEvent},
	}},
	{"message-10", []source.Variation{
		{Path: "data.trade_order_id"}, {Path: "data.trade_order_line_id"},
		{Path: "data.reverse_order_id"}, {Path: "data.reverse_order_line_id"},
		{Path: "data.status_update_time", By: source.ByEvent}, {Path: "timestamp", By: source.ByEvent},
	}},
	{"message-11", []source.Variation{{Path: "promotionId"}, {Path: "notifyTime", By: source.ByEvent}}},
	{"message-12", nil},
	{"message-13", []source.Variation{{Path: "seller_id"}, {Path: "timestamp", By: source.ByEvent}}},
	{"message-14", []source.Variation{
		{Path: "data.trade_order_id"}, {Path: "data.fulfillment_package_id"},
		{Path: "data.status_update_time", By: source.ByEvent}, {Path: "timestamp", By: source.ByEvent},
	}},
	{"message-21", []source.Variation{
		{Path: "data.item_id"}, {Path: "data.id", By: source.ByBoth}, {Path: "timestamp", By: source.ByEvent},
	}},
	{"message-35", []source.Variation{{Path: "data.purchaseOrderNo"}, {Path: "data.statusUpdateTime", By: source.ByEvent}}},
	{"message-46", nil},
}

// product is what varies in the samples of types 3, 4 and 5.
func product() []source.Variation {
	return []source.Variation{
		{Path: "data.item_id"}, {Path: "data.status_update_time", By: source.ByEvent}, {Path: "timestamp", By: source.ByEvent},
	}
}

// Simulator plays Lazada's pusher.
type Simulator struct {
	appKey    string
	appSecret string
	samples   []source.Sample
	templates map[string]*source.Template
}

// NewSimulator returns a simulator that signs with the first app secret of cfg.
func NewSimulator(cfg config.Lazada, secrets config.Secrets) (*Simulator, error) {
	appSecrets, err := credentials(cfg, secrets)
	if err != nil {
		return nil, err
	}
	s := &Simulator{appKey: cfg.AppKey, appSecret: appSecrets[0], templates: map[string]*source.Template{}}
	for _, v := range variations {
		body, err := samples.ReadFile("testdata/" + v.name + ".json")
		if err != nil {
			return nil, fmt.Errorf("read sample %s: %w", v.name, err)
		}
		body = bytes.TrimSuffix(body, []byte("\n")) // an editor's, not the platform's
		s.samples = append(s.samples, source.Sample{Name: v.name, Body: body})
		if v.numbers == nil {
			continue
		}
		if s.templates[v.name], err = source.NewTemplate(body, v.numbers...); err != nil {
			return nil, fmt.Errorf("sample %s: %w", v.name, err)
		}
	}
	return s, nil
}

// Samples are one push of every documented message type, "message-19" first.
func (s *Simulator) Samples() []source.Sample { return s.samples }

// Vary counts a sample's ids by subject and its times by n.
func (s *Simulator) Vary(sample source.Sample, n, subject int) []byte {
	if t := s.templates[sample.Name]; t != nil {
		return t.Fill(n, subject)
	}
	return sample.Body
}

// Sign makes the Authorization header. Lazada signs no time.
func (s *Simulator) Sign(body []byte, _ time.Time) (source.Signed, error) {
	mac := hmac.New(sha256.New, []byte(s.appSecret))
	mac.Write([]byte(s.appKey))
	mac.Write(body)
	return source.Signed{Header: textproto.MIMEHeader{
		authorization:  {hex.EncodeToString(mac.Sum(nil))},
		"Content-Type": {"application/json"},
	}}, nil
}

// Judge wants status 200, exactly. Lazada does not read the body.
func (s *Simulator) Judge(status int, _ []byte) error {
	if status != 200 {
		return fmt.Errorf("lazada wants status 200, got %d: it would push again after 30 minutes", status)
	}
	return nil
}

// AnswerWithin is 500 ms.
func (s *Simulator) AnswerWithin() time.Duration { return answerWithin }

// Interface guard.
var _ source.Simulator = (*Simulator)(nil)
