package disk

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatACommitWaitsFor(t *testing.T) {
	for _, test := range []struct {
		name          string
		last, waiting int
		arriving      []int // how many wait, each time that somebody looks
		looks         int
	}{
		{"few come: the disk is not kept waiting", 20, 19, []int{19}, 0},
		{"one group of all that there are is the next time two", 64, 0, []int{0, 12, 31, 32, 40}, 4},
		{"half of a crowd is enough", 32, 31, []int{31, 31, 31}, 1},
		{"half of them wait by then", 33, 33, []int{33}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, looks := gathering{last: test.last}, 0
				awaitHalf(g.crowd(test.waiting), func() int {
					looks++
					return test.arriving[min(looks, len(test.arriving))-1]
				})
				if looks != test.looks {
					t.Errorf("looked %d times at who waits, want %d", looks, test.looks)
				}
			})
		})
	}
}

func TestACommitDoesNotWaitForWhoStaysAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, began := gathering{last: 64}, time.Now()
		awaitHalf(g.crowd(0), func() int { return 1 })
		if took := time.Since(began); took < gatherTime || took > gatherTime+gatherPause { // by the bubble's clock
			t.Errorf("waited for %v, want %v", took, gatherTime)
		}
	})
}

func TestSettlementsWaitForAsManyAsTheLastOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gathering
		for _, waiting := range []int{20, 21, 30} {
			g.last = waiting
			if g.awaitAll(func() int { return waiting }); g.goal != waiting+1 {
				t.Errorf("after %d settlements %d are waited for, want one more", waiting, g.goal)
			}
		}
		began := time.Now()
		if g.awaitAll(func() int { return 17 }); time.Since(began) < gatherTime { // by the bubble's clock
			t.Error("did not wait for those that stay away")
		}
		if g.goal != 17 {
			t.Errorf("then %d are waited for, want as many as there were", g.goal)
		}
		g.last = manySettle - 1
		if g.awaitAll(func() int { t.Error("few settle: nobody is to be waited for"); return 0 }); g.goal != 17 {
			t.Errorf("then %d are waited for", g.goal)
		}
	})
}
