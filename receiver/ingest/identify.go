package ingest

import "github.com/hookbay/hookbay/receiver/source"

// identify asks the source what the callback means, and fills in what the source does not know.
func identify(c *callback) *source.Refusal {
	events, refusal := c.ep.Source.Identify(c.events[:0], &c.req)
	c.events = events
	if refusal != nil {
		return refusal
	}
	for i := range events {
		e := &events[i]
		e.Endpoint, e.Received = c.ep.Name, c.start
		if e.Time.IsZero() {
			e.Time = c.start
		}
	}
	return nil
}
