package delivery

import (
	"context"
	"sync"
)

// defaultMemory is what a Memory bounds if nothing else is said, in bytes.
const defaultMemory = 32 << 20

// Memory bounds the bodies that are leased to attempts at one moment, of all endpoints of a process together: targets that hang hold as many as there
// may be attempts, of up to a MiB each.
//
// An endpoint may lease another event as long as it holds less than what is left. So one that hangs takes half, two a third each, and there is always some
// left for one that holds nothing. The size of an event shows only when it is leased: each endpoint may go beyond by one body.
type Memory struct {
	limit int64

	mu      sync.Mutex
	used    int64
	changed chan struct{} // closed when something is given back; nil: nobody waits
}

// NewMemory returns a Memory of so many bytes; 32 MiB if limit is 0.
func NewMemory(limit int64) *Memory {
	if limit <= 0 {
		limit = defaultMemory
	}
	return &Memory{limit: limit}
}

// Used is how many bytes are leased.
func (m *Memory) Used() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// share is what one endpoint holds of a Memory. One goroutine at a time calls wait and then take.
type share struct {
	of   *Memory
	used int64 // guarded by Memory.mu
}

// wait waits until there is room for another body; false if ctx ended first.
func (s *share) wait(ctx context.Context) bool {
	m := s.of
	for {
		m.mu.Lock()
		if s.used == 0 || s.used < m.limit-m.used {
			m.mu.Unlock()
			return ctx.Err() == nil
		}
		if m.changed == nil {
			m.changed = make(chan struct{})
		}
		changed := m.changed
		m.mu.Unlock()
		if !await(ctx, changed, 0) {
			return false
		}
	}
}

func (s *share) take(n int) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.used += int64(n)
	s.of.used += int64(n)
}

func (s *share) give(n int) {
	m := s.of
	m.mu.Lock()
	defer m.mu.Unlock()
	s.used -= int64(n)
	m.used -= int64(n)
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}
