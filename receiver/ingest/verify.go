package ingest

import (
	"github.com/hookbay/hookbay/receiver/source"
)

// verifyHead asks the source what query and headers prove.
func (h *Handler) verifyHead(c *callback) *source.Refusal {
	_, _, query := target(&c.ctx.Request.Header)
	c.req.Query, c.req.Header, c.req.Received = string(query), c, c.start
	var refusal *source.Refusal
	c.proof, refusal = c.ep.Source.VerifyHead(&c.req)
	// A stale callback tells most about a wrong clock; of others that are refused nothing is proven.
	if c.proof.Dated && (refusal == nil || refusal.Reason == source.ReasonStale) {
		c.ep.metrics.skew.Set(c.proof.Skew.Seconds())
	}
	return refusal
}

// verifyBody asks the source whether the platform sent all of this. That proves the connection, too.
func verifyBody(c *callback) *source.Refusal {
	proof, refusal := c.ep.Source.VerifyBody(&c.req, c.proof)
	if refusal != nil {
		return refusal
	}
	c.verified = true
	c.ep.metrics.used(proof.Key, c.start)
	if conn, ok := c.ctx.Conn().(*connection); ok {
		conn.begin(c.start)
	}
	return nil
}
