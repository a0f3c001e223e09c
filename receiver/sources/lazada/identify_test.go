package lazada

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

// identified returns the one event of a body.
func identified(t *testing.T, body string) event.Event {
	t.Helper()
	events, refusal := newSource(t, appKey, appSecret).Identify(nil, &source.Request{Body: []byte(body)})
	if refusal != nil || len(events) != 1 {
		t.Fatalf("%.200s: %d events, %+v", body, len(events), refusal)
	}
	return events[0]
}

// samples of every documented type, and what is made of them.
var documented = map[string]struct {
	wantType, wantSubject string
	wantTime              int64 // ms
	wantKey               []string
	wantExtensions        []event.Extension
}{
	"message-0": {"0", "3701554009", 1751440210000,
		[]string{"200168", "3701554010", "", "unpaid", "1751440210"}, attributes("200168", "lazada_vn")},
	"message-1": {"1", "2570131122", 1751440210000,
		[]string{"200168", "2570131122", "REJECTED", "1751440210000"}, attributes("200168", "lazada_sg")},
	"message-2": {"2", "200168_2_10118227_1_103", 1751440210123,
		[]string{"200168", "SG", "7kQd41", "0"}, attributes("200168", "lazada_sg")},
	"message-3": {"3", "2570131122", 1751440210000,
		[]string{"200168", "2570131122", "PUBLISHED", "1751440210000"}, attributes("200168", "lazada_sg")},
	"message-4": {"4", "2570131122", 1751440310000,
		[]string{"200168", "2570131122", "EDITED_UPDATED", "1751440310000"}, attributes("200168", "lazada_sg")},
	"message-5": {"5", "2570131122", 1751440410000,
		[]string{"200168", "2570131122", "DELETED", "1751440410000"}, attributes("200168", "lazada_sg")},
	"message-6": {"6", "8114401", 1751440211000,
		[]string{"200168", "8114401", "dropshipping", "1751440211"}, attributes("200168", "lazada_my")},
	"message-7": {"7", "60012031", 1751440210000,
		[]string{"200168", "60012031", "AUDIT_SUCCESS"}, attributes("200168", "lazada_th")},
	"message-8": {"8", "200168", 1751440211000,
		[]string{"", "200168", "1751613010"}, attributes("", "lazada_ph")},
	"message-10": {"10", "370155400902006", 1751440210000,
		[]string{"200168", "663790000102006", "RTM_INIT", "1751440210"}, attributes("200168", "lazada_sg")},
	"message-11": {"11", "91471120", 1751440210000,
		[]string{"", "91471120", "1751440210000"}, attributes("200168", "")},
	"message-12": {"12", appKey, 1751440210000,
		[]string{"", "1751440210000"}, attributes("", "lazada_sg")},
	"message-13": {"13", "200168", 1751440211000,
		[]string{"200168", "200168", "normal", "1751440211"}, attributes("200168", "lazada_id")},
	"message-14": {"14", "3701554009", 1751440210000,
		[]string{"200168", "FP03100211", "ready_to_ship", "1751440210"}, attributes("200168", "lazada_sg")},
	"message-19": {"19", "200168_2_10118227_1_103", 1751440210123,
		[]string{"200168", "200168_2_10118227_1_103", "1", "1751440210123", "1751440200000"}, attributes("200168", "lazada_sg")},
	"message-21": {"21", "2570131122", 1751440211000,
		[]string{"200168", "4400170001"}, attributes("200168", "lazada_vn")},
	"message-35": {"35", "PO25070200017", 1751440210000,
		[]string{"200168", "PO25070200017", "created", "1751440210000"}, attributes("200168", "lazada_id")},
	"message-46": {"46", "PU25070200003", 1751440211000,
		[]string{"200168", "PU25070200003", "PICKED_UP"}, attributes("200168", "lazada_id")},
}

