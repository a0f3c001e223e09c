package tencentim

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

// open is a source that keeps everything.
func open(tb testing.TB, commands ...string) *Source {
	tb.Helper()
	cfg, secrets := endpoint(sdkAppID, token)
	cfg.Commands = commands
	return newSource(tb, cfg, secrets)
}

// called is a callback whose query has the body's command.
func called(body string) *source.Request {
	command := gjson.Get(body, "CallbackCommand").String()
	return &source.Request{Query: "CallbackCommand=" + url.QueryEscape(command), Body: []byte(body)}
}

// identified returns the one event of a body.
func identified(t *testing.T, body string) event.Event {
	t.Helper()
	events, refusal := open(t).Identify(nil, called(body))
	if refusal != nil || len(events) != 1 {
		t.Fatalf("%.200s: %d events, %+v", body, len(events), refusal)
	}
	return events[0]
}

// TestIdentify_samples covers every family of commands. A sample without wantKey is told apart by its whole body.
func TestIdentify_samples(t *testing.T) {
	const group = "@TGS#2MARKET8"
	const chat = "buyer_1001:shop_2001"
	const sent, happened = 1751440210000, 1751440210456
	conversation := []string{"buyer_1001", "shop_2001", "48374_2837546_1751440210"}
	tests := map[string]struct {
		wantSubject string
		wantTime    int64
		wantKey     []string
		wantTenant  string
	}{
		"Alert.RequestOverLimit":               {"1400000001", happened, nil, ""},
		"Bot.OnC2CMessage":                     {chat, sent, nil, "buyer_1001"},
		"Bot.OnGroupMessage":                   {group, sent, nil, "buyer_1001"},
		"C2C.CallbackAfterC2CMsgExtension":     {chat, happened, nil, "buyer_1001"},
		"C2C.CallbackAfterModifyMsg":           {chat, happened, nil, "buyer_1001"},
		"C2C.CallbackAfterMsgReadReceipt":      {chat, happened, nil, "buyer_1001"},
		"C2C.CallbackAfterMsgReport":           {chat, happened, nil, "shop_2001"},
		"C2C.CallbackAfterMsgWithDraw":         {chat, happened, conversation, "buyer_1001"},
		"C2C.CallbackAfterSendMsg":             {chat, sent, conversation, "buyer_1001"},
		"C2C.CallbackBeforeSendMsg":            {chat, sent, conversation, "buyer_1001"},
		"Call.CallbackAfterStartCall":          {"5f0e7c1a-6b9d-4f57-9c33-71d2a0b4e801", happened, nil, ""},
		"ContentCallback.ResultNotify":         {chat, happened, nil, "buyer_1001"},
		"Follow.CallbackAfterFollowAdd":        {"buyer_1001", happened, nil, "buyer_1001"},
		"Group.CallbackAfterCreateGroup":       {group, happened, nil, "shop_2001"},
		"Group.CallbackAfterCreateTopic":       {"@TGS#_2MARKET8", happened, nil, "shop_2001"},
		"Group.CallbackAfterGroupInfoChanged":  {group, happened, nil, "shop_2001"},
		"Group.CallbackAfterMemberExit":        {group, happened, nil, "buyer_1002"},
		"Group.CallbackAfterModifyMsg":         {group, happened, nil, "buyer_1001"},
		"Group.CallbackAfterNewMemberJoin":     {group, happened, nil, "shop_2001"},
		"Group.CallbackAfterReadReceipt":       {group, happened, nil, ""},
		"Group.CallbackAfterRecallMsg":         {group, happened, nil, "buyer_1001"},
		"Group.CallbackAfterSendMsg":           {group, happened, []string{group, "123"}, "buyer_1001"},
		"Group.CallbackBeforeCreateGroup":      {"shop_2001", happened, nil, "shop_2001"},
		"Group.CallbackBeforeSendMsg":          {group, happened, nil, "buyer_1001"},
		"OfficialAccount.CallbackAfterSendMsg": {"#TOA#_2001", happened, nil, "#TOA#_2001"},
		"Profile.CallbackPortraitSet":          {"buyer_1001", happened, nil, "buyer_1001"},
		"Sns.CallbackBlackListAdd":             {"buyer_1001", happened, nil, "buyer_1001"},
		"Sns.CallbackFriendAdd":                {"buyer_1001", happened, nil, "buyer_1001"},
		"Sns.CallbackPrevFriendAdd":            {"buyer_1001", happened, nil, "buyer_1001"},
		"State.StateChange":                    {"buyer_1001", happened, nil, "buyer_1001"},
	}
	cfg, secrets := endpoint(sdkAppID, token)
	sim := newSimulator(t, cfg, secrets)
	if first := sim.Samples()[0].Name; first != "C2C.CallbackAfterSendMsg" {
		t.Errorf("the first sample is %s", first)
	}
	if len(sim.Samples()) != len(tests)+2 {
		t.Errorf("%d samples, want %d and two batches", len(sim.Samples()), len(tests))
	}
	for _, sample := range sim.Samples() {
		if strings.HasPrefix(sample.Name, batchPrefix) {
			continue
		}
		t.Run(sample.Name, func(t *testing.T) {
			want := tests[sample.Name]
			key := want.wantKey
			if key == nil {
				key = []string{string(sample.Body)}
			}
			made, err := sim.Sign(sample.Body, now)
			if err != nil {
				t.Fatal(err)
			}
			events, refusal := open(t).Identify(nil, &source.Request{Query: made.Query, Body: sample.Body})
			if refusal != nil {
				t.Fatalf("refused as %s", refusal.Reason)
			}
			diff := cmp.Diff([]event.Event{{
				ID:          event.NewID(append([]string{"1400000001", sample.Name}, key...)...),
				Type:        "com.tencent.im." + sample.Name,
				Source:      "//im.tencentcloud.com/apps/1400000001",
				Subject:     want.wantSubject,
				ContentType: "application/json",
				Time:        time.UnixMilli(want.wantTime).UTC(),
				Extensions: []event.Extension{
					{Name: "sdkappid", Value: "1400000001"}, {Name: "clientip", Value: "203.0.113.7"}, {Name: "optplatform", Value: "iOS"},
				},
				Tenant: want.wantTenant,
				Body:   sample.Body,
			}}, events)
			if diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIdentify_refusals(t *testing.T) {
	tests := map[string]struct {
		query, body string
		want        *source.Refusal
	}{
		"no command in the query":       {"", `{"CallbackCommand":"State.StateChange"}`, commandMissing},
		"no command in the body":        {"CallbackCommand=State.StateChange", `{}`, commandMissing},
		"no command at all":             {"", `{}`, commandMissing},
		"a command that is null":        {"CallbackCommand=State.StateChange", `{"CallbackCommand":null}`, commandMissing},
		"a command that is an object":   {"CallbackCommand=State.StateChange", `{"CallbackCommand":{}}`, commandMissing},
		"two commands":                  {"CallbackCommand=State.StateChange", `{"CallbackCommand":"C2C.CallbackAfterSendMsg"}`, commandsDiffer},
		"another case":                  {"CallbackCommand=state.statechange", `{"CallbackCommand":"State.StateChange"}`, commandsDiffer},
		"the last of two in the body":   {"CallbackCommand=A.B", `{"CallbackCommand":"A.B","CallbackCommand":"C.D"}`, commandsDiffer},
		"the first of two in the query": {"CallbackCommand=C.D&CallbackCommand=A.B", `{"CallbackCommand":"A.B"}`, commandsDiffer},
		"an array":                      {"CallbackCommand=A.B", `[{"CallbackCommand":"A.B"}]`, commandMissing},
		"a batch of another family":     {"CallbackCommand=A.B", `{"Events":[{"CallbackCommand":"A.B"}]}`, commandMissing},
		"a batch without a command":     {"", `{"Events":[{"CallbackCommand":"Push.OfflinePush"}]}`, commandMissing},
		"a batch that contradicts":      {"CallbackCommand=Push.A", `{"CallbackCommand":"Push.B","Events":[{}]}`, commandsDiffer},
		"a batch that is no array":      {"CallbackCommand=Push.A", `{"Events":{}}`, commandMissing},
		"not JSON before the command":   {"", `CallbackCommand`, notJSON},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			events, refusal := open(t).Identify(nil, &source.Request{Query: test.query, Body: []byte(test.body)})
			if refusal != test.want || len(events) != 0 {
				t.Errorf("got %d events, %+v, want %+v", len(events), refusal, test.want)
			}
		})
	}
}

func TestIdentify_identity(t *testing.T) {
	const key = `"MsgKey":"1_2_1751440210"`
	const message = `{"CallbackCommand":"C2C.CallbackAfterSendMsg","From_Account":"a","To_Account":"b",` + key + `,"UnreadMsgNum":1}`
	const group = `{"CallbackCommand":"Group.CallbackAfterSendMsg","GroupId":"g","MsgSeq":7,"EventTime":1}`
	replace := func(body, old, new string) string {
		t.Helper()
		if !strings.Contains(body, old) {
			t.Fatalf("%s is not in %s", old, body)
		}
		return strings.Replace(body, old, new, 1)
	}
	modified := replace(message, "AfterSendMsg", "AfterModifyMsg")
	tests := map[string]struct {
		a, b     string
		wantSame bool
	}{
		"a message with another count":   {message, replace(message, `Num":1`, `Num":2`), true},
		"accounts as numbers":            {replace(message, `"a"`, `"144115212830834855"`), replace(message, `"a"`, `144115212830834855`), true},
		"a message the other way":        {message, replace(replace(replace(message, `"a"`, `"x"`), `"b"`, `"a"`), `"x"`, `"b"`), false},
		"another message":                {message, replace(message, `1_2_`, `1_3_`), false},
		"another recipient":              {message, replace(message, `"b"`, `"c"`), false},
		"before and after":               {message, replace(message, "AfterSendMsg", "BeforeSendMsg"), false},
		"a recall":                       {message, replace(message, "AfterSendMsg", "AfterMsgWithDraw"), false},
		"no key, other text":             {replace(message, key, `"x":1`), replace(message, key, `"x":2`), false},
		"a null key, other text":         {replace(message, key, `"MsgKey":null,"x":1`), replace(message, key, `"MsgKey":null,"x":2`), false},
		"no recipient, other text":       {replace(message, `"To_Account"`, `"x"`), replace(replace(message, `"To_Account"`, `"x"`), `"b"`, `"c"`), false},
		"one message modified twice":     {modified, replace(modified, `Num":1`, `Num":2`), false},
		"a group message, sent again":    {group, replace(group, `Time":1`, `Time":2`), true},
		"MsgSeq as a string":             {group, replace(group, `7`, `"7"`), true},
		"the next group message":         {group, replace(group, `7`, `8`), false},
		"another group":                  {group, replace(group, `"g"`, `"h"`), false},
		"another topic of the group":     {replace(group, `{`, `{"TopicId":"g@1",`), replace(group, `{`, `{"TopicId":"g@2",`), false},
		"a topic and the group":          {group, replace(group, `{`, `{"TopicId":"g@1",`), false},
		"no MsgSeq, other text":          {replace(group, `7`, `null`), replace(replace(group, `7`, `null`), `Time":1`, `Time":2`), false},
		"a MsgSeq of zero, other text":   {replace(group, `7`, `0`), replace(replace(group, `7`, `0`), `Time":1`, `Time":2`), false},
		"an unknown command, other text": {`{"CallbackCommand":"A.B","x":1}`, `{"CallbackCommand":"A.B","x":2}`, false},
		"accounts that join to the same": {replace(message, `"a"`, `"a\u0000b"`), replace(replace(message, `"b"`, `"b\u0000b"`), `"a"`, `"a"`), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a, b := identified(t, test.a), identified(t, test.b)
			if same := a.ID == b.ID; same != test.wantSame {
				t.Errorf("same id: %t, want %t, for\n%s\n%s", same, test.wantSame, test.a, test.b)
			}
		})
	}
	cfg, secrets := endpoint(sdkAppID+1, token)
	other, _ := newSource(t, cfg, secrets).Identify(nil, called(message))
	if identified(t, message).ID == other[0].ID {
		t.Error("two apps' events have one id")
	}
}

func TestIdentify_typeAndSubject(t *testing.T) {
	long := strings.Repeat("x", 600)
	edge := strings.Repeat("x", source.MaxAttribute-len(typePrefix))
	tests := map[string]struct {
		body, wantType, wantSubject string
	}{
		"unknown":           {`{"CallbackCommand":"New.Thing"}`, "New.Thing", "1400000001"},
		"not ASCII":         {`{"CallbackCommand":"群.消息"}`, "群.消息", "1400000001"},
		"a number":          {`{"CallbackCommand":7}`, "7", "1400000001"},
		"as long as can be": {`{"CallbackCommand":"` + edge + `"}`, edge, "1400000001"},
		"one too long":      {`{"CallbackCommand":"` + edge + `x"}`, hashed(typePrefix + edge + "x"), "1400000001"},
		"far too long":      {`{"CallbackCommand":"` + long + `"}`, hashed(typePrefix + long), "1400000001"},
		"a line break":      {`{"CallbackCommand":"a\r\nb"}`, hashed(typePrefix + "a\r\nb"), "1400000001"},
		"speaking the other way": {`{"CallbackCommand":"C2C.CallbackAfterSendMsg","From_Account":"z","To_Account":"a"}`,
			"C2C.CallbackAfterSendMsg", "a:z"},
		"to oneself":            {`{"CallbackCommand":"A.B","From_Account":"a","To_Account":"a"}`, "A.B", "a:a"},
		"only a sender":         {`{"CallbackCommand":"A.B","From_Account":"a"}`, "A.B", "a"},
		"only a recipient":      {`{"CallbackCommand":"A.B","To_Account":"b"}`, "A.B", "b"},
		"the account in Info":   {`{"CallbackCommand":"A.B","Info":{"To_Account":"b"}}`, "A.B", "b"},
		"an owner":              {`{"CallbackCommand":"A.B","Owner_Account":"o"}`, "A.B", "o"},
		"an operator":           {`{"CallbackCommand":"A.B","Owner_Account":"o","Operator_Account":"p"}`, "A.B", "p"},
		"a requestor":           {`{"CallbackCommand":"A.B","Requestor_Account":"r"}`, "A.B", "r"},
		"an administrator":      {`{"CallbackCommand":"A.B","Admin_Account":"admin"}`, "A.B", "admin"},
		"the last of two":       {`{"CallbackCommand":"A.B","GroupId":"g","GroupId":"h"}`, "A.B", "h"},
		"odd shapes":            {`{"CallbackCommand":"A.B","GroupId":[1],"Info":[],"PairList":{},"CallInfo":"x","From_Account":{}}`, "A.B", "1400000001"},
		"an empty list":         {`{"CallbackCommand":"A.B","PairList":[]}`, "A.B", "1400000001"},
		"a control character":   {`{"CallbackCommand":"A.B","GroupId":"a\tb"}`, "A.B", hashed("a\tb")},
		"a long conversation":   {`{"CallbackCommand":"A.B","From_Account":"b","To_Account":"` + long + `"}`, "A.B", hashed("b:" + long)},
		"an account in Thai":    {`{"CallbackCommand":"A.B","From_Account":"สวัสดี"}`, "A.B", "สวัสดี"},
		"the string null":       {`{"CallbackCommand":"A.B","GroupId":"null","From_Account":"a"}`, "A.B", "a"},
		"escaped names of keys": {`{"CallbackCommand":"A.B","Group\u0049d":"g"}`, "A.B", "g"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := identified(t, test.body)
			if got.Type != typePrefix+test.wantType || got.Subject != test.wantSubject {
				t.Errorf("got type %q, subject %q, want %q, %q", got.Type, got.Subject, test.wantType, test.wantSubject)
			}
		})
	}
}

