package receivers

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadMetrics(t *testing.T) {
	const backlog = "hookbay_backlog_events{endpoint=\"shop/orders\"} 0\n"
	tests := map[string]struct {
		text    string
		want    Report
		wantErr string
	}{
		"all of it": {
			text: `# HELP hookbay_backlog_events Events that are neither delivered nor dead letters.
# TYPE hookbay_backlog_events gauge
hookbay_backlog_events{endpoint="shop/orders"} 7
hookbay_backlog_events{endpoint="shop/gone"} 5
hookbay_backlog_oldest_seconds{endpoint="shop/orders"} 1.5
hookbay_dead_letters{endpoint="shop/orders"} 2
hookbay_dead_letters{endpoint="shop/gone"} 9
hookbay_last_accepted_timestamp_seconds{endpoint="shop/orders"} 1.772366400123e+09
hookbay_last_accepted_timestamp_seconds{endpoint="shop/gone"} 1.9e+09
hookbay_last_refused_timestamp_seconds{endpoint="shop/orders"} 0
hookbay_answer_seconds_bucket{endpoint="shop/orders",le="+Inf"} 3
`,
			want: Report{
				Backlog: 7, Held: 12, DeadLetters: 2, Oldest: 1500 * time.Millisecond,
				LastAccepted: time.Date(2026, 3, 1, 12, 0, 0, 123e6, time.UTC),
			},
		},
		"the endpoint alone": {text: backlog},
		"a target that is down": {
			text: backlog + "hookbay_target_circuit_open{endpoint=\"shop/orders\",outcome=\"5xx\"} 0\nhookbay_target_circuit_open{endpoint=\"shop/orders\",outcome=\"timeout\"} 1\n" +
				"hookbay_target_circuit_open{endpoint=\"shop/gone\",outcome=\"dns\"} 1\n",
			want: Report{TargetDown: "timeout"},
		},
		"a target that is down in many words": {
			text: backlog + "hookbay_target_circuit_open{endpoint=\"shop/orders\",outcome=\"a\\nb\"} 1\n", want: Report{TargetDown: "a b"},
		},
		"a target that is down for no reason": {text: backlog + "hookbay_target_circuit_open{endpoint=\"shop/orders\"} 1\n", want: Report{TargetDown: "unknown"}},
		"a target that is up":                 {text: backlog + "hookbay_target_circuit_open{endpoint=\"shop/orders\",outcome=\"timeout\"} 0\n"},
		"a buffer that can't be used": {
			text: backlog + "hookbay_buffer_ready{endpoint=\"shop/gone\",engine=\"JetStream\"} 1\nhookbay_buffer_ready{endpoint=\"shop/orders\",engine=\"JetStream\"} 0\n",
			want: Report{BufferAway: true},
		},
		"another endpoint's buffer": {
			text: backlog + "hookbay_buffer_ready{endpoint=\"shop/gone\",engine=\"JetStream\"} 0\nhookbay_buffer_ready{endpoint=\"shop/orders\",engine=\"JetStream\"} 1\n",
		},
		"a buffer that is more than ready": {
			text: backlog + "hookbay_buffer_ready{endpoint=\"shop/orders\"} 2\n", wantErr: "tells an impossible value of hookbay_buffer_ready",
		},
		"no line break at the end": {text: strings.TrimSpace(backlog)},
		"other labels as well":     {text: "hookbay_backlog_events{a=\"}\\\"\",endpoint=\"shop/orders\",z=\"\"} 3\n", want: Report{Backlog: 3, Held: 3}},
		"only other endpoints":     {text: "hookbay_backlog_events{endpoint=\"shop/gone\"} 5\n", wantErr: "does not tell the endpoint's backlog"},
		"a backlog of nobody":      {text: "hookbay_backlog_events 0\n", wantErr: "does not tell the endpoint's backlog"},
		"only in a comment":        {text: "# " + backlog, wantErr: "does not tell the endpoint's backlog"},
		"no number":                {text: "hookbay_backlog_events{endpoint=\"shop/orders\"} many\n", wantErr: "answers /metrics with something that is not metrics"},
		"NaN":                      {text: "hookbay_backlog_events{endpoint=\"shop/orders\"} NaN\n", wantErr: "tells an impossible value of hookbay_backlog_events"},
		"less than nothing":        {text: "hookbay_backlog_events{endpoint=\"shop/orders\"} -1\n", wantErr: "tells an impossible value of hookbay_backlog_events"},
		"infinitely many":          {text: backlog + "hookbay_dead_letters{endpoint=\"shop/orders\"} +Inf\n", wantErr: "tells an impossible value of hookbay_dead_letters"},
		"after the year 9999":      {text: backlog + "hookbay_last_refused_timestamp_seconds{endpoint=\"shop/orders\"} 1e12\n", wantErr: "tells an impossible value of hookbay_last_refused_timestamp_seconds"},
		"older than the world":     {text: backlog + "hookbay_backlog_oldest_seconds{endpoint=\"shop/orders\"} 1e300\n", wantErr: "tells an impossible value of hookbay_backlog_oldest_seconds"},
		"too much in all": {
			text:    backlog + strings.Repeat("hookbay_backlog_events{endpoint=\"x\"} 9e15\n", 2),
			wantErr: "tells an impossible value of hookbay_backlog_events",
		},
		"an endless line": {text: "x" + strings.Repeat("y", 100<<10), wantErr: "answers /metrics with something that is not metrics"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got Report
			err := readMetrics(http.StatusOK, strings.NewReader(tt.text), "shop/orders", &got)
			if errText(err) != tt.wantErr {
				t.Fatalf("error is %q, want %q", errText(err), tt.wantErr)
			}
			if diff := cmp.Diff(tt.want, got); err == nil && diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzReadMetrics(f *testing.F) {
	for _, seed := range []string{
		"hookbay_backlog_events{endpoint=\"shop/orders\"} 7\n",
		"hookbay_backlog_events{endpoint=\"shop/orders\"} 1e3 1772366400000\nhookbay_last_refused_timestamp_seconds{endpoint=\"shop/orders\",reason=\"a\\nb\"} 1.7e9\n",
		"hookbay_dead_letters{endpoint=\"\\\\\"} +Inf\n", "hookbay_backlog_oldest_seconds{,} 0x1p3", "# TYPE hookbay_dead_letters gauge\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var r Report
		err := readMetrics(http.StatusOK, strings.NewReader(text), "shop/orders", &r)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("error of more than one line: %q", err)
			}
			return
		}
		if r.Backlog < 0 || r.DeadLetters < 0 || r.Held < r.Backlog || r.Oldest < 0 {
			t.Errorf("impossible report %+v", r)
		}
		for _, at := range []time.Time{r.LastAccepted, r.LastRefused} {
			if _, err := at.MarshalJSON(); err != nil || !at.IsZero() && at.Before(time.Unix(0, 0)) {
				t.Errorf("impossible time %v", at)
			}
		}
	})
}

