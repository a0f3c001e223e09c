package load

import (
	"slices"
	"testing"
	"time"
)

// TestSchedule_number: threads share the callbacks, each of which is sent once.
func TestSchedule_number(t *testing.T) {
	var all []int
	for i := range 3 {
		for k := range 4 {
			all = append(all, schedule{index: i, of: 3}.number(k))
		}
	}
	slices.Sort(all)
	for i, n := range all {
		if i != n {
			t.Fatalf("three threads that send four callbacks each send the numbers %v, want 0 to 11", all)
		}
	}
}

// TestSchedule_due: moments depend on the rate alone, and don't drift.
func TestSchedule_due(t *testing.T) {
	for name, test := range map[string]struct {
		schedule schedule
		k        int
		want     time.Duration
	}{
		"the first is due at once":        {schedule{0, 1, 100}, 0, 0},
		"one thread":                      {schedule{0, 1, 100}, 7, 70 * time.Millisecond},
		"the second of two threads":       {schedule{1, 2, 100}, 3, 70 * time.Millisecond},
		"a rate that divides no second":   {schedule{0, 1, 3}, 3_000_000, 1_000_000 * time.Second},
		"many a second, for a long while": {schedule{1, 2, 20_000}, 36_000_000, time.Hour + 50*time.Microsecond},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.schedule.due(test.k); (got - test.want).Abs() > time.Microsecond {
				t.Errorf("callback %d is due at %v, want %v", test.k, got, test.want)
			}
		})
	}
}

func TestSchedule_dueBefore(t *testing.T) {
	for name, test := range map[string]struct {
		schedule schedule
		end      time.Duration
		want     int
	}{
		"none":                       {schedule{0, 1, 100}, 0, 0},
		"all of one thread":          {schedule{0, 1, 100}, time.Second, 100},
		"the first of two threads":   {schedule{0, 2, 101}, time.Second, 51},
		"the second of two threads":  {schedule{1, 2, 101}, time.Second, 50},
		"in a part of a second":      {schedule{0, 1, 100}, 25 * time.Millisecond, 3},
		"less than one in that time": {schedule{1, 2, 1}, 500 * time.Millisecond, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.schedule.dueBefore(test.end); got != test.want {
				t.Errorf("%d are due before %v, want %d", got, test.end, test.want)
			}
		})
	}
}
