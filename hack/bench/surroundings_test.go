//go:build linux

package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hookbay/hookbay/hack/bench/report"
)

func TestProcessorsIn(t *testing.T) {
	got, err := processorsIn([]byte("cpu  100 200 300 4000 500 10 20 70 100 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := processors{busy: 6.3, stolen: 0.7, total: 52}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(processors{}), cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Errorf("the processors' time (-want +got):\n%s", diff)
	}
	for _, text := range []string{"", "cpu 1 2 3", "intr 1 2 3 4 5 6 7 8 9", "cpu a b c d e f g h i"} {
		if _, err := processorsIn([]byte(text)); err == nil {
			t.Errorf("%q is read as the processors' time, want an error", text)
		}
	}
}

func TestPressureIn(t *testing.T) {
	got, err := pressureIn([]byte("some avg10=4.94 avg60=3.73 avg300=2.91 total=2500000\nfull avg10=1.98 avg60=1.09 avg300=0.64 total=7\n"))
	if want := 2500 * time.Millisecond; err != nil || got != want {
		t.Errorf("the pressure is %v, %v, want %v", got, err, want)
	}
	if _, err := pressureIn([]byte("full total=7\n")); err == nil {
		t.Error("a file without the line is read, want an error")
	}
}

// TestMoment_until: what this program and its children took is not others'.
func TestMoment_until(t *testing.T) {
	began := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	then := &moment{
		at: began, all: processors{busy: 100, total: 1000}, own: 10 * time.Second, load: 1, used: 0.25,
		pressure: map[string]time.Duration{"cpu": time.Second, "io": 0, "memory": 0},
	}
	later := &moment{
		at: began.Add(10 * time.Second), all: processors{busy: 115, stolen: 1, total: 1020}, own: 21 * time.Second, load: 2,
		pressure: map[string]time.Duration{"cpu": 6 * time.Second, "io": 2 * time.Second, "memory": 0},
	}
	want := &report.Surroundings{
		Before: 0.25, Others: 0.2, Stolen: 0.05, LoadBefore: 1, LoadAfter: 2, Pressure: &report.Pressure{CPU: 0.5, Disk: 0.2},
	}
	if diff := cmp.Diff(want, then.until(later), cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Errorf("the surroundings (-want +got):\n%s", diff)
	}
	later.own = time.Hour // counted in other steps than the processors
	later.pressure = nil
	if got := then.until(later); got.Others != 0 || got.Pressure != nil {
		t.Errorf("others took %v, and pressure is %v, want 0 and none", got.Others, got.Pressure)
	}
}

// TestLookAround reads this machine's own files.
func TestLookAround(t *testing.T) {
	m, err := lookAround(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if m.used < 0 || m.used > 1 || m.all.total <= 0 {
		t.Errorf("the processors were used by %v of %v, want a share of some time", m.used, m.all)
	}
}