func FuzzReadConfig(f *testing.F) {
	f.Add(`{"digest":"abc","revision":"r-2","endpoints":[{"namespace":"shop","name":"orders","generation":3}],"refused":{"reason":"why"}}`)
	f.Add(`{"digest":"a\nb","endpoints":[]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var r Report
		if err := readConfig(http.StatusOK, strings.NewReader(text), "shop/orders", &r); err != nil {
			return
		}
		for _, s := range []string{r.Digest, r.Revision, r.Refused} {
			if s != oneLine(s) {
				t.Errorf("%q is not fit for a condition", s)
			}
		}
	})
}

// BenchmarkReadMetrics is the cost of one visit's largest page: a receiver that has served a hundred endpoints.
func BenchmarkReadMetrics(b *testing.B) {
	var text strings.Builder
	for i := range 100 {
		for j := range 60 {
			fmt.Fprintf(&text, "hookbay_answer_seconds_bucket{endpoint=\"shop/e%d\",le=\"%d\"} 1\n", i, j)
		}
		fmt.Fprintf(&text, "hookbay_backlog_events{endpoint=\"shop/e%d\"} 1\n", i)
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		var r Report
		if err := readMetrics(http.StatusOK, strings.NewReader(text.String()), "shop/e0", &r); err != nil {
			b.Fatal(err)
		}
	}
}
