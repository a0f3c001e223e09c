package lazada

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

const (
	typePrefix   = "com.lazada.push."
	typeUnparsed = typePrefix + "unparsed"
)

// message is what a push says, as far as an event's attributes depend on it.
type message struct {
	number int64
	typed  bool // number is known
	fields [fieldCount]string
	given  uint64 // which of them data has, by bit
}

// Identify makes one event of a push. It never refuses: the platform has signed the body, and a repeat would bring the same. What does
// not parse becomes an event of type com.lazada.push.unparsed, which no filter leaves out, as nobody knows what it is.
func (s *Source) Identify(dst []event.Event, r *source.Request) ([]event.Event, *source.Refusal) {
	rd := readings.Get().(*reading) //nolint:forcetypeassert // The pool holds nothing else.
	defer rd.release()
	if !rd.read(r.Body) {
		return append(dst, s.unparsed(r.Body, event.ContentTypeBytes)), nil
	}
	m := &rd.message
	if !m.typed {
		return append(dst, s.unparsed(r.Body, event.ContentTypeJSON)), nil
	}
	if s.keep != nil && !s.keep[m.number] {
		return dst, nil
	}
	k := kinds[m.number]
	if k == nil {
		k = &kind{typ: typePrefix + strconv.FormatInt(m.number, 10)}
	}
	return append(dst, event.Event{
		ID:          s.identity(m, k, r.Body),
		Type:        k.typ,
		Source:      s.uri,
		Subject:     s.subject(m, k),
		ContentType: event.ContentTypeJSON,
		Time:        m.time(k),
		Extensions:  m.extensions(),
		Tenant:      source.Tenant(m.seller()),
		Body:        r.Body,
	}), nil
}

func (s *Source) unparsed(body []byte, contentType string) event.Event {
	return event.Event{
		ID:          event.NewID(s.appKey, "unparsed", "", string(body)),
		Type:        typeUnparsed,
		Source:      s.uri,
		Subject:     source.Attribute(s.appKey),
		ContentType: contentType,
		Body:        body,
	}
}

