package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hookbay/hookbay/hack/e2e/control"
)

// TestBooks tells the stories of one load with two subjects, in the words of a report.
func TestBooks(t *testing.T) {
	const load = "l-1"
	m := func(subject, n int) mark { return mark{load: load, subject: subject, n: n} }
	failure := control.Failure{Kind: control.Cut}
	tests := map[string]struct {
		happens func(b *books)
		want    control.Report
	}{
		"nothing": {happens: func(*books) {}},
		"acknowledged and delivered": {
			happens: func(b *books) { b.acknowledged(m(0, 0), time.Second, 2*time.Second); b.delivered(m(0, 0), "a") },
			want:    control.Report{Sent: 1, Acknowledged: 1, Slowest: time.Second, Delivered: 1, Replicas: map[string]int{"a": 1}},
		},
		"delivered before the acknowledgement is there": {
			happens: func(b *books) { b.delivered(m(0, 0), "a"); b.acknowledged(m(0, 0), 0, time.Second) },
			want:    control.Report{Sent: 1, Acknowledged: 1, Delivered: 1, Replicas: map[string]int{"a": 1}},
		},
		"acknowledged late, not delivered": {
			happens: func(b *books) { b.acknowledged(m(1, 0), 3*time.Second, 2*time.Second) },
			want:    control.Report{Sent: 1, Acknowledged: 1, Late: 1, Slowest: 3 * time.Second, Missing: 1},
		},
		"a later one is delivered, the one before is missing": {
			happens: func(b *books) {
				b.acknowledged(m(0, 0), 0, 1)
				b.acknowledged(m(0, 1), 0, 1)
				b.delivered(m(0, 1), "a")
			},
			want: control.Report{Sent: 2, Acknowledged: 2, Delivered: 1, Missing: 1, Replicas: map[string]int{"a": 1}},
		},
		"failed": {
			happens: func(b *books) { b.failed(m(0, 0), failure) },
			want:    control.Report{Sent: 1, Failed: 1, Failures: []control.Failure{failure}},
		},
		"refused as too slow, and delivered": {
			happens: func(b *books) { b.slow(m(0, 0)); b.delivered(m(0, 0), "a") },
			want:    control.Report{Sent: 1, Slow: 1, Delivered: 1, Replicas: map[string]int{"a": 1}},
		},
		"out of order by one replica": {
			happens: func(b *books) {
				b.acknowledged(m(0, 0), 0, 1)
				b.delivered(m(0, 1), "a")
				b.delivered(m(0, 0), "a")
				b.delivered(m(0, 2), "a")
			},
			want: control.Report{
				Sent: 1, Acknowledged: 1, Delivered: 3, Disordered: []string{"l-1.0.0 came after number 1, by a"}, Replicas: map[string]int{"a": 3},
			},
		},
		"out of order, and not acknowledged": {
			happens: func(b *books) {
				b.slow(m(0, 0))
				b.acknowledged(m(0, 1), 0, 1)
				b.delivered(m(0, 1), "a")
				b.delivered(m(0, 0), "a")
			},
			want: control.Report{Sent: 2, Slow: 1, Acknowledged: 1, Delivered: 2, Replicas: map[string]int{"a": 2}},
		},
		"in any order by two replicas, and of two subjects": {
			happens: func(b *books) {
				b.delivered(m(0, 1), "a")
				b.delivered(m(0, 0), "b")
				b.delivered(m(1, 0), "a")
			},
			want: control.Report{Delivered: 3, Replicas: map[string]int{"a": 2, "b": 1}},
		},
		"repeated from an earlier one on": {
			happens: func(b *books) {
				for _, n := range []int{0, 1, 0, 1, 2} {
					b.delivered(m(0, n), "a")
				}
			},
			want: control.Report{Delivered: 3, Repeated: 2, Replicas: map[string]int{"a": 3}},
		},
		"of another load": {happens: func(b *books) { b.delivered(mark{load: "other"}, "a") }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBooks()
			if err := b.open(load, 2); err != nil {
				t.Fatal(err)
			}
			test.happens(b)
			got, ok := b.report(load)
			if !ok {
				t.Fatal("there is no report")
			}
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(control.Report{}, "Now"), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMark(t *testing.T) {
	want := mark{load: "lazada-im-3", subject: 17, n: 4}
	if got, ok := parseMark(want.String()); !ok || got != want {
		t.Errorf("%q reads as %v (%t)", want, got, ok)
	}
	for _, wrong := range []string{"", "a.1", "a.b.1", "a.1.2.3", "a.-1.2"} {
		if got, ok := parseMark(wrong); ok {
			t.Errorf("%q reads as %v", wrong, got)
		}
	}
}

func TestReplica(t *testing.T) {
	if got := replica("lazada-im-0-5dbf46496c-z8lws"); got != "lazada-im-0" {
		t.Errorf("got %q", got)
	}
}
