package sourcetest

import (
	"strings"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/source"
)

// verify checks that a source accepts what its platform sent, and nothing else.
func (h Harness) verify(t *testing.T) {
	sim := h.Simulator(t, credential)
	body := sim.Samples()[0].Body
	good := request(t, sim, body, now)

	t.Run("a good callback is accepted with its key", func(t *testing.T) {
		h.wantKey(t, h.Source(t, credential), good, 0)
	})
	t.Run("a key of a rotation is told by its place", func(t *testing.T) {
		h.wantKey(t, h.Source(t, otherCredential, credential), good, 1)
		h.wantKey(t, h.Source(t, credential, otherCredential), good, 0)
		h.wantKey(t, h.Source(t, otherCredential, otherCredential+"2", otherCredential+"3", credential), good, 3)
		h.wantKey(t, h.Source(t, credential, credential), good, 0)
	})
	t.Run("a wrong key is refused", func(t *testing.T) {
		refuse(t, h.Source(t, otherCredential), good, source.ReasonSignatureWrong)
		refuse(t, h.Source(t, otherCredential, credential+" ", credential[1:]), good, source.ReasonSignatureWrong)
	})
	t.Run("another app's callback is refused", func(t *testing.T) {
		refuse(t, h.OtherApp(t, credential), good, source.ReasonSignatureWrong, source.ReasonWrongApp)
	})
	t.Run("nothing at all is refused", func(t *testing.T) {
		refuse(t, h.Source(t, credential), &source.Request{Received: now})
	})
	t.Run("an empty body has its own signature", func(t *testing.T) {
		r := request(t, sim, nil, now)
		if _, refusal := source.Verify(h.Source(t, credential), r); refusal != nil {
			t.Errorf("refused as %s", refusal.Reason)
		}
	})
	t.Run("verifying changes nothing", func(t *testing.T) {
		r := clone(good)
		h.wantKey(t, h.Source(t, credential), r, 0)
		h.wantKey(t, h.Source(t, credential), r, 0)
		if r.Query != good.Query || string(r.Body) != string(good.Body) {
			t.Error("the request is not as it was")
		}
	})
	t.Run("the head alone", h.head)
	t.Run("a tampered body", h.tamperedBody)
	t.Run("a tampered query or header", h.tamperedProof)
	t.Run("an old or early callback", h.window)
}

// head checks that what is wrong with the query and the headers alone is refused before there is a body, and nothing else.
func (h Harness) head(t *testing.T) {
	sim, s := h.Simulator(t, credential), h.Source(t, credential)
	good := request(t, sim, sim.Samples()[0].Body, now)
	check := func(what string, s source.Source, change func(*source.Request), wantRefused bool) {
		t.Helper()
		r := clone(good)
		change(r)
		proof, refusal := s.VerifyHead(r)
		if refused := refusal != nil; refused != wantRefused {
			t.Errorf("%s: refused = %t, want %t", what, refused, wantRefused)
		}
		whole := clone(good)
		change(whole)
		r.Body = []byte("other")
		if again, other := s.VerifyHead(r); other != refusal || again != proof {
			t.Errorf("%s: the body makes a difference", what)
		}
		if _, all := source.Verify(s, whole); refusal != nil && all != refusal {
			t.Errorf("%s: the head is refused with %v, the whole with %v", what, refusal, all)
		}
	}
	check("a good callback", s, func(r *source.Request) { r.Body = nil }, false)
	check("nothing", s, func(r *source.Request) { *r = source.Request{Received: now} }, true)
	check("a wrong key", h.Source(t, otherCredential), func(r *source.Request) { r.Body = nil }, !h.BodySigned)
	for _, name := range h.SignedHeader {
		for _, bad := range []string{"", " ", "none", good.Header.Get(name) + "0"} {
			check(name+" "+bad, s, func(r *source.Request) { headerOf(r).Set(name, bad) }, true)
		}
	}
	if h.Window > 0 {
		check("a stale callback", s, func(r *source.Request) { r.Received = now.Add(2 * h.Window) }, true)
	}
}

func (h Harness) wantKey(t *testing.T, s source.Source, r *source.Request, want int) {
	t.Helper()
	proof, refusal := source.Verify(s, r)
	if refusal != nil {
		t.Fatalf("refused as %s: %s", refusal.Reason, refusal.Detail)
	}
	if proof.Key != want {
		t.Errorf("Key = %d, want %d", proof.Key, want)
	}
	if dated := h.Window > 0; proof.Dated != dated {
		t.Errorf("Dated = %t, want %t", proof.Dated, dated)
	}
}

