package ingest

import "github.com/hookbay/hookbay/receiver/source"

// verify asks the source whether the platform sent this.
func verify(c *callback) *source.Refusal {
	proof, refusal := source.Verify(c.ep.Source, &c.req)
	// A stale callback tells most about a wrong clock; of others that are refused nothing is proven.
	if proof.Dated && (refusal == nil || refusal.Reason == source.ReasonStale) {
		c.ep.metrics.skew.Set(proof.Skew.Seconds())
	}
	if refusal == nil {
		c.ep.metrics.used(proof.Key, c.start)
	}
	return refusal
}
