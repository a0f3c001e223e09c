package controllers

// decision says what is to become of a replica in this round.
type decision int

const (
	// hold: it is to change, but others must be ready first.
	hold decision = iota
	// serve: it is made, or kept, as one that takes callbacks.
	serve
	// drain: it is made, or kept, as one that only delivers what it has.
	drain
	// remove: it holds nothing any more, and goes.
	remove
)

// replicaState is what plan has to know of a replica.
type replicaState struct {
	exists  bool
	current bool // it has the template that is wanted: for a wanted replica that of serving, else that of draining
	ready   bool // its pod is of the template that it has, and takes what comes
	serving bool // it takes callbacks, as far as its template says
	lost    bool // it is not ready because its node is not heard of
	empty   bool // nothing that is undelivered is on its volume
}

// plan decides for each replica, of which the first are wanted and the others too many, in their order.
//
// Whatever stops a pod that takes callbacks is done to one at a time, and only while all other wanted ones are ready. What takes none
// can change at once: it is missing, not ready (which is how a bad version is replaced by a good one), or does not serve. As the first that
// can go does go, a decision made from a cache that lags is the same decision once more, and not a second replica.
//
// One on a lost node may not come back, so updates don't wait for it; but they never stop the last one that takes callbacks.
func plan(states []replicaState, wanted int) []decision {
	decisions := make([]decision, len(states))
	disturbed := false // a serving pod is stopped in this round
	for i, s := range states {
		others := states[:min(wanted, len(states))]
		switch {
		case i < wanted && (!s.exists || s.current || !s.ready || !s.serving):
			decisions[i] = serve
		case i < wanted && othersTake(others, i) && !disturbed:
			decisions[i], disturbed = serve, true
		case i < wanted:
			decisions[i] = hold
		case !s.exists:
			decisions[i] = remove
		case !s.serving && s.empty:
			decisions[i] = remove
		case !s.serving || !s.ready:
			decisions[i] = drain
		case allReady(others, i) && !disturbed:
			decisions[i], disturbed = drain, true
		default:
			decisions[i] = hold
		}
	}
	return decisions
}

// allReady says whether all but one of these serve and are ready.
func allReady(states []replicaState, but int) bool {
	for i, s := range states {
		if i != but && (!s.exists || !s.ready || !s.serving) {
			return false
		}
	}
	return true
}

// othersTake says whether all but one of these serve and are ready, apart from lost ones, as long as any is left.
func othersTake(states []replicaState, but int) bool {
	ready, lost := false, false
	for i, s := range states {
		switch {
		case i == but:
		case s.exists && s.ready && s.serving:
			ready = true
		case s.lost:
			lost = true
		default:
			return false
		}
	}
	return ready || !lost
}
