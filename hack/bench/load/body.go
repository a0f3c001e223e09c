package load

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/hookbay/hookbay/receiver/config"
)

// kind is how the sample of a platform is given another size, and what tells its events apart.
type kind struct {
	// sample is the simulator's.
	sample string
	// object and text are the object that holds a text that people write, and that text's field: it is moved to the front, so that what varies
	// comes after what may be long. The order of a JSON object's fields means nothing.
	object, text string
	// before and after enclose the text in its field.
	before, after string
	// optional are fields that small callbacks do without.
	optional []string
	numbers  []number
}

// number is a number in the body that varies. Its width does not.
type number struct {
	path    string
	run     int // of digits in the value
	base    int64
	width   int
	subject bool // it counts subjects rather than events
}

var kinds = map[string]kind{
	config.SourceLazada: { // chat messages
		sample: "message-2",
		object: `{"data":{`, text: "data.content", before: `"{\"txt\":\"`, after: `\"}"`,
		optional: []string{"data.process_msg", "data.auto_reply", "data.status", "data.template_id"},
		numbers: []number{
			{path: "data.session_id", run: 2, base: 10_118_227, width: 8, subject: true},
			{path: "data.from_account_id", base: 10_118_227, width: 8, subject: true},
			{path: "data.message_id", run: 1, base: 100_000_000_000, width: 12},
			{path: "data.send_time", base: 1_751_440_210_123, width: 13},
		},
	},
	config.SourceTencentIM: { // chat messages
		sample: "C2C.CallbackAfterSendMsg",
		object: `{`, text: "MsgBody", before: `[{"MsgType":"TIMTextElem","MsgContent":{"Text":"`, after: `"}}]`,
		optional: []string{"CloudCustomData", "MsgId", "ErrorInfo", "UnreadMsgNum", "OnlineOnlyFlag", "SendMsgResult"},
		numbers: []number{
			{path: "From_Account", base: 100_000, width: 6, subject: true},
			{path: "To_Account", base: 200_000, width: 6, subject: true},
			{path: "MsgSeq", base: 1_000_000_000, width: 10},
			{path: "MsgTime", base: 1_751_440_210, width: 10},
			{path: "MsgKey", base: 1_000_000_000, width: 10},
			{path: "MsgKey", run: 2, base: 1_751_440_210, width: 10},
		},
	},
}

// shape gives a sample the size that is asked for once the numbers have their width, by what a person wrote and by fields that callbacks may lack.
func (k *kind) shape(sample []byte, size int) ([]byte, error) {
	body := string(sample)
	text := gjson.Get(body, k.text).Raw
	if !strings.HasPrefix(text, k.before) || !strings.HasSuffix(text, k.after) || !strings.HasPrefix(body, k.object) {
		return nil, fmt.Errorf("the sample has no text at %s as expected", k.text)
	}
	body = without(body, k.text)
	key := k.text[strings.LastIndexByte(k.text, '.')+1:]
	frame := func() string { return k.object + `"` + key + `":` + k.before + k.after + "," + body[len(k.object):] }
	long := func() int {
		placed, _, err := place([]byte(frame()), k.numbers)
		if err != nil {
			return size
		}
		return len(placed)
	}
	for _, field := range k.optional {
		if long() <= size-shortestText {
			break
		}
		body = without(body, field)
	}
	room := size - long()
	if room < shortestText {
		return nil, fmt.Errorf("callbacks are at least %d bytes long", long()+shortestText)
	}
	return []byte(strings.Replace(frame(), k.before, k.before+words(room), 1)), nil
}

// shortestText is a text that somebody could have written.
const shortestText = 2

// without removes a field of which another comes before.
func without(body, path string) string {
	key := path[strings.LastIndexByte(path, '.')+1:]
	return strings.Replace(body, `,"`+key+`":`+gjson.Get(body, path).Raw, "", 1)
}

// words is a text of n bytes, the same each time. It compresses about as well as what people write.
func words(n int) string {
	vocabulary := strings.Fields(`is the blue one in stock and how much would it cost to send two of them by next week my order has not
		arrived yet please tell me where parcel size colour shop seller buyer refund thank you very hello when can we discount voucher again
		photo box broken screen charger cable black white large small medium price shipping address phone number confirm paid today tomorrow`)
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // text, not a secret
	var b bytes.Buffer
	for b.Len() < n {
		b.WriteString(vocabulary[random.IntN(len(vocabulary))])
		b.WriteByte(' ')
	}
	text := b.Bytes()[:n]
	text[n-1] = '?'
	return string(text)
}

// slot is where a number goes.
type slot struct {
	at int
	number
}

// place gives the numbers of a body their widths.
func place(body []byte, numbers []number) ([]byte, []slot, error) {
	find := func(n number) (start, end int, err error) {
		value := gjson.GetBytes(body, n.path)
		at := value.Index
		for run := 0; at < value.Index+len(value.Raw); run++ {
			for at < value.Index+len(value.Raw) && !digit(body[at]) {
				at++
			}
			start = at
			for digit(body[at]) {
				at++
			}
			if run == n.run && at > start {
				return start, at, nil
			}
		}
		return 0, 0, fmt.Errorf("the sample has no number %d in %s", n.run, n.path)
	}
	for _, n := range numbers {
		start, end, err := find(n)
		if err != nil {
			return nil, nil, err
		}
		body = []byte(string(body[:start]) + strconv.FormatInt(n.base, 10) + string(body[end:]))
	}
	slots := make([]slot, 0, len(numbers))
	for _, n := range numbers {
		start, _, err := find(n)
		if err != nil {
			return nil, nil, err
		}
		slots = append(slots, slot{at: start, number: n})
	}
	return body, slots, nil
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// write writes the number of event n.
func (s *slot) write(buf []byte, n int) {
	if s.subject {
		n %= subjects
	}
	v := s.base + int64(n)
	for i := s.at + s.width - 1; i >= s.at; i-- {
		buf[i] = byte('0' + v%10)
		v /= 10
	}
}
