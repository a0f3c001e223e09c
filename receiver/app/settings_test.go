package app

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/config"
)

func TestSettingsOf(t *testing.T) {
	none, week := config.Duration(0), config.Duration(7*24*time.Hour)
	tests := map[string]struct {
		endpoint config.Endpoint
		want     buffer.Settings
	}{
		"what an endpoint gets that says nothing": {
			config.Endpoint{},
			buffer.Settings{DeduplicationWindow: 7 * time.Hour, Retention: 24 * time.Hour, DeadRetention: 14 * 24 * time.Hour, MaxAge: 24 * time.Hour},
		},
		"all that can be said": {
			config.Endpoint{
				Delivery: config.Delivery{Ordering: config.OrderingNone, Retry: config.Retry{MaxAge: config.Duration(time.Hour)}},
				Buffer:   config.Buffer{DeduplicationWindow: config.Duration(time.Minute), Retention: &week},
			},
			buffer.Settings{Unordered: true, DeduplicationWindow: time.Minute, Retention: 7 * 24 * time.Hour, DeadRetention: 14 * 24 * time.Hour, MaxAge: time.Hour},
		},
		"no retention": {
			config.Endpoint{Delivery: config.Delivery{Ordering: config.OrderingSubject}, Buffer: config.Buffer{Retention: &none}},
			buffer.Settings{DeduplicationWindow: 7 * time.Hour, DeadRetention: 14 * 24 * time.Hour, MaxAge: 24 * time.Hour},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, settingsOf(&tt.endpoint)); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBufferBytes(t *testing.T) {
	tests := map[string]struct {
		bounds []int64
		want   int64
	}{
		"no endpoint":      {nil, 0},
		"one":              {[]int64{10}, 10},
		"several":          {[]int64{10, 20}, 30},
		"one has no bound": {[]int64{10, 0}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := config.Config{Endpoints: []config.Endpoint{{Buffer: config.Buffer{Type: config.BufferNone, MaxBytes: 5}}}}
			for _, n := range tt.bounds {
				c.Endpoints = append(c.Endpoints, config.Endpoint{Buffer: config.Buffer{MaxBytes: n}})
			}
			if got := bufferBytes(&c); got != tt.want {
				t.Errorf("got %d bytes, want %d", got, tt.want)
			}
		})
	}
}
