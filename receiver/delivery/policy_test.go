package delivery

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/config"
)

func TestPolicyOf(t *testing.T) {
	tests := map[string]struct {
		config config.Delivery
		want   Policy
	}{
		"defaults": {
			want: Policy{MaxInFlight: 64, InitialInterval: time.Second, MaxInterval: 5 * time.Minute, MaxAge: 24 * time.Hour},
		},
		"all set": {
			config: config.Delivery{MaxInFlight: 3, Retry: config.Retry{
				InitialInterval: config.Duration(2 * time.Second), MaxInterval: config.Duration(time.Minute), MaxAge: config.Duration(time.Hour),
			}},
			want: Policy{MaxInFlight: 3, InitialInterval: 2 * time.Second, MaxInterval: time.Minute, MaxAge: time.Hour},
		},
		"an initial interval above the default largest one": {
			config: config.Delivery{Retry: config.Retry{InitialInterval: config.Duration(time.Hour)}},
			want:   Policy{MaxInFlight: 64, InitialInterval: time.Hour, MaxInterval: time.Hour, MaxAge: 24 * time.Hour},
		},
		"negative values": {
			config: config.Delivery{MaxInFlight: -1, Retry: config.Retry{InitialInterval: -1, MaxInterval: -1, MaxAge: -1}},
			want:   Policy{MaxInFlight: 64, InitialInterval: time.Second, MaxInterval: 5 * time.Minute, MaxAge: 24 * time.Hour},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, PolicyOf(tc.config)); diff != "" {
				t.Errorf("PolicyOf (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPolicy_backoff(t *testing.T) {
	const almostOne = 1 - 1e-9
	tests := map[string]struct {
		policy     Policy
		attempt    int
		retryAfter time.Duration
		wantMin    time.Duration // with random 0
		wantMax    time.Duration // with random just below 1, to the millisecond
	}{
		"first":                          {attempt: 1, wantMin: 500 * time.Millisecond, wantMax: time.Second},
		"second":                         {attempt: 2, wantMin: time.Second, wantMax: 2 * time.Second},
		"fourth":                         {attempt: 4, wantMin: 4 * time.Second, wantMax: 8 * time.Second},
		"last below the largest":         {attempt: 9, wantMin: 128 * time.Second, wantMax: 256 * time.Second},
		"first at the largest":           {attempt: 10, wantMin: 150 * time.Second, wantMax: 300 * time.Second},
		"far beyond any overflow":        {attempt: 1 << 20, wantMin: 150 * time.Second, wantMax: 300 * time.Second},
		"attempt zero counts as first":   {attempt: 0, wantMin: 500 * time.Millisecond, wantMax: time.Second},
		"Retry-After below the interval": {attempt: 4, retryAfter: time.Second, wantMin: 4 * time.Second, wantMax: 8 * time.Second},
		"Retry-After within the jitter":  {attempt: 4, retryAfter: 6 * time.Second, wantMin: 6 * time.Second, wantMax: 10 * time.Second},
		"Retry-After above the interval": {attempt: 1, retryAfter: time.Minute, wantMin: time.Minute, wantMax: 60500 * time.Millisecond},
		"Retry-After above the largest interval": {
			attempt: 1, retryAfter: 30 * time.Minute, wantMin: 30 * time.Minute, wantMax: 30*time.Minute + 500*time.Millisecond,
		},
		"Retry-After beyond an hour": {attempt: 10, retryAfter: 20 * time.Hour, wantMin: time.Hour, wantMax: time.Hour},
		"intervals beyond an hour": {
			policy: Policy{InitialInterval: 4 * time.Hour}, attempt: 1, wantMin: 2 * time.Hour, wantMax: 4 * time.Hour,
		},
		"one constant interval": {
			policy: Policy{InitialInterval: time.Minute, MaxInterval: time.Minute}, attempt: 5, wantMin: 30 * time.Second, wantMax: time.Minute,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := tc.policy.withDefaults()
			if got := p.backoff(tc.attempt, tc.retryAfter, 0); got != tc.wantMin {
				t.Errorf("least: got %v, want %v", got, tc.wantMin)
			}
			if got := p.backoff(tc.attempt, tc.retryAfter, almostOne).Round(time.Millisecond); got != tc.wantMax {
				t.Errorf("most: got %v, want %v", got, tc.wantMax)
			}
		})
	}
}
