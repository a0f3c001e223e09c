package conns

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestRoster plays what happens to connections, in a roster for three, and watches which are closed.
func TestRoster(t *testing.T) {
	tests := map[string]struct {
		steps []string // "a" enters, "+a" begins, "-a" ends, "/a" leaves, "!" displaces one
		want  string   // those that were closed, in order
	}{
		"as many as there is room for":             {[]string{"a", "b", "c"}, ""},
		"the oldest stranger goes":                 {[]string{"a", "b", "c", "d", "e"}, "a b"},
		"who left made room":                       {[]string{"a", "b", "c", "/b", "d"}, ""},
		"leaving twice makes room once":            {[]string{"a", "b", "c", "/b", "/b", "d", "e"}, "a"},
		"a proven one outlives strangers":          {[]string{"a", "+a", "-a", "b", "c", "d", "e", "f", "g"}, "b c d e"},
		"of proven ones the idlest goes":           {[]string{"a", "+a", "b", "+b", "-b", "c", "+c", "-c", "-a", "d", "e"}, "b d"},
		"one at work never goes":                   {[]string{"a", "+a", "b", "+b", "-b", "c", "+c", "d", "e"}, "b d"},
		"where all are at work the newcomer goes":  {[]string{"a", "+a", "b", "+b", "c", "+c", "d"}, "d"},
		"a displaced one that leaves is no room":   {[]string{"a", "b", "c", "d", "/a", "e"}, "a b"},
		"a displaced one that begins is not there": {[]string{"a", "b", "c", "d", "+a", "-a", "e"}, "a b"},
		"displacing one by one":                    {[]string{"a", "+a", "-a", "b", "!", "!", "!"}, "b a"},
		"idleness begins anew with each use":       {[]string{"a", "+a", "-a", "b", "+b", "-b", "c", "+c", "-c", "+a", "-a", "d"}, "b"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			reg := prometheus.NewRegistry()
			r := NewRoster("callbacks", 3, NewMetrics(reg))
			now := time.Unix(1772366400, 0)
			entries := map[string]*Entry{}
			var closed []string
			for _, step := range tt.steps {
				now = now.Add(time.Second)
				name := strings.TrimLeft(step, "+-/!")
				switch step[0] {
				case '+':
					entries[name].Begin()
				case '-':
					entries[name].End(now)
				case '/':
					entries[name].Leave()
				case '!':
					r.Displace()
				default:
					entries[name] = r.Enter(func() { closed = append(closed, name) })
				}
			}
			if diff := cmp.Diff(tt.want, strings.Join(closed, " ")); diff != "" {
				t.Errorf("closed (-want +got):\n%s", diff)
			}
			if n := testutil.ToFloat64(r.metrics.open); n != float64(r.Open()) || n > 3 {
				t.Errorf("%d connections are open, and measured %v", r.Open(), n)
			}
			displaced := 0.0
			for _, c := range r.metrics.gone {
				displaced += testutil.ToFloat64(c)
			}
			if displaced != float64(len(closed)) {
				t.Errorf("%v are counted as displaced, %d are", displaced, len(closed))
			}
			for e := range entries {
				if entries[e] != nil {
					entries[e].Leave()
				}
			}
			if r.Open() != 0 {
				t.Errorf("%d are left when all have left", r.Open())
			}
		})
	}
}

// A flood never costs more than the newcomers' places, whatever happens at the same time.
func TestRoster_concurrent(t *testing.T) {
	const most, good = 64, 16
	r := NewRoster("callbacks", most, nil)
	var mu sync.Mutex
	closed := map[string]bool{}
	enter := func(name string) *Entry {
		return r.Enter(func() {
			mu.Lock()
			defer mu.Unlock()
			closed[name] = true
		})
	}
	var entries []*Entry
	for n := range good {
		e := enter(fmt.Sprint("good ", n))
		e.Begin()
		e.End(time.Now())
		entries = append(entries, e)
	}
	var done sync.WaitGroup
	for f := range 4 {
		done.Go(func() {
			for n := range 2000 {
				if e := enter(fmt.Sprint("bad ", f, n)); n%3 == 0 {
					e.Leave()
				}
			}
		})
	}
	for _, e := range entries {
		done.Go(func() {
			for range 1000 {
				e.Begin()
				e.End(time.Now())
			}
		})
	}
	done.Wait()
	for n := range good {
		if closed[fmt.Sprint("good ", n)] {
			t.Errorf("good connection %d was displaced", n)
		}
	}
	if r.Open() > most {
		t.Errorf("%d connections are open, more than %d", r.Open(), most)
	}
}

func TestLimit(t *testing.T) {
	got := []int{
		limit(4096, 0.9, 0), limit(4096, 0.9, 1<<20), limit(4096, 0.9, 1024), limit(256, 0.1, 1024), limit(256, 0.1, 20), limit(4096, 1, 8192),
	}
	if want := []int{4096, 4096, 460, 51, leastConnections, 4096}; !slices.Equal(got, want) {
		t.Errorf("limits are %v, want %v", got, want)
	}
	if Limit(1, 1) != 1 {
		t.Error("one connection is too many for this process")
	}
}
