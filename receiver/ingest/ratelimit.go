package ingest

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

// The refusals of rate limits. With whole rates of at least one a second, there is room for another callback after a second.
var (
	endpointLimited = &source.Refusal{
		Reason: source.ReasonRateLimited, Status: http.StatusTooManyRequests, Detail: "more callbacks than spec.rateLimit.requestsPerSecond allows",
	}
	tenantLimited = &source.Refusal{
		Reason: source.ReasonRateLimited, Status: http.StatusTooManyRequests, Detail: "more callbacks of one tenant than spec.rateLimit.perTenant.requestsPerSecond allows",
	}
)

// limits are an endpoint's rate limits. nil: none.
type limits struct {
	config  config.RateLimit
	all     *rate.Limiter // nil: no such limit
	tenants *tenants      // nil: no such limit
}

// newLimits returns what r asks for: the limits before, with what is used up of them, if they are the same.
func newLimits(r *config.RateLimit, before *limits) *limits {
	if r == nil {
		return nil
	}
	if before != nil && before.same(r) {
		return before
	}
	l := &limits{config: *r}
	if r.RequestsPerSecond > 0 {
		l.all = newLimiter(r.RequestsPerSecond, r.Burst)
	}
	if t := r.PerTenant; t != nil {
		l.config.PerTenant = new(*t)
		l.tenants = &tenants{most: mostTenants, make: func() *rate.Limiter { return newLimiter(t.RequestsPerSecond, t.Burst) }}
	}
	return l
}

func newLimiter(perSecond, burst int) *rate.Limiter {
	if burst == 0 {
		burst = 2 * perSecond
	}
	return rate.NewLimiter(rate.Limit(perSecond), burst)
}

func (l *limits) same(r *config.RateLimit) bool {
	a, b := l.config, *r
	if (a.PerTenant == nil) != (b.PerTenant == nil) || a.PerTenant != nil && *a.PerTenant != *b.PerTenant {
		return false
	}
	a.PerTenant, b.PerTenant = nil, nil
	return a == b
}

// admit takes one callback's worth of the limits, or says which one is used up. What is refused by one takes nothing of the other: a tenant
// that runs wild must not use up what the others share, nor pay for what they did. events are not empty: callbacks that are filtered
// out cost nothing worth guarding. A batch counts for the tenant of its first event.
func (l *limits) admit(events []event.Event, now time.Time) *source.Refusal {
	if l == nil {
		return nil
	}
	if l.all != nil && l.all.TokensAt(now) < 1 {
		return endpointLimited
	}
	if l.tenants != nil && !l.tenants.limiter(events[0].Tenant).AllowN(now, 1) {
		return tenantLimited
	}
	if l.all != nil && !l.all.AllowN(now, 1) { // others came in between
		return endpointLimited
	}
	return nil
}

// mostTenants is how many tenants are remembered for certain; up to twice as many are.
const mostTenants = 5000

// tenants holds a limiter for each tenant that was heard of lately. When the younger generation is full it becomes the older one, and that is
// forgotten, so that memory is bounded, and who comes often stays. Tenants come from verified callbacks only.
type tenants struct {
	most int
	make func() *rate.Limiter

	mu           sync.Mutex
	young, older map[string]*rate.Limiter
}

// limiter returns the tenant's limiter. Callbacks that name no tenant, "", share one.
func (t *tenants) limiter(tenant string) *rate.Limiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.young[tenant]; l != nil {
		return l
	}
	l := t.older[tenant]
	if l == nil {
		l = t.make()
	}
	if len(t.young) >= t.most || t.young == nil {
		t.young, t.older = make(map[string]*rate.Limiter), t.young
	}
	t.young[strings.Clone(tenant)] = l // the event's shares memory with the request
	return l
}
