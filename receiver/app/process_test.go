package app

import (
	"io"
	"log"
	"testing"
)

// TestSetUpProcess checks that what net/http says of targets goes nowhere: it quotes them, and they may quote the credentials they were sent.
func TestSetUpProcess(t *testing.T) {
	before := log.Writer()
	t.Cleanup(func() { log.SetOutput(before) })
	SetUpProcess()
	if log.Writer() != io.Discard {
		t.Error("the standard logger still writes")
	}
}
