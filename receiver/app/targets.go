package app

import (
	"slices"

	"github.com/hookbay/hookbay/receiver/admin"
)

// withTargets returns the endpoints with how their buffers and targets are now, where they have one.
func (s *endpoints) withTargets(shown []admin.Endpoint) []admin.Endpoint {
	shown = slices.Clone(shown) // what is shown to others at the same time
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range shown {
		if e := s.live[shown[i].Namespace+"/"+shown[i].Name]; e != nil {
			shown[i].Target = e.targetState()
			if state := s.bufferState(e); state != nil {
				shown[i].Buffer = &admin.Buffer{Engine: state.Engine, Ready: state.Ready, Reason: state.Reason}
			}
		}
	}
	return shown
}

// targetState is nil if nothing is delivered.
func (e *served) targetState() *admin.Target {
	switch {
	case !e.delivering || e.config.Delivery.Suspend:
		return nil
	case e.direct != nil:
		return admin.TargetOf(e.direct.State())
	}
	return admin.TargetOf(e.dispatcher.state())
}

// tellWaiting says once how much is left from before the start, and of which endpoints. It is called before any of it is delivered.
func (s *endpoints) tellWaiting(built []*served) {
	for _, e := range built {
		if e.queue == nil {
			continue
		}
		if held := e.queue.Stats(); held.Pending > 0 {
			s.o.Log.Info("Events from before the start wait to be delivered", "endpoint", e.config.Key(), "pending", held.Pending, "oldest", held.Oldest)
		}
	}
}
