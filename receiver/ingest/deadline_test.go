package ingest

import (
	"testing"
	"time"
)

func TestDeadline_isSetWhereItMatters(t *testing.T) {
	now := time.Unix(1000, 0)
	in := func(d time.Duration) time.Time { return now.Add(d) }
	tests := map[string]struct {
		set, wanted time.Time
		want        bool
	}{
		"none is wanted and none is set":         {},
		"the first":                              {wanted: in(time.Second), want: true},
		"the same again":                         {set: in(time.Second), wanted: in(time.Second)},
		"none any more":                          {set: in(time.Second), want: true},
		"an earlier one":                         {set: in(time.Second), wanted: in(999 * time.Millisecond), want: true},
		"one in the past, to wait for nothing":   {set: in(time.Second), wanted: time.Unix(1, 0), want: true},
		"one that is hardly later":               {set: in(16 * time.Second), wanted: in(17 * time.Second)},
		"one that is later by a good part":       {set: in(15 * time.Second), wanted: in(17 * time.Second), want: true},
		"a later one, where the set one is over": {set: in(-time.Millisecond), wanted: in(time.Millisecond), want: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := deadline{set: tt.set, wanted: tt.wanted}
			if got := d.due(func(t time.Time) time.Duration { return t.Sub(now) }); got != tt.want {
				t.Errorf("due: %t, want %t", got, tt.want)
			}
			if tt.want && !d.set.Equal(tt.wanted) {
				t.Error("it does not count as set")
			}
		})
	}
}