func attributes(seller, site string) []event.Extension {
	list := []event.Extension{}
	if seller != "" {
		list = append(list, event.Extension{Name: "sellerid", Value: seller})
	}
	if site != "" {
		list = append(list, event.Extension{Name: "site", Value: site})
	}
	return list
}

func TestIdentify_documentedTypes(t *testing.T) {
	samples := newSimulator(t, appSecret).Samples()
	if len(samples) != len(documented) || len(samples) != len(kinds) || samples[0].Name != "message-19" {
		t.Errorf("%d samples, %d documented types, %d kinds", len(samples), len(documented), len(kinds))
	}
	for _, sample := range samples {
		t.Run(sample.Name, func(t *testing.T) {
			want := documented[sample.Name]
			got := identified(t, string(sample.Body))
			wantTenant := "200168"
			if sample.Name == "message-12" {
				wantTenant = "" // a broadcast
			}
			diff := cmp.Diff(event.Event{
				ID:          event.NewID(append([]string{appKey, want.wantType}, want.wantKey...)...),
				Type:        "com.lazada.push." + want.wantType,
				Source:      "//open.lazada.com/apps/" + appKey,
				Subject:     want.wantSubject,
				ContentType: "application/json",
				Time:        time.UnixMilli(want.wantTime).UTC(),
				Extensions:  want.wantExtensions,
				Tenant:      wantTenant,
				Body:        sample.Body,
			}, got)
			if diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIdentify_sharesTheBody(t *testing.T) {
	body := []byte(`{"message_type":99}`)
	events, _ := newSource(t, appKey, appSecret).Identify(nil, &source.Request{Body: body})
	if &events[0].Body[0] != &body[0] {
		t.Error("the body was copied")
	}
}

func TestIdentify_identity(t *testing.T) {
	order := `{"seller_id":"1","message_type":0,"data":{"order_status":"paid","trade_order_id":"7","trade_order_line_id":"8","status_update_time":1751440210},"timestamp":1751440211,"site":"lazada_sg"}`
	recall := `{"data":{"session_id":"s","message_id":"m","content":"{}","send_time":1751440210123,"site_id":"SG","status":0},"seller_id":1,"message_type":2}`
	replace := func(body, old, new string) string {
		t.Helper()
		if !strings.Contains(body, old) {
			t.Fatalf("%s is not in %s", old, body)
		}
		return strings.Replace(body, old, new, 1)
	}
	tests := map[string]struct {
		a, b     string
		wantSame bool
	}{
		"a repeat with a later timestamp":       {order, replace(order, "1751440211", "1751442011"), true},
		"a repeat with a new field":             {order, replace(order, `"data":{`, `"data":{"new":[1.5,{}],`), true},
		"a repeat in another order of keys":     {order, `{"site":"lazada_sg","timestamp":1,"data":{"status_update_time":1751440210,"trade_order_line_id":"8","trade_order_id":"7","order_status":"paid"},"message_type":0,"seller_id":"1"}`, true},
		"numbers and strings of the same":       {order, replace(replace(order, `"8"`, `8`), `"seller_id":"1"`, `"seller_id":1`), true},
		"message_type as a string":              {order, replace(order, `"message_type":0`, `"message_type":"0"`), true},
		"msg_type for message_type":             {order, replace(order, `message_type`, `msg_type`), true},
		"data as a JSON string":                 {`{"message_type":21,"data":{"id":5}}`, `{"message_type":21,"data":"{\"id\":5}"}`, true},
		"escapes for characters":                {`{"message_type":46,"data":{"pickUpOrderNo":"AB","orderStatus":"X"}}`, `{"message_type":46,"data":{"pickUpOrderNo":"\u0041B","orderStatus":"X"}}`, true},
		"an envelope and none (type 19)":        {`{"message_type":19,"data":{"sync_type":"SESSION_UPDATE","session_id":"s","unread_count":0,"to_position":1,"self_position":2}}`, `{"sync_type":"SESSION_UPDATE","session_id":"s","unread_count":0,"to_position":1,"self_position":2}`, true},
		"an envelope and none (type 11)":        {`{"message_type":11,"data":{"promotionId":1,"notifyTime":2,"promotionType":"FLEXI_COMBO"}}`, `{"promotionId":1,"notifyTime":2,"promotionType":"FLEXI_COMBO"}`, true},
		"the last of two equal keys counts":     {`{"message_type":21,"data":{"id":5}}`, `{"message_type":21,"data":{"id":4,"id":5}}`, true},
		"the last of two data counts":           {`{"message_type":21,"data":{"id":5}}`, `{"message_type":0,"message_type":21,"data":{"id":4},"data":{"id":5}}`, true},
		"another status":                        {order, replace(order, "paid", "shipped"), false},
		"another line":                          {order, replace(order, `"8"`, `"9"`), false},
		"another time of the status":            {order, replace(order, "1751440210", "1751440212"), false},
		"another seller":                        {order, replace(order, `"seller_id":"1"`, `"seller_id":"2"`), false},
		"a return of the line":                  {order, replace(order, `"data":{`, `"data":{"reverse_order_line_id":"3",`), false},
		"another type":                          {`{"message_type":4,"data":{"item_id":1,"action":"A","status_update_time":2}}`, `{"message_type":5,"data":{"item_id":1,"action":"A","status_update_time":2}}`, false},
		"a recall":                              {recall, replace(recall, `"status":0`, `"status":1`), false},
		"a part that is missing":                {replace(order, `"trade_order_line_id":"8",`, ``), replace(replace(order, `"trade_order_line_id":"8",`, ``), `"7"`, `"6"`), false},
		"a part that is null":                   {replace(order, `"8"`, `null`), replace(replace(order, `"8"`, `null`), `"7"`, `"6"`), false},
		"a part that is the string null":        {replace(order, `"8"`, `"null"`), replace(replace(order, `"8"`, `"null"`), `"7"`, `"6"`), false},
		"a part that is an object":              {replace(order, `"8"`, `{"a":1}`), replace(order, `"8"`, `{"a":2}`), false},
		"an optional part with a zero byte":     {replace(order, `"data":{`, `"data":{"reverse_order_line_id":"a\u0000b",`), replace(order, `"data":{`, `"data":{"reverse_order_line_id":"a\u0000b","x":1,`), false},
		"parts that join to the same":           {`{"message_type":46,"data":{"pickUpOrderNo":"a\u0000b","orderStatus":"c"}}`, `{"message_type":46,"data":{"pickUpOrderNo":"a","orderStatus":"b\u0000c"}}`, false},
		"broken escapes that read alike":        {`{"message_type":21,"data":{"id":"\ud800"}}`, `{"message_type":21,"data":{"id":"\udfff"}}`, false},
		"integers that are one float":           {`{"message_type":21,"data":{"id":9007199254740993}}`, `{"message_type":21,"data":{"id":9007199254740992}}`, false},
		"an unknown type with other data":       {`{"message_type":99,"data":{"k":1}}`, `{"message_type":99,"data":{"k":2}}`, false},
		"an unknown type with other space":      {`{"message_type":99}`, ` {"message_type":99}`, false},
		"no type and other data":                {`{"a":1}`, `{"a":2}`, false},
		"not JSON, and other text":              {`{"a":1`, `{"a":2`, false},
		"seller and type that join to the same": {`{"message_type":1,"seller_id":"11"}`, `{"message_type":11,"seller_id":"1"}`, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a, b := identified(t, test.a), identified(t, test.b)
			if same := a.ID == b.ID; same != test.wantSame {
				t.Errorf("same id: %t, want %t, for\n%s\n%s", same, test.wantSame, test.a, test.b)
			}
		})
	}
	if identified(t, order).ID == mustIdentify(t, newSource(t, "2", appSecret), order).ID {
		t.Error("two apps' events have one id")
	}
}

func mustIdentify(t *testing.T, s *Source, body string) event.Event {
	t.Helper()
	events, refusal := s.Identify(nil, &source.Request{Body: []byte(body)})
	if refusal != nil || len(events) != 1 {
		t.Fatalf("%d events, %+v", len(events), refusal)
	}
	return events[0]
}

func TestIdentify_typeAndSubject(t *testing.T) {
	long := strings.Repeat("9", 600)
	tests := map[string]struct {
		body, wantType, wantSubject string
	}{
		"an unknown type":                {`{"message_type":45,"seller_id":7}`, "45", "7"},
		"a negative type":                {`{"message_type":-3}`, "-3", appKey},
		"a type with leading zeros":      {`{"message_type":"019","data":{"session_id":"s"}}`, "19", "s"},
		"message_type before msg_type":   {`{"msg_type":1,"message_type":2,"data":{"session_id":"s"}}`, "2", "s"},
		"msg_type where it is null":      {`{"msg_type":2,"message_type":null,"data":{"session_id":"s"}}`, "2", "s"},
		"a fraction":                     {`{"message_type":19.5}`, "unparsed", appKey},
		"an exponent":                    {`{"message_type":1e999999999}`, "unparsed", appKey},
		"more digits than a type has":    {`{"message_type":` + long + `}`, "unparsed", appKey},
		"words":                          {`{"message_type":"a b\r\nc"}`, "unparsed", appKey},
		"no type":                        {`{}`, "unparsed", appKey},
		"an array":                       {`[{"message_type":19}]`, "unparsed", appKey},
		"a number":                       {`19`, "unparsed", appKey},
		"data that is an array":          {`{"message_type":19,"seller_id":7,"data":[{"session_id":"s"}]}`, "19", "7"},
		"data that is plain text":        {`{"message_type":19,"seller_id":7,"data":"session_id"}`, "19", "7"},
		"data that is null":              {`{"message_type":19,"seller_id":7,"data":null}`, "19", "7"},
		"fields beside data":             {`{"message_type":19,"session_id":"s"}`, "19", "s"},
		"an id beyond 2^64":              {`{"message_type":10,"data":{"trade_order_id":184467440737095516150}}`, "10", "184467440737095516150"},
		"an order without its id":        {`{"message_type":0,"data":{"trade_order_line_id":8}}`, "0", "8"},
		"a parcel without its order":     {`{"message_type":14,"data":{"fulfillment_package_id":"FP1"}}`, "14", "FP1"},
		"only the seller in data":        {`{"message_type":8,"seller_id":"null","data":{"seller_id":7}}`, "8", "7"},
		"only the seller in camel case":  {`{"message_type":35,"data":{"sellerId":"7"}}`, "35", "7"},
		"nobody":                         {`{"message_type":19,"seller_id":"null"}`, "19", appKey},
		"a subject with control bytes":   {`{"message_type":19,"data":{"session_id":"a\nb"}}`, "19", hashed("a\nb")},
		"a subject that is far too long": {`{"message_type":19,"data":{"session_id":"` + long + `"}}`, "19", hashed(long)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := identified(t, test.body)
			if got.Type != "com.lazada.push."+test.wantType || got.ContentType != event.ContentTypeJSON {
				t.Errorf("type %s %s, want %s", got.Type, got.ContentType, test.wantType)
			}
			if got.Subject != test.wantSubject {
				t.Errorf("subject %q, want %q", got.Subject, test.wantSubject)
			}
			if !bytes.Equal(got.Body, []byte(test.body)) {
				t.Error("the body is not as it was")
			}
		})
	}
}

// hashed is what stands for an attribute that cannot be one.
func hashed(s string) string { return fmt.Sprintf("sha256-%x", sha256.Sum256([]byte(s))) }

func TestIdentify_time(t *testing.T) {
	tests := map[string]struct {
		body string
		want string
	}{
		"seconds":                       {`{"message_type":0,"data":{"status_update_time":1656915866},"timestamp":1}`, "2022-07-04T06:24:26Z"},
		"milliseconds":                  {`{"message_type":0,"data":{"status_update_time":1656915866123}}`, "2022-07-04T06:24:26.123Z"},
		"a string":                      {`{"message_type":0,"data":{"status_update_time":"1656915866"}}`, "2022-07-04T06:24:26Z"},
		"the envelope where data lacks": {`{"message_type":0,"data":{},"timestamp":1656915866}`, "2022-07-04T06:24:26Z"},
		"the envelope of unknown types": {`{"message_type":99,"timestamp":1656915866123}`, "2022-07-04T06:24:26.123Z"},
		"the later of two positions":    {`{"message_type":19,"data":{"to_position":1656915866000,"self_position":1656915867000}}`, "2022-07-04T06:24:27Z"},
		"one position of two":           {`{"message_type":19,"data":{"to_position":1656915866000,"self_position":0}}`, "2022-07-04T06:24:26Z"},
		"a placeholder":                 {`{"message_type":99,"timestamp":1}`, ""},
		"zero":                          {`{"message_type":99,"timestamp":0}`, ""},
		"a time to come":                {`{"message_type":99,"timestamp":99999999999}`, ""},
		"microseconds":                  {`{"message_type":99,"timestamp":1656915866123456}`, ""},
		"a fraction":                    {`{"message_type":99,"timestamp":1656915866.5}`, ""},
		"an exponent":                   {`{"message_type":99,"timestamp":1656915866e0}`, ""},
		"a negative":                    {`{"message_type":99,"timestamp":-1656915866}`, ""},
		"a date":                        {`{"message_type":99,"timestamp":"2022-07-04 06:24:26"}`, ""},
		"no time":                       {`{"message_type":99}`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := ""
			if e := identified(t, test.body); !e.Time.IsZero() {
				got = e.Time.Format(time.RFC3339Nano)
			}
			if got != test.want {
				t.Errorf("time %q, want %q", got, test.want)
			}
		})
	}
}

func TestIdentify_site(t *testing.T) {
	tests := map[string]string{
		`"site":"lazada_vn"`:                      "lazada_vn",
		`"site":"LAZADA_SG"`:                      "lazada_sg",
		`"site":"lazada-sg"`:                      "lazada_sg",
		`"site":"lazada_xx"`:                      "lazada_xx",
		`"data":{"site_id":"MY"}`:                 "lazada_my",
		`"data":{"site_id":"1!"}`:                 "",
		`"site":"lazada_th","data":{"site_id":0}`: "lazada_th",
		`"site":null`:                             "",
		`"site":["lazada_sg"]`:                    "",
	}
	for fields, want := range tests {
		e := identified(t, `{"message_type":19,`+fields+`}`)
		if got := fmt.Sprint(e.Extensions); got != fmt.Sprint(attributes("", want)) {
			t.Errorf("%s: extensions %s, want site %q", fields, got, want)
		}
	}
}

func TestIdentify_filter(t *testing.T) {
	cfg, secrets := endpoint(appKey, appSecret)
	cfg.MessageTypes = []int64{2, 19}
	s, err := New(cfg, secrets)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]int{
		`{"message_type":19}`:              1,
		`{"message_type":"2"}`:             1,
		`{"sync_type":"SESSION_UPDATE"}`:   1,
		`{"message_type":0}`:               0,
		`{"message_type":99}`:              0,
		`{"data":{{"message_type":19}}}`:   1, // nobody knows what it is
		`{"message_type":"something new"}`: 1,
	}
	for body, want := range tests {
		events, refusal := s.Identify(nil, &source.Request{Body: []byte(body)})
		if len(events) != want || refusal != nil {
			t.Errorf("%s: %d events, refusal %v, want %d events", body, len(events), refusal, want)
		}
	}
}
