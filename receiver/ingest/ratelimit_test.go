package ingest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

// Each case is a sequence of callbacks, one letter each for its tenant ("-" for none, "." for a second that passes), and what becomes of them.
func TestLimits(t *testing.T) {
	tests := map[string]struct {
		limit       config.RateLimit
		callbacks   string
		wantRefused string // "e" by the endpoint's, "t" by the tenant's, " " by none, "." a second
	}{
		"twice the rate at once by default":        {config.RateLimit{RequestsPerSecond: 2}, "aabba", "    e"},
		"then the rate":                            {config.RateLimit{RequestsPerSecond: 2}, "aaaaa.aaa.aaa", "    e.  e.  e"},
		"a burst of its own":                       {config.RateLimit{RequestsPerSecond: 2, Burst: 1}, "ab.ab", " e. e"},
		"each tenant by itself":                    {config.RateLimit{PerTenant: &config.TenantRateLimit{RequestsPerSecond: 1}}, "aaabbbaab", "  t  ttt" + "t"},
		"without a tenant, together":               {config.RateLimit{PerTenant: &config.TenantRateLimit{RequestsPerSecond: 1}}, "---a", "  t "},
		"a tenant's flood leaves the others room":  {config.RateLimit{RequestsPerSecond: 2, PerTenant: &config.TenantRateLimit{RequestsPerSecond: 1}}, "aaaaaaaabb", "  tttttt  "},
		"what all used up costs no tenant its own": {config.RateLimit{RequestsPerSecond: 2, PerTenant: &config.TenantRateLimit{RequestsPerSecond: 1, Burst: 3}}, "bbbac" + "aaaa" + ".aa", "    e" + "eeee" + ".  "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(1772366400, 0)
			l := newLimits(&test.limit, nil)
			var got strings.Builder
			for _, c := range test.callbacks {
				switch c {
				case '.':
					now = now.Add(time.Second)
					got.WriteByte('.')
					continue
				case '-':
					c = 0
				}
				tenant := strings.Trim(string(c), "\x00")
				switch l.admit([]event.Event{{Tenant: tenant}}, now) {
				case nil:
					got.WriteByte(' ')
				case endpointLimited:
					got.WriteByte('e')
				case tenantLimited:
					got.WriteByte('t')
				}
			}
			if diff := cmp.Diff(test.wantRefused, got.String()); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
		})
	}
}

// Whoever comes often is remembered, however many others come once.
func TestTenants_memoryIsBounded(t *testing.T) {
	now := time.Unix(1772366400, 0)
	l := newLimits(&config.RateLimit{PerTenant: &config.TenantRateLimit{RequestsPerSecond: 1, Burst: 1}}, nil)
	one := func(tenant string) *source.Refusal { return l.admit([]event.Event{{Tenant: tenant}}, now) }
	if one("often") != nil {
		t.Fatal("the first callback is refused")
	}
	for n := range 10 * mostTenants {
		if one(fmt.Sprint(n)) != nil {
			t.Fatalf("the first callback of tenant %d is refused", n)
		}
		if n%1000 == 0 && one("often") == nil {
			t.Fatalf("after %d others, a tenant that comes often was forgotten", n)
		}
		if held := len(l.tenants.young) + len(l.tenants.older); held > 2*mostTenants {
			t.Fatalf("%d tenants are held, more than %d", held, 2*mostTenants)
		}
	}
}

func TestLimits_surviveWhatDoesNotChangeThem(t *testing.T) {
	now := time.Unix(1772366400, 0)
	h := NewHandler(Options{Now: func() time.Time { return now }})
	ep := Endpoint{Name: "shop/a", Path: "/shop/a", Source: &fakeSource{}, Queue: &fakeQueue{}, RateLimit: &config.RateLimit{
		RequestsPerSecond: 1, Burst: 2, PerTenant: &config.TenantRateLimit{RequestsPerSecond: 1, Burst: 1},
	}}
	want := func(step, tenant string, want int) {
		t.Helper()
		if got := send(t, h, tenant); got != want {
			t.Errorf("%s: status is %d, want %d", step, got, want)
		}
	}
	h.Update([]Endpoint{ep})
	want("first of a", "a", 200)
	want("second of a", "a", 429)
	same := *ep.RateLimit
	same.PerTenant = new(*same.PerTenant)
	ep.RateLimit, ep.Revision, ep.Path = &same, 7, "/shop/a"
	h.Update([]Endpoint{ep})
	want("second of a after an update", "a", 429)
	want("first of b", "b", 200)
	want("third of all", "c", 429)
	other := same
	other.RequestsPerSecond = 2
	ep.RateLimit = &other
	h.Update([]Endpoint{ep})
	want("other limits start full", "a", 200)
	ep.RateLimit = nil
	h.Update([]Endpoint{ep})
	want("no limit", "a", 200)
	want("no limit", "a", 200)
}

// A flood of callbacks with a wrong key, and of those that the filter leaves out, uses up nothing.
func TestHandler_rateLimited(t *testing.T) {
	now := time.Unix(1772366400, 0)
	h := NewHandler(Options{Now: func() time.Time { return now }})
	h.Update([]Endpoint{{Name: "shop/a", Path: "/shop/a", Source: &fakeSource{}, Queue: &fakeQueue{}, RateLimit: &config.RateLimit{RequestsPerSecond: 1, Burst: 1}}})
	for range 10 {
		ctx := request("one")
		ctx.Request.Header.Set("Key", "bad")
		if h.ServeHTTP(ctx); ctx.Response.StatusCode() != http.StatusUnauthorized {
			t.Fatalf("a wrong key: status is %d, want 401", ctx.Response.StatusCode())
		}
		if got := send(t, h, ""); got != http.StatusOK {
			t.Fatalf("filtered out: status is %d, want 200", got)
		}
	}
	if got := send(t, h, "one"); got != http.StatusOK {
		t.Errorf("a good callback after a flood: status is %d, want 200", got)
	}
	ctx := request("two")
	h.ServeHTTP(ctx)
	status, retry, words := ctx.Response.StatusCode(), string(ctx.Response.Header.Peek("Retry-After")), string(ctx.Response.Body())
	if status != http.StatusTooManyRequests || retry != "1" || words != "no: more callbacks than spec.rateLimit.requestsPerSecond allows" {
		t.Errorf("beyond the limit: %d, Retry-After %q, %q", status, retry, words)
	}
	if got := send(t, h, ""); got != http.StatusOK {
		t.Errorf("filtered out beyond the limit: status is %d, want 200", got)
	}
	if got := testutil.ToFloat64(h.metrics.callbacks.WithLabelValues("shop/a", "rate_limited")); got != 1 {
		t.Errorf("%v callbacks are counted as rate_limited, want 1", got)
	}
}
