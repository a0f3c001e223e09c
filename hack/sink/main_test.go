package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestSinkPrintsOneLineForEachEvent(t *testing.T) {
	var out bytes.Buffer
	s := &sink{out: &out, answer: answer{status: http.StatusServiceUnavailable}}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{\n}"))
	r.Header.Set("ce-type", "com.lazada.push.2")
	r.Header.Set("ce-subject", "session-1")
	r.Header.Set("Hookbay-Attempt", "3")
	w := httptest.NewRecorder()
	s.receive(w, r)

	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", w.Code)
	}
	line := out.String()
	if strings.Count(line, "\n") != 1 {
		t.Errorf("printed %q, want one line", line)
	}
	for _, want := range []string{"com.lazada.push.2", "subject=session-1", "attempt=3", `"{\n}"`} {
		if !strings.Contains(line, want) {
			t.Errorf("printed %q, want %s in it", line, want)
		}
	}
}

func TestSetAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		query      string
		wantStatus int
		want       answer
	}{
		"status and delay":         {"status=500&delay=2s", 204, answer{500, 2 * time.Second}},
		"only the delay":           {"delay=3s", 204, answer{201, 3 * time.Second}},
		"nothing changes nothing":  {"", 204, answer{201, time.Second}},
		"a status that is none":    {"status=20", 400, answer{201, time.Second}},
		"a delay without its unit": {"delay=2", 400, answer{201, time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &sink{answer: answer{status: 201, delay: time.Second}}
			w := httptest.NewRecorder()
			s.setAnswer(w, httptest.NewRequest(http.MethodPost, "/answer?"+tc.query, nil))
			if w.Code != tc.wantStatus {
				t.Errorf("status %d, want %d", w.Code, tc.wantStatus)
			}
			if s.answer != tc.want {
				t.Errorf("answer %+v, want %+v", s.answer, tc.want)
			}
		})
	}
}
