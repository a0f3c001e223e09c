package event

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
)

func TestNewID(t *testing.T) {
	for _, parts := range [][]string{
		{}, {""}, {"", ""}, {"a"}, {"a", "b"}, {"100132", "19", "", "é"},
		{strings.Repeat("x", 511)}, {strings.Repeat("x", 512)}, {strings.Repeat("x", 250), strings.Repeat("y", 300), "z"}, {strings.Repeat("x", 1<<20)},
	} {
		want := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(parts, "\x00"))))[:32]
		id := NewID(parts...)
		if id.String() != want {
			t.Errorf("NewID(%.60q) = %s, want %s", parts, id, want)
		}
		if back, err := ParseID(want); err != nil || back != id {
			t.Errorf("ParseID(%s) = %s, %v", want, back, err)
		}
	}
	if short := []string{"100132", "19", strings.Repeat("x", 400)}; testing.AllocsPerRun(100, func() { NewID(short...) }) != 0 {
		t.Error("a short identity allocates")
	}
}

func TestParseID_mistakes(t *testing.T) {
	for _, text := range []string{"", "00", strings.Repeat("0", 31), strings.Repeat("0", 33), strings.Repeat("g", 32), strings.Repeat("é", 16)} {
		if _, err := ParseID(text); err == nil {
			t.Errorf("ParseID(%q) is no error", text)
		}
	}
}
