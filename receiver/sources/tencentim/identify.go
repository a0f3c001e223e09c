package tencentim

import (
	"strings"
	"sync"
	"time"

	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

const (
	// batchPrefix begins the commands whose body holds many events; batchField is where.
	batchPrefix = "Push."
	batchField  = "Events"
	// maxBatch bounds what one callback may be split into. Tencent sends up to 100; a body with more is kept whole, so that a megabyte
	// of commas does not become half a million events.
	maxBatch = 1000
	// maxExtension is the longest parameter that becomes an extension: an address or a platform is far shorter.
	maxExtension = 64
)

var (
	notJSON = &source.Refusal{
		Reason: source.ReasonNotJSON, Status: 400,
		Detail: "the body is not JSON in UTF-8",
	}
	commandMissing = &source.Refusal{
		Reason: source.ReasonBadCommand, Status: 400,
		Detail: "CallbackCommand is missing in the query or in the body",
	}
	commandsDiffer = &source.Refusal{
		Reason: source.ReasonBadCommand, Status: 400,
		Detail: "CallbackCommand in the query and in the body differ",
	}
)

// message is what a callback, or one item of a batch, says as far as an event's attributes depend on it.
type message struct {
	fields [fieldCount]string
	batch  source.Value
}

// Identify makes one event of a callback, or one of each item of a batch. It refuses what cannot be Tencent's: the body is not signed, so
// that the receiver has no reason to keep one without form.
func (s *Source) Identify(dst []event.Event, r *source.Request) ([]event.Event, *source.Refusal) {
	rd := readings.Get().(*reading) //nolint:forcetypeassert // The pool holds nothing else.
	defer rd.release()
	if _, ok := source.ScanJSON(r.Body, rd.visit); !ok {
		return dst, notJSON
	}
	q := parseQuery(r.Query)
	m := &rd.message
	batch := m.batch.IsArray() && strings.HasPrefix(q.command, batchPrefix)
	switch command := m.fields[callbackCommand]; {
	case q.command == "", command == "" && !batch:
		return dst, commandMissing
	case command != "" && command != q.command:
		return dst, commandsDiffer
	}
	if n := size(m.batch); batch && n > 0 && n <= maxBatch {
		return s.split(dst, r, &q, m.batch), nil
	}
	return s.add(dst, &q, q.command, m, r.Body), nil
}

// size is the number of items in an array, else 0.
func size(array source.Value) int {
	n := 0
	array.Items(func(source.Value) bool {
		n++
		return n <= maxBatch
	})
	return n
}

// split makes an event of each item of a batch. An item without a command of its own, or that is no object, has the query's.
func (s *Source) split(dst []event.Event, r *source.Request, q *query, batch source.Value) []event.Event {
	batch.Items(func(item source.Value) bool {
		m := read(item)
		command := m.fields[callbackCommand]
		if command == "" {
			command = q.command
		}
		from, to := item.Span()
		dst = s.add(dst, q, command, &m, r.Body[from:to:to])
		return true
	})
	return dst
}

// add appends the event, unless the endpoint's filter leaves it out.
func (s *Source) add(dst []event.Event, q *query, command string, m *message, body []byte) []event.Event {
	if s.keep != nil && !s.keep[command] {
		return dst
	}
	k := kindOf(command)
	return append(dst, event.Event{
		ID:          s.identity(command, m, k.key, body),
		Type:        k.typ,
		Source:      s.uri,
		Subject:     s.subject(m),
		ContentType: event.ContentTypeJSON,
		Time:        m.time(),
		Extensions:  s.extensions(q),
		Tenant:      source.Tenant(m.actor()),
		Body:        body,
	})
}

// reading is a message that is being read.
type reading struct {
	message
	visit func(inside, key string, value source.Value) // is see
}

// readings are used again and again: they are large, and go to the heap because of visit.
var readings = sync.Pool{New: func() any {
	r := &reading{}
	r.visit = r.see
	return r
}}

func (r *reading) release() {
	*r = reading{visit: r.visit}
	readings.Put(r)
}

// see is what ScanJSON calls.
func (r *reading) see(inside, key string, value source.Value) {
	if inside == "" {
		r.set(key, value)
	}
}

// read takes from an item of a batch what attributes are made of.
func read(item source.Value) message {
	var m message
	item.Members(func(key string, value source.Value) bool {
		m.set(key, value)
		return true
	})
	return m
}

// set notes a member of a body, if it is one that matters. Where a key comes twice the last counts, as with most readers of JSON.
func (m *message) set(key string, value source.Value) {
	switch key {
	case batchField:
		m.batch = value
	case "Info":
		m.fields[infoAccount] = member(value, "To_Account")
	case "CallInfo":
		m.fields[callID] = member(value, "CallId")
	case "PairList":
		m.fields[pairAccount] = member(first(value), "From_Account")
	default:
		if f := bodyField(key); f != none {
			m.fields[f] = value.Scalar()
		}
	}
}

// member is the last value of that name in an object.
func member(object source.Value, name string) (text string) {
	object.Members(func(key string, value source.Value) bool {
		if key == name {
			text = value.Scalar()
		}
		return true
	})
	return text
}

// first is the first item of an array.
func first(array source.Value) (item source.Value) {
	array.Items(func(value source.Value) bool {
		item = value
		return false
	})
	return item
}

// identity is the same for the platform's repeats and for nothing else. Where a part of a command's key is missing, the whole body takes the
// key's place: better the same event twice than one of two taken for the other.
func (s *Source) identity(command string, m *message, key []field, body []byte) event.ID {
	var room [8]string
	parts := append(room[:0], s.sdkAppID, command)
	for _, f := range key {
		value := m.fields[f&^optional]
		if f&optional != 0 && value == "" {
			continue
		}
		if !source.IdentityPart(value) || f == msgSeq && value == "0" {
			return event.NewID(s.sdkAppID, command, string(body))
		}
		parts = append(parts, value)
	}
	if len(key) == 0 {
		parts = append(parts, string(body))
	}
	return event.NewID(parts...)
}

// subject is what must stay in order: the group, the conversation, the account; else the app.
func (s *Source) subject(m *message) string {
	f := &m.fields
	switch {
	case f[groupID] != "":
		return source.Attribute(f[groupID])
	case f[fromAccount] != "" && f[toAccount] != "":
		return conversation(f[fromAccount], f[toAccount])
	case f[reportAccount] != "" && f[peerAccount] != "":
		return conversation(f[reportAccount], f[peerAccount])
	}
	for _, account := range accounts {
		if f[account] != "" {
			return source.Attribute(f[account])
		}
	}
	return s.sdkAppID
}

// actor is the account that acted, empty if none is named.
func (m *message) actor() string {
	for _, account := range actors {
		if m.fields[account] != "" {
			return m.fields[account]
		}
	}
	return ""
}

// conversation is the same whoever of the two speaks.
func conversation(a, b string) string {
	if b < a {
		a, b = b, a
	}
	pair := a + ":" + b
	if source.CleanAttribute(pair) {
		return pair
	}
	return source.Attribute(pair)
}

// time is EventTime, which documents show in seconds and milliseconds, as a number and as a string; else the message's time.
func (m *message) time() time.Time {
	t, ok := source.Instant(m.fields[eventTime])
	if !ok {
		t, _ = source.Instant(m.fields[msgTime])
	}
	return t
}

// extensions are sdkappid and, of the query's parameters, those that Tencent sent and that are fit to be attributes.
func (s *Source) extensions(q *query) []event.Extension {
	list := append(make([]event.Extension, 0, 3), event.Extension{Name: "sdkappid", Value: s.sdkAppID})
	if v := q.clientIP; v != "" && len(v) <= maxExtension && source.CleanAttribute(v) {
		list = append(list, event.Extension{Name: "clientip", Value: strings.Clone(v)})
	}
	if v := q.optPlatform; v != "" && len(v) <= maxExtension && source.CleanAttribute(v) {
		list = append(list, event.Extension{Name: "optplatform", Value: strings.Clone(v)})
	}
	return list
}
