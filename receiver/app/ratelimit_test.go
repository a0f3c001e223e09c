package app

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/hookbay/hookbay/receiver/config"
)

// Both platforms hear of a rate limit in their own words, and what one tenant used up the others still have.
func TestApp_rateLimit(t *testing.T) {
	const detail = "more callbacks of one tenant than spec.rateLimit.perTenant.requestsPerSecond allows"
	tests := map[string]struct {
		source       func(string) config.Endpoint
		tenant, want string // what stands for the tenant in the callback, and the refusal
	}{
		"lazada":  {lazadaPlain, "200168", `{"error":"` + detail + `"}`},
		"tencent": {tencent, "buyer_1001", `{"ActionStatus":"FAIL","ErrorCode":1,"ErrorInfo":"` + detail + `"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := tt.source("a")
			// The burst is used up by more callbacks than the rate gives back while they are sent.
			e.RateLimit = &config.RateLimit{PerTenant: &config.TenantRateLimit{RequestsPerSecond: 1, Burst: 1}}
			f := start(t, e)
			status, header, body := f.push(e, nil, nil)
			for tries := 0; status != http.StatusTooManyRequests && tries < 100; tries++ {
				status, header, body = f.push(e, nil, nil)
			}
			if status != http.StatusTooManyRequests || body != tt.want || header.Get("Retry-After") != "1" || header.Get("Content-Type") != "application/json" {
				t.Errorf("beyond the limit: %d %s, Retry-After %q", status, body, header.Get("Retry-After"))
			}
			other := func(n int) func(*push) {
				return func(p *push) { p.body = strings.ReplaceAll(p.body, tt.tenant, "another"+strconv.Itoa(n)) }
			}
			status, _, body = f.push(e, other(0), nil)
			for tries := 1; status == http.StatusServiceUnavailable && tries < 20; tries++ { // a busy disk
				status, _, body = f.push(e, other(tries), nil)
			}
			if status != http.StatusOK {
				t.Errorf("another tenant: %d %s", status, body)
			}
		})
	}
}
