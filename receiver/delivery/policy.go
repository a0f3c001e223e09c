package delivery

import (
	"cmp"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
)

// Policy says how an endpoint's events are delivered. Zero values take the defaults of config.Delivery.
type Policy struct {
	// MaxInFlight bounds the attempts under way at once. Default: 64.
	MaxInFlight int
	// InitialInterval and MaxInterval bound the wait between attempts, before jitter. Defaults: 1 s and 5 min. A MaxInterval below
	// InitialInterval counts as InitialInterval.
	InitialInterval, MaxInterval time.Duration
	// MaxAge is the age, counted from when the callback was received, beyond which an event whose attempt failed becomes a dead letter
	// instead of being tried again. Default: 24 h. At least one attempt is always made.
	MaxAge time.Duration
	// Unordered says that a subject may have several attempts under way.
	Unordered bool
}

// PolicyOf reads an endpoint's configuration.
func PolicyOf(c config.Delivery) Policy {
	return Policy{
		MaxInFlight:     c.MaxInFlight,
		InitialInterval: time.Duration(c.Retry.InitialInterval),
		MaxInterval:     time.Duration(c.Retry.MaxInterval),
		MaxAge:          time.Duration(c.Retry.MaxAge),
		Unordered:       c.Ordering == config.OrderingNone,
	}.withDefaults()
}

func (p Policy) withDefaults() Policy {
	p.MaxInFlight = cmp.Or(max(p.MaxInFlight, 0), 64)
	p.InitialInterval = cmp.Or(max(p.InitialInterval, 0), time.Second)
	p.MaxInterval = max(cmp.Or(max(p.MaxInterval, 0), 5*time.Minute), p.InitialInterval)
	p.MaxAge = cmp.Or(max(p.MaxAge, 0), 24*time.Hour)
	return p
}
