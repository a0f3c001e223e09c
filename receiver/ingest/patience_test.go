package ingest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPatience(t *testing.T) {
	tests := map[string]struct {
		// before is for how long callbacks had it before, each of which was over at once.
		before []time.Duration
		wait   time.Duration
	}{
		"the first callback":                             {wait: time.Second},
		"one after another":                              {before: []time.Duration{time.Second, time.Second}, wait: time.Second},
		"a patient callback before an impatient one":     {before: []time.Duration{time.Hour}, wait: time.Second},
		"an impatient callback before a patient one":     {before: []time.Duration{time.Millisecond}, wait: time.Hour},
		"many, between which the timer comes for nobody": {before: []time.Duration{time.Millisecond, time.Hour, time.Second}, wait: time.Minute},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPatience()
				for _, d := range tt.before {
					p.begin(d)
					if !p.stop() {
						t.Fatal("over before its time")
					}
					<-time.After(d / 2) // of the bubble's clock
				}
				p.begin(tt.wait)
				began := time.Now()
				<-p.Done()
				if took := time.Since(began); took != tt.wait {
					t.Errorf("over after %s, want %s", took, tt.wait)
				}
				if !errors.Is(p.Err(), context.DeadlineExceeded) || p.stop() {
					t.Errorf("over, but Err is %v, or it can be used again", p.Err())
				}
			})
		})
	}
}

func TestPatience_doesNotEndWhileNobodyHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience()
		p.begin(time.Second)
		p.stop()
		<-time.After(time.Hour) // of the bubble's clock
		if p.Err() != nil || !p.stop() {
			t.Error("it ended when nobody had it")
		}
	})
}