// tamperedBody changes, adds and removes a byte everywhere in the body.
func (h Harness) tamperedBody(t *testing.T) {
	sim, s := h.Simulator(t, credential), h.Source(t, credential)
	good := request(t, sim, sim.Samples()[0].Body, now)
	check := func(r *source.Request, what string, at int) {
		_, refusal := source.Verify(s, r)
		if refused := refusal != nil; refused != h.BodySigned {
			t.Errorf("%s at byte %d: refused = %t, want %t", what, at, refused, h.BodySigned)
		}
	}
	for i := range good.Body {
		r := clone(good)
		r.Body[i] ^= 1
		check(r, "a changed byte", i)
	}
	for _, i := range []int{0, len(good.Body) / 2, len(good.Body)} {
		r := clone(good)
		r.Body = append(append(append([]byte{}, good.Body[:i]...), ' '), good.Body[i:]...)
		check(r, "an added byte", i)
	}
	for _, i := range []int{1, len(good.Body) / 2, len(good.Body)} {
		r := clone(good)
		r.Body = append(append([]byte{}, good.Body[:i-1]...), good.Body[i:]...)
		check(r, "a removed byte", i)
	}
}

// tamperedProof changes every character of what proves a callback, shortens, lengthens, empties and removes it.
func (h Harness) tamperedProof(t *testing.T) {
	sim, s := h.Simulator(t, credential), h.Source(t, credential)
	good := request(t, sim, sim.Samples()[0].Body, now)
	for _, name := range h.SignedHeader {
		value := good.Header.Get(name)
		if value == "" {
			t.Fatalf("the simulator sends no header %s", name)
		}
		for _, bad := range spoilt(value) {
			r := clone(good)
			headerOf(r).Set(name, bad)
			refuse(t, s, r)
		}
		r := clone(good)
		headerOf(r).Del(name)
		refuse(t, s, r, source.ReasonSignatureMissing)
	}
	for _, name := range h.SignedQuery {
		before, value, after := cutParameter(t, good.Query, name)
		for _, bad := range spoilt(value) {
			r := clone(good)
			r.Query = before + name + "=" + bad + after
			refuse(t, s, r)
		}
		r := clone(good)
		r.Query = strings.TrimSuffix(before, "&") + after
		refuse(t, s, r)
	}
}

// spoilt returns value with each character changed, one too few, one too many, none, and others in its place.
func spoilt(value string) []string {
	bad := []string{"", value[1:], value[:len(value)-1], value + "0", "0" + value, value + value, strings.Repeat("0", len(value)), "é"}
	for i := range len(value) {
		for _, c := range []byte{'0', '7', 'a', 'z'} {
			if !strings.EqualFold(value[i:i+1], string(c)) {
				bad = append(bad, value[:i]+string(c)+value[i+1:])
			}
		}
	}
	return bad
}

// cutParameter splits a query around one parameter.
func cutParameter(t *testing.T, query, name string) (before, value, after string) {
	t.Helper()
	start := strings.Index("&"+query, "&"+name+"=")
	if start < 0 {
		t.Fatalf("the simulator's query %q has no %s", query, name)
	}
	rest := query[start+len(name)+1:]
	end := strings.IndexByte(rest, '&')
	if end < 0 {
		end = len(rest)
	}
	return query[:start], rest[:end], rest[end:]
}

// window checks both edges of the platform's window, or that there is none.
func (h Harness) window(t *testing.T) {
	sim, s := h.Simulator(t, credential), h.Source(t, credential)
	body := sim.Samples()[0].Body
	if h.Window == 0 {
		for _, age := range []time.Duration{-24 * time.Hour, 6 * time.Hour, 365 * 24 * time.Hour} {
			r := request(t, sim, body, now)
			r.Received = now.Add(age)
			h.wantKey(t, s, r, 0)
		}
		return
	}
	for _, late := range []time.Duration{-h.Window, -h.Window / 2, 0, h.Window / 2, h.Window} {
		r := request(t, sim, body, now.Truncate(time.Second))
		r.Received = r.Received.Add(late)
		h.wantKey(t, s, r, 0)
		if proof, _ := source.Verify(s, r); proof.Skew != -late {
			t.Errorf("received %s late: Skew = %s, want %s", late, proof.Skew, -late)
		}
	}
	for _, late := range []time.Duration{-h.Window - time.Second, h.Window + time.Second, 365 * 24 * time.Hour} {
		r := request(t, sim, body, now.Truncate(time.Second))
		r.Received = r.Received.Add(late)
		refuse(t, s, r, source.ReasonStale)
		if proof, _ := source.Verify(s, r); !proof.Dated || proof.Skew != -late {
			t.Errorf("received %s late: Dated, Skew = %t, %s, want true, %s", late, proof.Dated, proof.Skew, -late)
		}
		refuse(t, h.Source(t, otherCredential), r, source.ReasonSignatureWrong)
		if proof, _ := source.Verify(h.Source(t, otherCredential), r); proof.Dated {
			t.Error("a callback that is not signed right is dated")
		}
	}
}
