package controllers

import (
	"testing"

	"github.com/hookbay/hookbay/receiver/delivery/target"
)

// Whatever a receiver can say of a target that is down is told in words.
func TestDownWords(t *testing.T) {
	for _, outcome := range target.Failures() {
		if downWords(outcome) == outcome {
			t.Errorf("there are no words for %q", outcome)
		}
	}
	if got := downWords("of_a_newer_receiver"); got != "of_a_newer_receiver" {
		t.Errorf("what is not known is told as %q", got)
	}
}
