package apply

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// memory holds, for each child, the version of the live object that was last seen to be as wanted. It saves the comparison of what has
// not changed, and tells when the cache is behind our own writes. It holds one entry for each name of a child that an endpoint has had, until
// the child is pruned or the endpoint is forgotten.
type memory struct {
	mu        sync.Mutex
	endpoints map[types.NamespacedName]map[Ref]agreement
}

// agreement says that a version of the live object is what was wanted.
type agreement struct {
	version string
	want    digest
	// inVain is the last attempt to reclaim fields that did not help.
	inVain digest
}

func (m *memory) note(c *child, version string) {
	m.set(c, agreement{version: version, want: c.digest})
}

func (m *memory) set(c *child, to agreement) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.endpoints == nil {
		m.endpoints = make(map[types.NamespacedName]map[Ref]agreement)
	}
	if m.endpoints[c.endpoint] == nil {
		m.endpoints[c.endpoint] = make(map[Ref]agreement)
	}
	m.endpoints[c.endpoint][c.ref] = to
}

// get returns what is known of a child; nothing is the zero value.
func (m *memory) get(c *child) agreement {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.endpoints[c.endpoint][c.ref]
}

// noteInVain remembers an attempt, so that it is not made in every round: each would change the object's version, and so start the next round.
func (m *memory) noteInVain(c *child, attempt digest) { m.set(c, agreement{inVain: attempt}) }

func (m *memory) wasInVain(c *child, attempt digest) bool { return m.get(c).inVain == attempt }

// agrees says whether the live object, in the version that it was found in, is known to be as wanted.
func (m *memory) agrees(c *child) bool {
	known := m.get(c)
	return known.version != "" && known.version == c.live.GetResourceVersion() && known.want == c.digest
}

// behind says whether the live object was found in a version from before the last one that is known.
func (m *memory) behind(c *child) bool {
	known := m.get(c)
	if known.version == "" || known.version == c.live.GetResourceVersion() {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(c.live.GetResourceVersion(), known.version)
	return err != nil || order < 0
}

func (m *memory) forgetChild(endpoint types.NamespacedName, ref Ref) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.endpoints[endpoint], ref)
}

func (m *memory) forget(endpoint types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.endpoints, endpoint)
}
