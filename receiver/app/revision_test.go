package app

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/config"
)

// revise gives the configuration another revision, to be found by the next poll.
func (f *fixture) revise(revision string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshot.Revision = revision
}

func TestApp_showsTheRevision(t *testing.T) {
	f := &fixture{t: t, dir: t.TempDir()}
	f.configure(lazada("a"))
	f.revise("1")
	f.run(nil)
	first := f.configz()
	if first.Revision != "1" {
		t.Fatalf("/configz shows revision %q, want 1", first.Revision)
	}
	logged := f.log.String()

	f.revise("2")
	f.eventually("the new revision is shown", func() bool { return f.configz().Revision == "2" })
	want := first
	want.Revision = "2"
	if diff := cmp.Diff(want, f.configz()); diff != "" {
		t.Errorf("with another revision /configz shows more changes (-want +got):\n%s", diff)
	}
	if log := f.log.String(); log != logged {
		t.Errorf("a new revision alone is logged:\n%s", strings.TrimPrefix(log, logged))
	}
	if n := len(f.allTargets()); n != 1 {
		t.Errorf("%d targets were made, want 1: a new revision alone rebuilds nothing", n)
	}

	f.mu.Lock()
	f.snapshot = config.Snapshot{Config: config.Config{Endpoints: make([]config.Endpoint, 1)}, Revision: "3"}
	f.mu.Unlock()
	f.eventually("the configuration is refused", func() bool { return f.configz().Refused != nil })
	f.polls()
	if got := f.configz().Revision; got != "2" {
		t.Errorf("/configz shows revision %q beside a configuration that is refused, want 2, which is live", got)
	}

	f.configure(lazada("a"))
	f.revise("4")
	f.eventually("the live configuration is back, with another revision", func() bool {
		page := f.configz()
		return page.Revision == "4" && page.Refused == nil
	})
	f.configure(lazada("a"), lazada("b"))
	f.revise("5")
	f.eventually("another configuration is live", func() bool { return len(f.configz().Endpoints) == 2 })
	if got := f.configz().Revision; got != "5" {
		t.Errorf("/configz shows revision %q of the new configuration, want 5", got)
	}
}