func TestIdentify_tenant(t *testing.T) {
	long := strings.Repeat("x", 600)
	for fields, want := range map[string]string{
		`"From_Account":"a","To_Account":"b"`:                   "a",
		`"From_Account":"a","Operator_Account":"o"`:             "o",
		`"Owner_Account":"w","Admin_Account":"m"`:               "m",
		`"Operator_Account":"","Info":{"To_Account":"b"}`:       "b",
		`"To_Account":"b"`:                                      "",
		`"From_Account":"null"`:                                 "",
		`"From_Account":"` + long + `"`:                         hashed(long),
		`"From_Account":144115212830834855,"GroupId":"g"`:       "144115212830834855",
		`"PairList":[{"From_Account":"p"}],"Owner_Account":"w"`: "p",
	} {
		if got := identified(t, `{"CallbackCommand":"A.B",`+fields+`}`).Tenant; got != want {
			t.Errorf("%s: tenant %q, want %q", fields, got, want)
		}
	}
}

func TestIdentify_time(t *testing.T) {
	for fields, want := range map[string]string{
		`"EventTime":1670574414123`:                        "2022-12-09T08:26:54.123Z",
		`"EventTime":"1670574414123"`:                      "2022-12-09T08:26:54.123Z",
		`"EventTime":1670574414`:                           "2022-12-09T08:26:54Z",
		`"EventTime":1670574414123,"MsgTime":1557481126`:   "2022-12-09T08:26:54.123Z",
		`"EventTime":0,"MsgTime":1557481126`:               "2019-05-10T09:38:46Z",
		`"EventTime":{},"MsgTime":"1557481126"`:            "2019-05-10T09:38:46Z",
		`"EventTime":1670574414123.5,"MsgTime":1557481126`: "2019-05-10T09:38:46Z",
		`"MsgTime":-1`:                                     "0001-01-01T00:00:00Z",
		`"MsgTime":1e400000000`:                            "0001-01-01T00:00:00Z",
		`"x":1`:                                            "0001-01-01T00:00:00Z",
	} {
		if got := identified(t, `{"CallbackCommand":"A.B",`+fields+`}`).Time.Format(time.RFC3339Nano); got != want {
			t.Errorf("%s: time %s, want %s", fields, got, want)
		}
	}
}

