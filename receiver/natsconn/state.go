package natsconn

import (
	"context"
	"sync"
)

// state is how a connection is. The library's own methods that tell wait for an attempt under way.
type state struct {
	mu      sync.Mutex
	err     error         // why there is no connection; nil: there is one
	changed chan struct{} // closed when there is one; nil: nobody waits
}

// is sets it, and says whether that is news.
func (s *state) is(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.err
	s.err = err
	if err == nil && s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
	return (before == nil) != (err == nil) || err != nil && before.Error() != err.Error()
}

func (s *state) now() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// wait waits for a connection; false if ctx ended before.
func (s *state) wait(ctx context.Context) bool {
	s.mu.Lock()
	if s.err == nil {
		s.mu.Unlock()
		return true
	}
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	changed := s.changed
	s.mu.Unlock()
	select {
	case <-changed:
		return true
	case <-ctx.Done():
		return false
	}
}
