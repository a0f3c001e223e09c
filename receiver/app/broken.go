package app

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/hookbay/hookbay/receiver/admin"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/source"
	"github.com/hookbay/hookbay/receiver/sources"
)

// An endpoint cannot work when a file that it names is missing, or holds something that is no credential. While it works, nothing of that counts: the
// configuration before stays live. Where there is none before, at a start, such an endpoint must not keep the others down: its callbacks are
// refused with 503, so that its platform sends them again, its stored events wait, and the next look at the files may mend it.

// notUsable is what the platform hears. What is wrong is none of its business.
var notUsable = &source.Refusal{
	Reason: source.ReasonNotUsable, Status: http.StatusServiceUnavailable, Detail: "the endpoint is not set up, send it again later",
}

// anyMayBreak lets every endpoint be one that cannot work: at a start there is nothing to stay with.
func anyMayBreak(*config.Endpoint) bool { return true }

// brokenBefore lets those endpoints be ones that cannot work that could not before.
func (s *endpoints) brokenBefore(e *config.Endpoint) bool {
	before := s.live[e.Key()]
	return before != nil && before.broken != ""
}

// buildBroken returns what stands for an endpoint that cannot work.
func (s *endpoints) buildBroken(e *config.Endpoint, snap *config.Snapshot, why error) *served {
	s.revision++
	return &served{
		config: *e, secrets: pick(snap.Secrets, e.SecretFiles()), broken: why.Error(),
		source: sources.Unavailable(e.Source, notUsable), revision: s.revision,
	}
}

// brokenOnes lists the endpoints that cannot work, and says whether any endpoint is there and none works.
func (s *endpoints) brokenOnes() (broken []admin.Broken, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, e := range s.live {
		if e.broken != "" {
			broken = append(broken, admin.Broken{Endpoint: key, Reason: e.broken})
		}
	}
	slices.SortFunc(broken, func(a, b admin.Broken) int { return strings.Compare(a.Endpoint, b.Endpoint) })
	return broken, len(broken) > 0 && len(broken) == len(s.live)
}

// usable returns an error if there are endpoints and none of them can take callbacks, as it cannot work or its events can't be stored now. A receiver of
// which some can is ready: their callbacks must not stay away for the sake of the others.
func (s *endpoints) usable() error {
	if broken, all := s.brokenOnes(); all {
		return fmt.Errorf("no endpoint can work: %s: %s", broken[0].Endpoint, broken[0].Reason)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.live) == 0 && s.buffers.disk != nil {
		return s.buffers.disk.Ready()
	}
	var why []error
	for _, key := range slices.Sorted(maps.Keys(s.live)) {
		e := s.live[key]
		if e.broken != "" {
			continue
		}
		_, err := s.storeState(e)
		if err == nil {
			return nil
		}
		why = append(why, err)
	}
	if len(why) == 0 {
		return nil
	}
	return why[0] // of many it would be too long a line
}
