package sourcetest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/hookbay/hookbay/receiver/source"
)

// answer checks the platform's own words.
func (h Harness) answer(t *testing.T) {
	s, sim := h.Source(t, credential), h.Simulator(t, credential)
	if s.AnswerWithin() != h.Within || sim.AnswerWithin() != h.Within {
		t.Errorf("AnswerWithin = %s, and the simulator's %s, want %s", s.AnswerWithin(), sim.AnswerWithin(), h.Within)
	}
	stored := s.Answer(nil)
	if string(stored.Body) != h.Stored || stored.ContentType != "application/json" {
		t.Errorf("stored: %s %s, want %s", stored.ContentType, stored.Body, h.Stored)
	}
	if err := sim.Judge(200, stored.Body); err != nil {
		t.Errorf("the platform would object to the answer: %v", err)
	}
	refused := s.Answer(&source.Refusal{Reason: source.ReasonCannotStore, Status: 503, Detail: `say "why"`})
	if string(refused.Body) != h.Refused || refused.ContentType != "application/json" {
		t.Errorf("refused: %s %s, want %s", refused.ContentType, refused.Body, h.Refused)
	}
	for _, detail := range []string{"", "line\nbreak", "back\\slash", "\x00\x7f", "\xff", "</script>", "日本"} {
		if body := s.Answer(&source.Refusal{Status: 400, Detail: detail}).Body; !json.Valid(body) {
			t.Errorf("detail %q: %q is not JSON", detail, body)
		}
	}
	for _, status := range []int{201, 202, 204, 301, 400, 401, 404, 429, 500, 503} {
		if sim.Judge(status, stored.Body) == nil {
			t.Errorf("the simulator takes status %d for a success", status)
		}
	}
	if !bytes.Equal(s.Answer(nil).Body, []byte(h.Stored)) {
		t.Error("a refusal changed the answer for a stored callback")
	}
}

// checkRefusal fails the test unless a refusal is fit for a platform's console and for a log.
func checkRefusal(tb testing.TB, refusal *source.Refusal) {
	tb.Helper()
	if refusal.Status < 400 || refusal.Status > 499 || refusal.Reason == "" {
		tb.Errorf("refusal %+v: want a reason and a status of the sender's fault", *refusal)
	}
	if refusal.Detail == "" || strings.ContainsFunc(refusal.Detail, unicode.IsControl) {
		tb.Errorf("detail %q: want one line", refusal.Detail)
	}
	for _, secret := range []string{credential, otherCredential} {
		if strings.Contains(refusal.Detail, secret) {
			tb.Error("the detail holds a credential")
		}
	}
}
