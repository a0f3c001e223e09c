package lazada

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/source"
	"github.com/hookbay/hookbay/receiver/source/sourcetest"
)

// FuzzIdentify wants one well-formed event of whatever is signed right, the same each time.
func FuzzIdentify(f *testing.F) {
	for _, sample := range newSimulator(f, appSecret).Samples() {
		f.Add(sample.Body)
	}
	for _, body := range sourcetest.Malformed {
		if len(body) < 1<<12 {
			f.Add([]byte(body))
		}
	}
	for _, body := range []string{
		`{"message_type":19,"message_type":2,"data":{"session_id":"a"},"data":"{\"session_id\":\"b\"}"}`,
		`{"msg_type":"0","seller_id":"null","data":{"trade_order_id":1e400,"status_update_time":-0}}`,
		`{"message_type":-9223372036854775808,"site":"\ud800\u0000","timestamp":9223372036854775807}`,
		`{"sync_type":"","promotionId":0,"promotionType":"\u0085","notifyTime":"1751440210"}`,
		` { "data" : " {} " , "m\u0065ssage_type" : 21 } `,
	} {
		f.Add([]byte(body))
	}
	s := newSource(f, appKey, appSecret)
	f.Fuzz(func(t *testing.T, body []byte) {
		r := &source.Request{Body: body}
		events, refusal := s.Identify(nil, r)
		if refusal != nil || len(events) != 1 {
			t.Fatalf("%d events, %+v, want one event", len(events), refusal)
		}
		sourcetest.CheckEvents(t, body, events)
		if len(body) > 0 && &events[0].Body[0] != &body[0] {
			t.Error("the body was copied")
		}
		again, _ := s.Identify(nil, &source.Request{Body: bytes.Clone(body)})
		if diff := cmp.Diff(events, again); diff != "" {
			t.Errorf("the second time (-/+):\n%s", diff)
		}
	})
}