// reading is a message that is being read.
type reading struct {
	message
	beside               message // what stands beside data
	kind, fallback, data source.Value
	visit                func(inside, key string, value source.Value) // is see
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

// read takes from the envelope and from data what attributes are made of; false if body is not JSON. Where a key comes twice the last counts, as
// with most readers of JSON. A field that data lacks counts where it stands beside data too: one documented sample has it there, and some
// messages come without an envelope.
func (r *reading) read(body []byte) bool {
	_, ok := source.ScanJSON(body, r.visit)
	r.add(&r.beside)
	r.number, r.typed = messageType(r.kind)
	if !r.typed {
		r.number, r.typed = messageType(r.fallback)
	}
	if !r.typed {
		r.guess()
	}
	return ok
}

// see is what ScanJSON calls.
func (r *reading) see(inside, key string, value source.Value) {
	switch {
	case inside == "data":
		r.set(key, value)
	case inside != "":
	case key == "message_type":
		r.kind = value
	case key == "msg_type": // the name in one of Lazada's tables
		r.fallback = value
	case key == "data":
		if r.data != (source.Value{}) || !value.IsObject() {
			r.reread(value)
		}
		r.data = value
	case key == "seller_id":
		r.fields[envelopeSeller] = value.Scalar()
	case key == "timestamp":
		r.fields[envelopeTime] = value.Scalar()
	case key == "site":
		r.fields[envelopeSite] = value.Scalar()
	default:
		r.beside.set(key, value)
	}
}

// set notes a field of data, if it is one that matters.
func (m *message) set(key string, value source.Value) {
	if f := dataField(key); f != none {
		m.fields[f] = value.Scalar()
		m.given |= 1 << f
	}
}

// reread forgets the fields of data and takes them from another one, which may be a JSON text inside a JSON string.
func (m *message) reread(data source.Value) {
	for f := range fieldCount {
		if m.given>>f&1 == 1 {
			m.fields[f] = ""
		}
	}
	m.given = 0
	if data.IsString() {
		data, _ = source.ParseJSON([]byte(data.Text()))
	}
	data.Members(func(key string, value source.Value) bool {
		m.set(key, value)
		return true
	})
}

// add takes the fields beside data that data lacks.
func (m *message) add(beside *message) {
	if beside.given == 0 {
		return
	}
	for f := range fieldCount {
		if beside.given>>f&1 == 1 && m.given>>f&1 == 0 {
			m.fields[f] = beside.fields[f]
		}
	}
}

// messageType reads an integer. What is none is no message type.
func messageType(v source.Value) (int64, bool) {
	text := v.Scalar()
	if text == "" || len(text) > len("999999999999999999") {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// guess finds the type of the messages that are documented without an envelope.
func (m *message) guess() {
	switch {
	case m.fields[syncType] != "":
		m.number, m.typed = sessionType, true
	case m.fields[promotionID] != "" && m.fields[promotionKind] != "":
		m.number, m.typed = promotionType, true
	}
}

// identity is the same for the platform's repeats and for nothing else. Where a part of a type's key is missing, or the type is not
// known, the whole body takes the key's place: better the same event twice than one of two taken for the other.
func (s *Source) identity(m *message, k *kind, body []byte) event.ID {
	var digits [20]byte
	number := string(strconv.AppendInt(digits[:0], m.number, 10))
	var room [8]string
	parts := append(room[:0], s.appKey, number, m.fields[envelopeSeller])
	for _, f := range k.key {
		value := m.fields[f&^optional]
		if missing := value == "" && f&optional != 0; !missing && !source.IdentityPart(value) {
			return event.NewID(s.appKey, number, m.fields[envelopeSeller], string(body))
		}
		parts = append(parts, value)
	}
	if len(k.key) == 0 {
		parts = append(parts, string(body))
	}
	return event.NewID(parts...)
}

// subject is what must stay in order, else the seller, else the app.
func (s *Source) subject(m *message, k *kind) string {
	for _, f := range k.subject {
		if m.fields[f] != "" {
			return source.Attribute(m.fields[f])
		}
	}
	if seller := m.seller(); seller != "" {
		return source.Attribute(seller)
	}
	return source.Attribute(s.appKey)
}

// seller is whose push it is, empty for a broadcast. It is the tenant of rate limits.
func (m *message) seller() string {
	for _, f := range [...]field{envelopeSeller, dataSeller, sellerIDCamel} {
		if m.fields[f] != "" {
			return m.fields[f]
		}
	}
	return ""
}

func (m *message) time(k *kind) time.Time {
	var latest time.Time
	for _, f := range k.time {
		if t, ok := source.Instant(m.fields[f]); ok && t.After(latest) {
			latest = t
		}
	}
	if latest.IsZero() {
		latest, _ = source.Instant(m.fields[envelopeTime])
	}
	return latest
}

func (m *message) extensions() []event.Extension {
	list := make([]event.Extension, 0, 2)
	seller := m.fields[envelopeSeller]
	if seller == "" && m.number == promotionType {
		seller = m.fields[sellerIDCamel] // type 11 has no envelope
	}
	if seller != "" {
		list = append(list, event.Extension{Name: "sellerid", Value: source.Attribute(seller)})
	}
	if site := m.site(); site != "" {
		list = append(list, event.Extension{Name: "site", Value: site})
	}
	return list
}

// site is the market, as "lazada_sg": samples write LAZADA_SG and lazada-sg too, and IM messages give only "SG" in data.
func (m *message) site() string {
	if name := m.fields[envelopeSite]; name != "" {
		return known(strings.ReplaceAll(strings.ToLower(name), "-", "_"))
	}
	if code := m.fields[siteID]; len(code) == 2 && letter(code[0]) && letter(code[1]) {
		return known("lazada_" + string([]byte{code[0] | 0x20, code[1] | 0x20}))
	}
	return ""
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// known returns name without allocating where it is one of Lazada's markets.
func known(name string) string {
	switch name {
	case "lazada_id":
		return "lazada_id"
	case "lazada_my":
		return "lazada_my"
	case "lazada_ph":
		return "lazada_ph"
	case "lazada_sg":
		return "lazada_sg"
	case "lazada_th":
		return "lazada_th"
	case "lazada_vn":
		return "lazada_vn"
	default:
		return source.Attribute(name)
	}
}
