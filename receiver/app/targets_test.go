package app

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hookbay/hookbay/receiver/admin"
	"github.com/hookbay/hookbay/receiver/config"
)

// Whoever looks for the reason why nothing arrives finds it at the admin port, also long after the log told it.
func TestApp_configzShowsHowTheTargetsAre(t *testing.T) {
	var fails atomic.Bool
	fails.Store(true)
	f := &fixture{t: t, dir: t.TempDir()}
	f.configure(lazada("a"), lazada("direct", func(e *config.Endpoint) { e.Buffer.Type = config.BufferNone }, to("http://direct/")), lazada("waiting", suspended))
	f.run(f.failing(fails.Load))
	of := func(name string) *admin.Target {
		for _, e := range f.configz().Endpoints {
			if e.Name == name {
				return e.Target
			}
		}
		t.Fatalf("no endpoint %s", name)
		return nil
	}
	for _, name := range []string{"a", "direct"} {
		if got := of(name); got == nil || got.State != "up" || got.LastFailure != nil {
			t.Errorf("%s, never tried: the target is shown as %+v", name, got)
		}
	}
	if got := of("waiting"); got != nil {
		t.Errorf("suspended: the target is shown as %+v, want nothing", got)
	}
	f.mustSend("/shop/a", 1, 0)
	f.send("/shop/direct", "hunter2", 1, 0)
	for _, name := range []string{"a", "direct"} {
		f.eventually("the failure of "+name+" is shown", func() bool {
			got := of(name)
			return got.LastFailure != nil && got.LastFailure.Outcome == "5xx" && got.LastFailure.Detail != "" && !got.LastFailure.At.IsZero()
		})
	}
	fails.Store(false)
}

func TestApp_tellsOfWhatWaitsFromBefore(t *testing.T) {
	f := &fixture{t: t, dir: t.TempDir()}
	f.configure(lazada("a", suspended), lazada("empty"))
	f.run(nil)
	for n := range 3 {
		f.mustSend("/shop/a", n, 0)
	}
	const told = `msg="Events from before the start wait to be delivered" endpoint=shop/a pending=3`
	if strings.Contains(f.log.String(), "from before the start") {
		t.Errorf("an empty store is told of:\n%s", f.log.String())
	}
	if err := f.end(); err != nil {
		t.Fatal(err)
	}
	f.run(nil)
	if log := f.log.String(); strings.Count(log, told) != 1 || strings.Contains(log, "endpoint=shop/empty pending") {
		t.Errorf("not once %q in the log:\n%s", told, log)
	}
}
