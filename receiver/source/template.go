package source

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"
)

// By says what a number in a simulated callback follows.
type By int

// What the numbers of a Template follow.
const (
	// BySubject adds the subject's number to the sample's.
	BySubject By = iota
	// ByEvent adds the event's number to the sample's.
	ByEvent
	// ByBoth adds a number that no other pair of event and subject has.
	ByBoth
	// Count is the event's number itself.
	Count
)

// Variation is one number that varies in a sample.
type Variation struct {
	// Path leads to the value, in gjson's syntax. A path that the sample does not have varies nothing.
	Path string
	// Run picks the digits: 0 is the first run of digits in the value. Where there are none, the number is put after the text.
	Run int
	By  By
}

// Template makes many callbacks of one sample, cheaply. It is safe for concurrent use.
type Template struct {
	slots []slot
	tail  []byte
}

// slot is what stands before a number, and the number.
type slot struct {
	before []byte
	base   int64
	by     By
}

// maxSubjects is the distance that ByBoth leaves between two events.
const maxSubjects = 1_000_000

// NewTemplate prepares a sample. Two variations must not concern the same digits.
func NewTemplate(body []byte, variations ...Variation) (*Template, error) {
	spans := make([]span, 0, len(variations))
	for _, v := range variations {
		if value := gjson.GetBytes(body, v.Path); value.Exists() {
			spans = append(spans, digits(body, value.Index, value.Index+len(value.Raw), v))
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return a.start - b.start })
	t := &Template{}
	at := 0
	for _, s := range spans {
		if s.start < at {
			return nil, fmt.Errorf("vary %s: its digits vary already", s.path)
		}
		var base int64
		if s.end > s.start {
			var err error
			if base, err = strconv.ParseInt(string(body[s.start:s.end]), 10, 64); err != nil {
				return nil, fmt.Errorf("vary %s: %w", s.path, err)
			}
		}
		t.slots = append(t.slots, slot{before: body[at:s.start], base: base, by: s.by})
		at = s.end
	}
	t.tail = body[at:]
	return t, nil
}

// span is where the digits of a variation are in the sample.
type span struct {
	path       string
	start, end int
	by         By
}

// digits finds the run of digits that v picks in body[start:end].
func digits(body []byte, start, end int, v Variation) span {
	run := 0
	for i := start; i < end; {
		if body[i] < '0' || body[i] > '9' {
			i++
			continue
		}
		from := i
		for i < end && body[i] >= '0' && body[i] <= '9' {
			i++
		}
		if run == v.Run {
			return span{path: v.Path, start: from, end: i, by: v.By}
		}
		run++
	}
	if end > start && body[end-1] == '"' {
		end--
	}
	return span{path: v.Path, start: end, end: end, by: v.By}
}

// Fill returns the body of event number n of subject number subject, both from 0 and below a million.
func (t *Template) Fill(n, subject int) []byte {
	size := len(t.tail)
	for i := range t.slots {
		size += len(t.slots[i].before) + 20
	}
	body := make([]byte, 0, size)
	for i := range t.slots {
		s := &t.slots[i]
		body = append(body, s.before...)
		body = strconv.AppendInt(body, s.number(int64(n), int64(subject)), 10)
	}
	return append(body, t.tail...)
}

func (s *slot) number(n, subject int64) int64 {
	switch s.by {
	case BySubject:
		return s.base + subject
	case ByEvent:
		return s.base + n
	case ByBoth:
		return s.base + n*maxSubjects + subject
	default:
		return n
	}
}