func TestIdentify_extensions(t *testing.T) {
	for query, want := range map[string]string{
		"": "[{sdkappid 1400000001}]",
		"&ClientIP=127.0.0.1&OptPlatform=RESTAPI": "[{sdkappid 1400000001} {clientip 127.0.0.1} {optplatform RESTAPI}]",
		"&ClientIP=2001%3Adb8%3A%3A1":             "[{sdkappid 1400000001} {clientip 2001:db8::1}]",
		"&ClientIP=&OptPlatform=Web":              "[{sdkappid 1400000001} {optplatform Web}]",
		"&ClientIP=a%0D%0Ab&OptPlatform=%FF":      "[{sdkappid 1400000001}]",
		"&OptPlatform=" + strings.Repeat("x", 65): "[{sdkappid 1400000001}]",
		"&SdkAppid=9&sdkappid=9":                  "[{sdkappid 1400000001}]",
	} {
		r := called(`{"CallbackCommand":"A.B"}`)
		r.Query += query
		events, _ := open(t).Identify(nil, r)
		if got := fmt.Sprint(events[0].Extensions); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

func TestIdentify_batch(t *testing.T) {
	const query = "CallbackCommand=Push.OfflinePush"
	const whole = "(whole)"
	many := `{"Events":[` + strings.Repeat("0,", 1000) + `0]}`
	tests := map[string]struct {
		body     string
		commands []string
		want     []string // type, subject and body of each
	}{
		"one event each": {
			` {"Events": [ {"CallbackCommand":"Push.OfflinePush","To_Account":"a","n":1} , {"CallbackCommand":"Push.AllMemberPush","To_Account":"b"} ] } `, nil,
			[]string{
				`Push.OfflinePush a {"CallbackCommand":"Push.OfflinePush","To_Account":"a","n":1}`,
				`Push.AllMemberPush b {"CallbackCommand":"Push.AllMemberPush","To_Account":"b"}`,
			},
		},
		"items without a command": {`{"Events":[{"GroupId":"g"},{"CallbackCommand":null,"To_Account":"b"}]}`, nil,
			[]string{`Push.OfflinePush g {"GroupId":"g"}`, `Push.OfflinePush b {"CallbackCommand":null,"To_Account":"b"}`}},
		"items that are no objects": {`{"Events":[1,"two",null,[3],true,-4.5e6]}`, nil,
			[]string{"Push.OfflinePush 1400000001 1", `Push.OfflinePush 1400000001 "two"`, "Push.OfflinePush 1400000001 null",
				"Push.OfflinePush 1400000001 [3]", "Push.OfflinePush 1400000001 true", "Push.OfflinePush 1400000001 -4.5e6"}},
		"a command beside them": {`{"CallbackCommand":"Push.OfflinePush","Events":[{"To_Account":"a"}]}`, nil,
			[]string{`Push.OfflinePush a {"To_Account":"a"}`}},
		"the last of two arrays": {`{"Events":[1],"Events":[{"To_Account":"a"}]}`, nil,
			[]string{`Push.OfflinePush a {"To_Account":"a"}`}},
		"an empty array":            {`{"Events":[]}`, nil, []string{"Push.OfflinePush 1400000001 " + whole}},
		"more than can be":          {many, nil, []string{"Push.OfflinePush 1400000001 " + whole}},
		"a filter on items":         {`{"Events":[{"CallbackCommand":"Push.AllMemberPush"},{"To_Account":"a"}]}`, []string{"Push.OfflinePush"}, []string{`Push.OfflinePush a {"To_Account":"a"}`}},
		"a filter that leaves none": {`{"Events":[{},{}]}`, []string{"A.B"}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := &source.Request{Query: query, Body: []byte(test.body)}
			events, refusal := open(t, test.commands...).Identify(nil, r)
			if refusal != nil {
				t.Fatalf("refused as %s", refusal.Reason)
			}
			var got []string
			ids := map[event.ID]bool{}
			for _, e := range events {
				ids[e.ID] = true
				body := string(e.Body)
				if body == test.body {
					body = whole
				}
				got = append(got, strings.TrimPrefix(e.Type, typePrefix)+" "+e.Subject+" "+body)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if len(ids) != len(events) {
				t.Error("two events have one id")
			}
		})
	}
}

func TestIdentify_batchSharesTheBody(t *testing.T) {
	r := &source.Request{Query: "CallbackCommand=Push.A", Body: []byte(`{"Events":[{"a":1},{"b":2}]}`)}
	events, _ := open(t).Identify(nil, r)
	if len(events) != 2 || cap(events[0].Body) != len(events[0].Body) {
		t.Fatalf("%d events, or a body that reaches into the next", len(events))
	}
	r.Body[bytes.IndexByte(r.Body, 'b')] = 'c'
	if string(events[1].Body) != `{"c":2}` {
		t.Error("the body was copied")
	}
}

func TestIdentify_filter(t *testing.T) {
	s := open(t, "C2C.CallbackAfterSendMsg", "New.Thing")
	for body, want := range map[string]int{
		`{"CallbackCommand":"C2C.CallbackAfterSendMsg"}`:  1,
		`{"CallbackCommand":"New.Thing"}`:                 1,
		`{"CallbackCommand":"C2C.CallbackBeforeSendMsg"}`: 0,
		`{"CallbackCommand":"c2c.callbackaftersendmsg"}`:  0,
	} {
		events, refusal := s.Identify(nil, called(body))
		if len(events) != want || refusal != nil {
			t.Errorf("%s: %d events, refusal %v, want %d events", body, len(events), refusal, want)
		}
	}
}

// hashed is what stands for an attribute that cannot be one.
func hashed(s string) string { return fmt.Sprintf("sha256-%x", sha256.Sum256([]byte(s))) }
